"""HiCMAE here: the time of a step as a share of what the device can multiply, and what pre-training brings.

    python benchmarks/hicmae.py step [--device cuda] [--size small] [--batch-size 64]
    python benchmarks/hicmae.py pretraining FOLDER [--clips 300] [--pretrain-epochs 40] [--checkpoint FILE]

`step`: floating-point operations of a pre-training step (counted by torch) per second, over the rate of large
matrix products on the same device in the same run: float32 on one thread of a CPU, bfloat16 on a GPU.
`pretraining`: FOLDER holds params.yaml and the index of a corpus. One pre-training on all clips without
labels (so it is transductive), then the same fine-tuning from it and from random weights, on some clips of
all folds but the first, judged on the first. Nothing is chosen on what is reported.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from blended.data import Corpus, LabelSpace
from blended.data.index import read_index
from blended.fusion.config import TrainingConfig
from blended.fusion.hicmae.clips import MediaSource
from blended.fusion.hicmae.finetuning import HiCMAEFusionConfig, network_of, start_of
from blended.fusion.hicmae.gathering import gather_media
from blended.fusion.hicmae.pretraining import PretrainingConfig, pretrain, write_pretrained
from blended.fusion.inputs import Media
from blended.fusion.losses import kl_to_soft_labels
from blended.fusion.objective import LossConfig, make_objective, targets_of
from blended.fusion.plan import Job
from blended.fusion.run import Batched, Surroundings
from blended.fusion.training import Problem, train
from blended.studies.folders import Folders
from blended.studies.params import read_params

SPACE = LabelSpace(("ang", "fea", "hap", "sad"), task="single")
SEEDS = 3
CONFIDENCE_T = 4.303
"""Student's t for a 95 % interval of the mean of three."""
WARM_UP_STEPS = 2


def synchronised(device: torch.device) -> float:
    """Seconds, when all that was asked of the device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def matmul_rate(device: torch.device) -> float:
    """Floating-point operations per second of large matrix products; the best of five."""
    side, kind = (8192, torch.bfloat16) if device.type == "cuda" else (1024, torch.float32)
    a, b = torch.randn(2, side, side, device=device, dtype=kind)
    best = 0.0
    for _ in range(5):
        began = synchronised(device)
        for _ in range(5):
            torch.matmul(a, b)
        best = max(best, 5 * 2 * side**3 / (synchronised(device) - began))
    return best


def step(device: torch.device, size: str, batch_size: int, num_steps: int) -> None:
    """Prints one line: seconds per step, operations, and share."""
    training = TrainingConfig(
        batch_size=batch_size, max_epochs=1, amp="bfloat16" if device.type == "cuda" else "none"
    )
    config = PretrainingConfig.model_validate({"size": size, "training": training})
    preparation, rng = config.preparation, np.random.default_rng(0)
    count = batch_size * (num_steps + WARM_UP_STEPS)
    side, frames = preparation.pixels, preparation.num_frames
    few = rng.integers(0, 255, (8, 1, frames, side, side, 3), dtype=np.uint8)
    sound = rng.normal(size=(8, 1, preparation.spectrogram_frames, preparation.mel_bins))
    there = np.ones(8, dtype=bool)
    media = Media(few, sound.astype(np.float16), there, there, np.arange(count) % 8)
    times: list[float] = []
    run = Surroundings(lambda _: None, on_batch=lambda _: times.append(synchronised(device)))
    pretrain(config, media, SPACE, 0, run, device)
    seconds = float(np.median(np.diff(times[WARM_UP_STEPS - 1 :])))
    one_batch = Media(media.pictures, media.sound, there, there, media.rows[:batch_size])
    with FlopCounterMode(display=False) as counter:
        pretrain(config, one_batch, SPACE, 0, Surroundings(lambda _: None), device)
    rate, possible = counter.get_total_flops() / seconds, matmul_rate(device)
    print(
        f"{size}, {batch_size} clips per step on {device}, {torch.get_num_threads()} threads: "
        f"{seconds:.3f} s per step, {counter.get_total_flops() / 1e9:.1f} GFLOP, {rate / 1e9:.1f} GFLOP/s "
        f"of {possible / 1e9:.1f} GFLOP/s in matrix products: {rate / possible:.0%}"
    )


def pretraining(
    folder: Path, num_clips: int, pretrain_epochs: int, epochs: int, checkpoint: Path | None
) -> None:
    """Prints both arms' held-out loss and accuracy, and their difference with its interval."""
    folders = Folders(folder)
    index = read_index(folders.index(read_params(folders.params).corpus))
    corpus = index.corpus
    config = PretrainingConfig(
        training=TrainingConfig(
            learning_rate=5e-4, weight_decay=0.05, beta2=0.95, batch_size=32, max_epochs=pretrain_epochs,
            schedule="cosine", warmup_epochs=1,
        )
    )  # fmt: skip
    media = gather_media(
        index, [*corpus.train, *corpus.test], config.preparation, folders.cache, log=print, workers=2
    )
    path = checkpoint or folders.cache / "media" / "benchmark.safetensors"
    if checkpoint is None:
        learn_unlabelled(config, media, corpus, index.corpus_hash, path)
    compared(path, media, corpus, num_clips, epochs)


def learn_unlabelled(
    config: PretrainingConfig, media: Media, corpus: Corpus, corpus_hash: str, path: Path
) -> None:
    """Pre-trains, says the loss of every epoch, and writes the weights."""
    losses: list[float] = []

    def tell(done: Batched) -> None:
        losses.append(float(done.losses_A[0]))
        if done.batch + 1 == done.num_batches:
            mean = np.mean(losses[-done.num_batches :])
            print(f"pre-training epoch {done.epoch + 1}: loss {mean:.4f}", flush=True)

    begun = time.perf_counter()
    run = Surroundings(lambda _: None, on_batch=tell)
    trained = pretrain(config, media, corpus.space, 0, run, torch.device("cpu"))
    print(f"pre-training took {time.perf_counter() - begun:.0f} s", flush=True)
    write_pretrained(path, trained, config, [corpus.name], corpus_hash)


def compared(path: Path, media: Media, corpus: Corpus, num_clips: int, epochs: int) -> None:
    """The same fine-tuning from the weights and from scratch."""
    targets = torch.tensor([corpus.target(clip) for clip in corpus.train])
    folds = np.array([clip.fold for clip in corpus.train])
    tuning = TrainingConfig(
        learning_rate=1e-3, weight_decay=0.05, batch_size=32, max_epochs=epochs, schedule="cosine",
        warmup_epochs=1, clip_norm=1.0,
    )  # fmt: skip
    found: dict[str, list[tuple[float, float]]] = {"pre-trained": [], "scratch": []}
    for seed in range(SEEDS):
        learn = np.random.default_rng(seed).choice(np.flatnonzero(folds != 0), num_clips, replace=False)
        for arm, scores in found.items():
            start = HiCMAEFusionConfig.model_validate(
                {"training": tuning, "checkpoint": path if arm == "pre-trained" else None}
            )
            scores.append(fine_tuned(start, media, targets, corpus.space, learn, folds == 0, seed))
            print(f"seed {seed}, {arm}: KL {scores[-1][0]:.4f}, top emotion {scores[-1][1]:.3f}", flush=True)
    for place, name in enumerate(("KL", "top emotion")):
        arms = {arm: np.array(scores)[:, place] for arm, scores in found.items()}
        apart = arms["pre-trained"] - arms["scratch"]
        half = CONFIDENCE_T * apart.std(ddof=1) / np.sqrt(SEEDS)
        print(
            f"{name}: pre-trained {arms['pre-trained'].mean():.4f}, scratch {arms['scratch'].mean():.4f}, "
            f"difference {apart.mean():+.4f} [{apart.mean() - half:+.4f}, {apart.mean() + half:+.4f}] over "
            f"{SEEDS} seeds{' (synthetic)' if corpus.synthetic else ''}"
        )


def fine_tuned(
    config: HiCMAEFusionConfig,
    media: Media,
    targets: torch.Tensor,
    space: LabelSpace,
    learn: np.ndarray,
    judged: np.ndarray,
    seed: int,
) -> tuple[float, float]:
    """KL to the soft labels in nats, and the share of clips whose strongest emotion is right."""
    cpu, start = torch.device("cpu"), start_of(config)
    problem = Problem(
        make_source=lambda _: MediaSource(media, cpu),
        make_network=lambda _: network_of(config, space, cpu, start),
        targets=targets_of(targets, space),
        objective=make_objective(LossConfig(), space, False, cpu),
        device=cpu,
        together=1,
    )
    job = Job(learn, config.training.max_epochs, seed, config.training.rates[0])
    trained = train(problem, [job], config.training, Surroundings(lambda _: None))
    rows = np.flatnonzero(judged)
    said = torch.from_numpy(trained.predict_all(rows)["emotions"][0])
    truth = targets[rows].double()
    loss = float(kl_to_soft_labels(said.clamp(min=1e-9).log(), truth).mean())
    right = truth.gather(1, said.argmax(dim=1, keepdim=True)).squeeze(1) >= truth.amax(dim=1)
    return loss, float(right.double().mean())


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parts = parser.add_subparsers(dest="part", required=True)
    steps = parts.add_parser("step")
    steps.add_argument("--device", default="cpu")
    steps.add_argument("--size", default="demo")
    steps.add_argument("--batch-size", type=int, default=64)
    steps.add_argument("--num-steps", type=int, default=6)
    arms = parts.add_parser("pretraining")
    arms.add_argument("folder", type=Path)
    arms.add_argument("--clips", type=int, default=300)
    arms.add_argument("--pretrain-epochs", type=int, default=10)
    arms.add_argument("--epochs", type=int, default=8)
    arms.add_argument("--checkpoint", type=Path, help="of an earlier call: skips pre-training")
    given = parser.parse_args()
    if given.device == "cpu" if given.part == "step" else True:
        torch.set_num_threads(1)
    if given.part == "step":
        step(torch.device(given.device), given.size, given.batch_size, given.num_steps)
    else:
        pretraining(given.folder, given.clips, given.pretrain_epochs, given.epochs, given.checkpoint)


if __name__ == "__main__":
    main()
