"""HiCMAE learns: gradients, a training step, the way from pre-training to fine-tuning."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from blended.data.errors import InputError
from blended.encoders.networks.checkpoint import load_state, read_state
from blended.encoders.networks.hicmae.config import (
    BackboneConfig,
    DecoderConfig,
    FinetuneConfig,
    PretrainConfig,
    StreamConfig,
)
from blended.encoders.networks.hicmae.network import HiCMAEClassifier, start_from_pretraining
from blended.encoders.networks.hicmae.pretrain import HiCMAEAutoencoder, random_mask, tube_mask
from blended.encoders.networks.hicmae.targets import PretrainLossConfig, pretraining_targets
from toys.hicmae_loss import pretraining_loss

BACKBONE = BackboneConfig(
    video=StreamConfig(size=(16, 16), in_chans=3, dim=16, num_heads=2, depth=3, patch_size=(8, 8)),
    audio=StreamConfig(size=(16, 8), in_chans=1, dim=12, num_heads=2, depth=3, patch_size=(4, 4)),
    num_frames=4,
    fusion_num_heads=2,
    fusion_depth=1,
)
PRETRAIN = PretrainConfig(
    backbone=BACKBONE.model_copy(update={"audio": BACKBONE.audio.model_copy(update={"dim": 16})}),
    decoder_video=DecoderConfig(num_values=3 * 2 * 64, dim=8, num_heads=2, depth=3),
    decoder_audio=DecoderConfig(num_values=16, dim=8, num_heads=2, depth=3),
    intermediate_layers=(0, 2),
)


def batch() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    video = torch.randn(4, 3, 4, 16, 16, generator=generator)
    audio = torch.randn(4, 1, 16, 8, generator=generator)
    masks = tube_mask(4, BACKBONE.video_grid, 0.75, generator), random_mask(4, 8, 0.75, generator)
    return video, audio, *masks


def step(network: nn.Module, loss: Tensor) -> None:
    """One small step against the sign of the gradient: what Adam does first, without importing a compiler."""
    network.zero_grad()
    loss.backward()
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.grad is not None:
                parameter -= 3e-3 * parameter.grad.sign()


def without_gradient(network: nn.Module) -> list[str]:
    return [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()]


def test_pretraining_reaches_every_parameter_and_reduces_the_loss() -> None:
    torch.manual_seed(0)
    network = HiCMAEAutoencoder(PRETRAIN)
    video, audio, mask_video, mask_audio = batch()
    loss_config = PretrainLossConfig()
    targets = pretraining_targets(video, audio, mask_video, mask_audio, PRETRAIN.backbone, loss_config)
    totals: list[float] = []
    for _ in range(12):
        output = network(video, audio, mask_video, mask_audio)
        losses = pretraining_loss(
            output.video, output.audio, output.logits_per_video, targets, 2, loss_config
        )
        step(network, losses.total)
        if not totals:
            assert without_gradient(network) == []
        totals.append(losses.total.item())
    assert totals[-1] < 0.9 * totals[0]


def test_finetuning_reaches_every_parameter_and_reduces_the_loss() -> None:
    torch.manual_seed(0)
    network = HiCMAEClassifier(FinetuneConfig(backbone=BACKBONE, num_classes=4)).train()
    video, audio, _, _ = batch()
    totals: list[float] = []
    for _ in range(8):
        loss = nn.functional.cross_entropy(network(video, audio), torch.arange(4))
        step(network, loss)
        if not totals:
            assert without_gradient(network) == []
        totals.append(loss.item())
    assert totals[-1] < 0.7 * totals[0]


def test_finetuning_starts_from_the_encoders_of_a_pretraining_checkpoint(tmp_path: Path) -> None:
    torch.manual_seed(0)
    pretrained = HiCMAEAutoencoder(PRETRAIN)
    classifier = HiCMAEClassifier(FinetuneConfig(backbone=PRETRAIN.backbone, num_classes=6))
    path = tmp_path / "checkpoint-99.pth"
    torch.save({"model": pretrained.state_dict(), "epoch": 99}, path)
    before = classifier.head.weight.clone() if isinstance(classifier.head, nn.Linear) else None
    new = start_from_pretraining(classifier, read_state(path), path.name)
    assert sorted(new) == [
        "audio_layer_weights",
        "fc_norm.bias",
        "fc_norm.weight",
        "head.bias",
        "head.weight",
        "video_layer_weights",
    ]
    own, theirs = classifier.state_dict(), pretrained.state_dict()
    assert all(torch.equal(own[name], theirs[name]) for name in own if name not in new)
    assert before is not None and torch.equal(own["head.weight"], before)
    # Fine-tuned, the same network no longer counts as a pre-training checkpoint.
    with pytest.raises(
        InputError, match=r"tuned holds audio_layer_weights, .*: that is a fine-tuned classifier"
    ):
        start_from_pretraining(classifier, own, "tuned")
    load_state(classifier, own, "tuned")


def test_a_gap_in_an_encoder_is_not_taken_for_a_new_parameter() -> None:
    classifier = HiCMAEClassifier(FinetuneConfig(backbone=PRETRAIN.backbone, num_classes=6))
    state = dict(HiCMAEAutoencoder(PRETRAIN).state_dict())
    del state["encoder_audio.norm.weight"]
    with pytest.raises(
        InputError, match=r"gap: parameters 1 missing \(encoder_audio.norm.weight\) for a HiCMAE"
    ):
        start_from_pretraining(classifier, state, "gap")


def test_a_backbone_of_another_size_is_refused() -> None:
    classifier = HiCMAEClassifier(FinetuneConfig(backbone=BACKBONE, num_classes=6))
    state = HiCMAEAutoencoder(PRETRAIN).state_dict()
    with pytest.raises(
        InputError, match=r"encoder_audio\S+ is \[16\S* .*in the file and \[12\S* .*in the network"
    ):
        start_from_pretraining(classifier, state, "other")


def test_layer_weights_start_equal_and_positions_stay_out_of_checkpoints() -> None:
    classifier = HiCMAEClassifier(FinetuneConfig(backbone=BACKBONE, num_classes=6))
    torch.testing.assert_close(classifier.video_layer_weights.detach(), torch.full((3,), 1 / 3))
    for network in (classifier, HiCMAEAutoencoder(PRETRAIN)):
        assert not [name for name in network.state_dict() if "pos_embed" in name]
