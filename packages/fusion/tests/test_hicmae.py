"""HiCMAE as a strategy: learns from clips, does without a track, goes on, starts from checkpoints."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from blended.data import InputError
from blended.encoders.networks.hicmae.pretrain import HiCMAEAutoencoder
from blended.fusion.config import TrainingConfig
from blended.fusion.hicmae.clips import MediaSource
from blended.fusion.hicmae.finetuning import load_start, network_of
from blended.fusion.hicmae.network import HiCMAEFusion, network_inputs, rate_scales
from blended.fusion.hicmae.sizes import DEMO, autoencoder_of, backbone_of
from blended.fusion.inputs import PICTURES, SOUND, Inputs
from blended.fusion.network import Network
from blended.fusion.objective import LossConfig, make_objective, targets_of
from blended.fusion.optimiser import AdamW
from blended.fusion.plan import Job
from blended.fusion.run import Surroundings
from blended.fusion.sources import Change
from blended.fusion.strategies import Fused, apply_final, fit
from blended.fusion.strategy import NewClips
from blended.fusion.training import Problem, train
from toys.media import TOY_BACKBONE, TOY_TRAINING, toy_hicmae, toy_media_inputs
from toys.problems import QUIET, SINGLE_SPACE, quiet, toy_problem

CPU = torch.device("cpu")
FROZEN = re.compile(r"encoder(_audio)?\.(patch_embed|blocks\.[01])\.")
BRIEF = TOY_TRAINING.model_copy(update={"max_epochs": 2})


def accuracy(predicted: np.ndarray, given: Inputs) -> float:
    return float((predicted.argmax(axis=1) == given.targets.numpy().argmax(axis=1)).mean())


@pytest.fixture(scope="module")
def toys() -> Inputs:
    return toy_media_inputs()


@pytest.fixture(scope="module")
def learned(toys: Inputs) -> Fused:
    return fit(toy_hicmae(), toys, 0, QUIET)


def test_it_learns_what_is_planted_and_needs_both_tracks(toys: Inputs, learned: Fused) -> None:
    """Pictures tell two of four emotions apart, sound the other two."""
    both = accuracy(learned.out_of_fold, toys)
    assert both > 0.9  # .93 and .98 with two seeds; chance is .25, one track alone at most .75
    for modality in ("video", "audio"):
        alone = learned.changed(Change(without=frozenset({modality})))
        np.testing.assert_allclose(alone.sum(axis=1), 1, atol=1e-6)
        assert 0.4 < accuracy(alone, toys) < 0.76, modality


def test_new_clips_are_judged_as_the_test_clips_were(toys: Inputs, learned: Fused) -> None:
    assert toys.media is not None
    test = toys.media.rows[toys.num_train :]
    tracks = {PICTURES: toys.media.pictures[test], SOUND: toys.media.sound[test]}
    features = {name: torch.from_numpy(track) for name, track in tracks.items()}
    clips = NewClips(toys.space, ["x"] * len(test), toys.modality_of, features)
    applied = apply_final(toy_hicmae(), learned.state, clips)
    np.testing.assert_allclose(applied.probabilities, learned.test, atol=1e-6)
    assert applied.missing == () and applied.weights == {"pictures+sound": 1.0}
    mute = replace(clips, features={PICTURES: features[PICTURES]})
    heard = apply_final(toy_hicmae(), learned.state, mute)
    assert heard.missing == ("sound",) and heard.weights == {"pictures": 1.0}
    assert not np.allclose(heard.probabilities, applied.probabilities, atol=1e-3)


def test_a_missing_track_says_nothing(toys: Inputs) -> None:
    """Whatever lies in the arrays of a clip without sound, the answer is the same."""
    assert toys.media is not None
    media = replace(toys.media, has_sound=np.zeros_like(toys.media.has_sound))
    noise = replace(media, sound=media.sound[::-1].copy())
    network = network_of(toy_hicmae(), SINGLE_SPACE, CPU)
    rows = torch.arange(6)[None]
    said = [network(one(MediaSource(given, CPU), rows))["logits"] for given in (media, noise, toys.media)]
    torch.testing.assert_close(said[0], said[1])
    assert not torch.allclose(said[0], said[2], atol=1e-4)


def one(source: MediaSource, rows: torch.Tensor) -> dict[str, torch.Tensor]:
    return {name: value[0] for name, value in source.batch(torch.tensor([0]), rows).items()}


def test_shuffled_tracks_come_from_other_clips_that_have_them(toys: Inputs) -> None:
    assert toys.media is not None
    has_sound = toys.media.has_sound.copy()
    has_sound[3] = False
    media = replace(toys.media, has_sound=has_sound)
    order = torch.arange(media.num_clips).roll(-3)  # clip 0 from clip 3, clip 1 from clip 4
    source = MediaSource(media, CPU).changed(Change(shuffled=frozenset({SOUND}), order=order))
    batch = one(source, torch.tensor([[0, 1]]))
    np.testing.assert_array_equal(batch[SOUND][0], media.sound[0].astype(np.float32))
    np.testing.assert_array_equal(batch[SOUND][1], media.sound[4].astype(np.float32))
    np.testing.assert_array_equal(batch[PICTURES].numpy(), media.pictures[:2])


def test_inputs_are_normalised_as_the_published_network_wants_them() -> None:
    white = torch.full((1, 1, 2, 16, 16, 3), 255, dtype=torch.uint8)
    video, audio = network_inputs(white, torch.ones(1, 1, 16, 16), torch.tensor([[True, False]]))
    assert video.shape == (1, 3, 2, 16, 16) and audio.abs().sum() == 0
    torch.testing.assert_close(
        video[0, :, 0, 0, 0], torch.tensor([2.2489, 2.4286, 2.6400]), atol=1e-3, rtol=0
    )


def test_one_window_by_chance_in_training_and_the_mean_of_all_otherwise(toys: Inputs) -> None:
    assert toys.media is not None
    torch.manual_seed(0)
    module = HiCMAEFusion(TOY_BACKBONE, 1.0, 0)
    batch = one(MediaSource(toys.media, CPU), torch.arange(4)[None])
    whole = module(batch)["z"]
    first, last = (module(batch, torch.tensor([[0.5, u]] * 4))["z"] for u in (0.2, 0.8))
    torch.testing.assert_close(whole, (first + last) / 2)
    assert not torch.allclose(first, last, atol=1e-3)


def test_dropped_branches_are_a_function_of_the_draws(toys: Inputs) -> None:
    assert toys.media is not None
    module = HiCMAEFusion(backbone_of(TOY_BACKBONE, drop_path=0.5), 1.0, 0)
    batch = one(MediaSource(toys.media, CPU), torch.arange(8)[None])
    before = torch.random.get_rng_state()
    draws = [torch.tensor([[seed, 0.0]] * 8) for seed in (0.3, 0.3, 0.6)]
    first, again, other = (module(batch, drawn)["z"] for drawn in draws)
    torch.testing.assert_close(first, again)
    assert not torch.allclose(first, other, atol=1e-3)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_layers_learn_slower_towards_the_input_and_frozen_ones_not_at_all() -> None:
    network = network_of(toy_hicmae(layer_decay=0.5), SINGLE_SPACE, CPU)
    scales = network.rate_scales
    prefix = "fusion.classifier."
    assert scales[f"{prefix}encoder.patch_embed.proj.weight"] == 0.5**5
    assert scales[f"{prefix}encoder_audio.blocks.2.mlp.fc1.weight"] == 0.5**2
    assert scales[f"{prefix}encoder_fusion.blocks.0.attn.qkv.weight"] == 0.5
    assert f"{prefix}fc_norm.weight" not in scales and "scores.head.first.weight" not in scales
    frozen = rate_scales(
        ["encoder.patch_embed.proj.bias", "encoder.blocks.0.norm1.bias"], TOY_BACKBONE, 1.0, 1
    )
    assert frozen == {"encoder.patch_embed.proj.bias": 0.0}


def test_models_one_after_the_other_have_the_numbers_of_all_at_once() -> None:
    config = TrainingConfig(hidden=5, dropout=0.2, batch_size=16, max_epochs=4, mixup=0.2, ema=0.5)
    jobs = [
        Job(np.arange(60), 4, 1, 0.02, np.arange(60, 90)),
        Job(np.arange(30, 90), 3, 2, 0.01, np.arange(30)),
        Job(np.arange(90), 2, 3, 0.02),
    ]
    whole = train(toy_problem(config), jobs, config, QUIET)
    rows = np.arange(120)
    for together in (1, 2):
        parts = train(replace(toy_problem(config), together=together), jobs, config, QUIET)
        for name, value in whole.parameters.items():
            torch.testing.assert_close(parts.parameters[name], value, atol=1e-5, rtol=1e-5)
        np.testing.assert_allclose(parts.watched_loss, whole.watched_loss, atol=1e-5)
        np.testing.assert_allclose(
            parts.predict_all(rows)["emotions"], whole.predict_all(rows)["emotions"], atol=1e-5
        )


def test_an_interrupted_training_ends_with_the_same_numbers(toys: Inputs, tmp_path: Path) -> None:
    config = toy_hicmae(BRIEF)
    whole = fit(config, toys, 3, QUIET)

    def stop(epoch: object) -> None:
        if getattr(epoch, "number", 0) == 4:  # the second epoch of the second model
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(config, toys, 3, Surroundings(quiet, stop, tmp_path, checkpoint_seconds=0))
    said: list[str] = []
    resumed = fit(config, toys, 3, Surroundings(said.append, None, tmp_path))
    assert [line for line in said if line.startswith("trained before, read from")]
    assert [line for line in said if line.startswith("continuing after 1 epochs")]
    for name, value in whole.state.items():
        assert torch.equal(value, resumed.state[name]), name
    np.testing.assert_array_equal(whole.out_of_fold, resumed.out_of_fold)


def autoencoder_file(path: Path) -> dict[str, torch.Tensor]:
    torch.manual_seed(5)
    state = HiCMAEAutoencoder(autoencoder_of(TOY_BACKBONE, TOY_BACKBONE)).state_dict()
    save_file(state, path, {"pretrained_on": '["demo"]'})
    return state


def test_training_starts_from_a_checkpoint_and_frozen_layers_stay_so(toys: Inputs, tmp_path: Path) -> None:
    state = autoencoder_file(tmp_path / "one.safetensors")
    fitted = fit(toy_hicmae(BRIEF, checkpoint=str(tmp_path / "one.safetensors"), freeze=3), toys, 0, QUIET)
    found = {n.removeprefix("network.fusion.classifier."): v[0] for n, v in fitted.state.items()}
    frozen = [name for name in found if FROZEN.match(name)]
    assert len(frozen) > 40
    for name in frozen:
        assert torch.equal(found[name], state[name]), name
    others = [name for name in found if name in state and name not in frozen]
    assert len(others) > 20
    for name in others:
        assert not torch.equal(found[name], state[name]), name
        # Some steps of about the learning rate: it began there.
        torch.testing.assert_close(found[name], state[name], atol=0.05, rtol=0)


def test_frozen_layers_cost_no_gradients_and_the_numbers_are_the_same(toys: Inputs) -> None:
    """Against layers that learn 1e-30 times as fast, for which every gradient is computed."""
    assert toys.media is not None
    media, config = toys.media, toy_hicmae(BRIEF, freeze=3)
    jobs = [Job(np.arange(40), 2, 0, 0.003)]
    found: list[dict[str, torch.Tensor]] = []
    for factor in (0.0, 1e-30):

        def slowed(_: object, factor: float = factor) -> Network:
            network = network_of(config, SINGLE_SPACE, CPU)
            scales = network.fusion.rate_scales
            network.fusion.rate_scales = {name: scale or factor for name, scale in scales.items()}
            return network

        problem = Problem(
            make_source=lambda _: MediaSource(media, CPU),
            make_network=slowed,
            targets=targets_of(toys.targets, SINGLE_SPACE),
            objective=make_objective(LossConfig(), SINGLE_SPACE, False, CPU),
            device=CPU,
        )
        plain = BRIEF.model_copy(update={"clip_norm": None})
        found.append(dict(train(problem, jobs, plain, QUIET).parameters))
    for name, value in found[0].items():
        # A bias that was 0 is 1e-33 after a step of 1e-30 of the rate.
        torch.testing.assert_close(value, found[1][name], rtol=0, atol=1e-25)
    network = network_of(config, SINGLE_SPACE, CPU)
    leaves = {name: value.detach()[None].clone() for name, value in network.named_parameters()}
    optimiser = AdamW(leaves, torch.tensor([0.1]), BRIEF, network.rate_scales)
    still = {name for name, value in optimiser.parameters.items() if not value.requires_grad}
    assert still == {name for name in leaves if FROZEN.search(name)} and len(still) > 40


def test_a_checkpoint_counts_by_its_content(tmp_path: Path) -> None:
    autoencoder_file(tmp_path / "one.safetensors")
    (tmp_path / "two.safetensors").write_bytes((tmp_path / "one.safetensors").read_bytes())
    one, two = (toy_hicmae(checkpoint=str(tmp_path / f"{name}.safetensors")) for name in ("one", "two"))
    assert one.checkpoint_sha256 == two.checkpoint_sha256 != ""
    assert one.checkpoint_corpora == ("demo",)


def test_every_parameter_of_a_checkpoint_is_accounted_for(tmp_path: Path) -> None:
    state = autoencoder_file(tmp_path / "whole.safetensors")
    classifier = HiCMAEFusion(TOY_BACKBONE, 1.0, 0).classifier
    new = load_start(classifier, state, "whole")
    assert set(new) == {"video_layer_weights", "audio_layer_weights", "fc_norm.weight", "fc_norm.bias"}
    # A fine-tuned one goes in whole, but for its last layer.
    tuned = {**classifier.state_dict(), "head.weight": torch.zeros(6, 64), "head.bias": torch.zeros(6)}
    assert load_start(HiCMAEFusion(TOY_BACKBONE, 1.0, 0).classifier, tuned, "tuned") == ()
    gone = {name: value for name, value in state.items() if name != "encoder.norm.weight"}
    with pytest.raises(InputError, match=r"whole: parameters 1 missing \(encoder.norm.weight\)"):
        load_start(classifier, gone, "whole")
    with pytest.raises(InputError, match=r"1 unexpected \(encoder.blocks.9.x\)"):
        load_start(classifier, {**state, "encoder.blocks.9.x": torch.zeros(1)}, "whole")


def test_another_checkpoint_than_the_one_named_is_refused(toys: Inputs, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    with pytest.raises(InputError, match=r"the weights .*weights\.safetensors are not there"):
        fit(toy_hicmae(BRIEF, checkpoint=str(path)), toys, 0, QUIET)
    autoencoder_file(path)
    config = toy_hicmae(BRIEF, checkpoint=str(path))
    stored = toy_hicmae().model_validate(config.model_dump(mode="json"))
    assert stored == config
    save_file({"other": torch.zeros(1)}, path)
    with pytest.raises(InputError, match=r"weights\.safetensors is \w{12}, expected the checkpoint \w{12}"):
        fit(stored, toys, 0, QUIET)
    lost = config.model_copy(update={"checkpoint": None})
    with pytest.raises(InputError, match="nobody says where it is: name it in `checkpoint`"):
        fit(lost, toys, 0, QUIET)


def test_features_instead_of_clips_are_refused(toys: Inputs) -> None:
    with pytest.raises(InputError, match="hicmae reads the clips themselves, and only features were given"):
        fit(toy_hicmae(BRIEF), replace(toys, media=None), 0, QUIET)


def test_sizes() -> None:
    assert backbone_of("demo") == DEMO
    assert backbone_of("small").video_grid == (8, 10, 10)
    assert autoencoder_of("small", backbone_of("small")).intermediate_layers == (3, 6, 9)
    assert backbone_of("base", num_frames=8, pixels=96).video_grid == (4, 6, 6)
    with pytest.raises(InputError, match="8 square pictures of 50 pixels: expected multiples of 2 pictures"):
        backbone_of("demo", pixels=50)
