"""HiCMAE pre-training on unlabelled clips: masked reconstruction and hierarchical contrast, and its file."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, Field
from safetensors import SafetensorError, safe_open
from torch import Tensor

from blended.data import InputError, LabelSpace
from blended.data.checksums import write_tensors
from blended.data.code_versions import code_version
from blended.encoders.faces import Faces
from blended.encoders.networks.hicmae.config import BackboneConfig, PretrainConfig
from blended.encoders.networks.hicmae.targets import PretrainLossConfig
from blended.fusion.config import TrainingConfig
from blended.fusion.hicmae.clips import ClipPreparation, MediaSource
from blended.fusion.hicmae.network import MaskedNetwork, MaskedObjective
from blended.fusion.hicmae.sizes import Size, autoencoder_of, backbone_of, preparation_of
from blended.fusion.inputs import Media
from blended.fusion.objective import LossConfig, Targets
from blended.fusion.parallel import ALONE, Parallel
from blended.fusion.plan import Job
from blended.fusion.run import Surroundings
from blended.fusion.training import Problem, Trained, train

PREFIX = "autoencoder."
CORPORA_KEY = "pretrained_on"
"""Metadata key: JSON list of the corpora whose unlabelled clips, of all folds, were learned from."""


class PretrainingConfig(BaseModel):
    """The autoencoder and its training; the defaults of the paper but for the size."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: Size = "demo"
    """A published size, `demo` for a CPU, or all dimensions."""
    num_frames: int | None = Field(default=None, ge=2)
    """Pictures of 2.56 seconds, instead of those of the size."""
    pixels: int | None = Field(default=None, ge=8)
    """Height and width of a picture, instead of those of the size."""
    windows: int = Field(default=1, ge=1)
    """Stretches of 2.56 seconds per clip, of which every epoch sees one by chance."""
    faces: Faces = None
    """Cuts the pictures down to the clip's face."""
    contrastive_weight: float | int = Field(default=0.0025, ge=0)
    """Of the contrast between pictures and sound; 0.1 makes features collapse."""
    frame_difference: bool = False
    """Predict the second picture of a tube as its difference to the first."""
    training: TrainingConfig = TrainingConfig(
        learning_rate=7.5e-5,
        weight_decay=0.05,
        beta2=0.95,
        batch_size=64,
        max_epochs=100,
        schedule="cosine",
        warmup_epochs=5,
    )
    """3e-4 for 256 clips per batch, scaled to 64."""

    @property
    def backbone(self) -> BackboneConfig:
        """The encoders; raises InputError for pictures that cannot be cut into whole tokens."""
        return backbone_of(self.size, self.num_frames, self.pixels)

    @property
    def network(self) -> PretrainConfig:
        """Encoders and decoders."""
        return autoencoder_of(self.size, self.backbone)

    @property
    def loss(self) -> PretrainLossConfig:
        """What is predicted."""
        return PretrainLossConfig(
            contrastive_weight=float(self.contrastive_weight), frame_difference=self.frame_difference
        )

    @property
    def preparation(self) -> ClipPreparation:
        """What becomes of a clip first."""
        return preparation_of(self.backbone, self.windows, faces=self.faces)

    def identity(self, corpus_hash: str, seed: int, pieces: int) -> str:
        """SHA-256 over what the weights depend on, the code that trains included."""
        parts = [self.model_dump(mode="json"), corpus_hash, seed, pieces, code_version([pretrain])]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def pretrain(
    config: PretrainingConfig,
    media: Media,
    space: LabelSpace,
    seed: int,
    run: Surroundings,
    device: torch.device,
    *,
    pieces: int = 1,
    parallel: Parallel = ALONE,
) -> Trained:
    """Learns from the clips that have pictures and sound; labels are not looked at.

    With `pieces` the gradients of so many parts of a batch are accumulated, and clips are contrasted within
    a part (of all processes). Raises InputError where no clip has both.
    """
    rows = media.whole
    if not len(rows):
        raise InputError("no clip has both pictures and sound: pre-training needs both")
    problem = Problem(
        make_source=lambda _: MediaSource(media, device),
        make_network=lambda _: MaskedNetwork(config.network, config.loss, parallel),
        targets=Targets(
            torch.zeros(media.num_clips, len(space.emotions), device=device),
            torch.full((media.num_clips,), -1, device=device),
        ),
        objective=MaskedObjective(
            LossConfig(), space, False, None, float(config.contrastive_weight), parallel
        ),
        device=device,
        pieces=pieces,
        parallel=parallel,
    )
    training = config.training
    jobs = [Job(rows, training.max_epochs, seed, rate) for rate in training.rates]
    if len(jobs) > 1:
        raise InputError(f"{len(jobs)} learning rates for pre-training, expected one")
    return train(problem, jobs, training, run)


def weights_of(trained: Trained) -> dict[str, Tensor]:
    """The autoencoder's parameters by their official names, on the CPU."""
    return {
        name.removeprefix(PREFIX): value[0].detach().cpu().contiguous()
        for name, value in trained.parameters.items()
    }


def write_pretrained(
    path: Path, trained: Trained, config: PretrainingConfig, corpora: Sequence[str], corpus_hash: str
) -> None:
    """A safetensors file that fine-tuning and the encoder `hicmae` start from."""
    metadata = {
        CORPORA_KEY: json.dumps(list(corpora)),
        "pretraining": config.model_dump_json(),
        "backbone": config.backbone.model_dump_json(),
        "corpus_hash": corpus_hash,
    }
    write_tensors(path, {name: value.numpy() for name, value in weights_of(trained).items()}, metadata)


def pretrained_on(path: Path) -> tuple[str, ...]:
    """Corpora that a checkpoint of `blended pretrain` names; none for other files."""
    if path.suffix != ".safetensors":
        return ()
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(CORPORA_KEY, "[]")
    except SafetensorError:
        return ()  # Whoever reads the weights says what is wrong with the file.
    return tuple(str(name) for name in json.loads(text))
