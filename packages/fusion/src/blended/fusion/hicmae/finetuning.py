"""HiCMAE fine-tuned on the clips themselves, from a checkpoint or from scratch (arXiv 2401.05698)."""

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor

from blended.data import InputError, LabelSpace
from blended.encoders.faces import Faces
from blended.encoders.networks.checkpoint import load_state, read_state
from blended.encoders.networks.hicmae.config import BackboneConfig
from blended.encoders.networks.hicmae.network import (
    CLASSIFIER_ONLY,
    PRETRAINING_ONLY,
    HiCMAEClassifier,
    start_from_pretraining,
)
from blended.encoders.weights import checksum
from blended.fusion.config import TrainingConfig
from blended.fusion.hicmae.clips import ClipPreparation, MediaSource
from blended.fusion.hicmae.gathering import MEDIA, media_of_tracks
from blended.fusion.hicmae.network import HiCMAEFusion
from blended.fusion.hicmae.pretraining import pretrained_on
from blended.fusion.hicmae.sizes import Size, backbone_of, preparation_of
from blended.fusion.inputs import MODALITY_OF, Inputs
from blended.fusion.nested import train_nested
from blended.fusion.network import Network, ScoresHead
from blended.fusion.objective import make_objective, targets_of
from blended.fusion.run import Surroundings
from blended.fusion.strategy import (
    Applied,
    Fused,
    NewClips,
    Standardise,
    State,
    Strategy,
    fused,
    said,
    trained_from,
)
from blended.fusion.training import Problem


class HiCMAEFusionConfig(BaseModel):
    """The network, where it starts, and how it is trained."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Literal["hicmae"] = "hicmae"
    size: Size = "demo"
    """A published size, `demo` for a CPU, or all dimensions."""
    num_frames: int | None = Field(default=None, ge=2)
    """Pictures of 2.56 seconds, instead of those of the size."""
    pixels: int | None = Field(default=None, ge=8)
    """Height and width of a picture, instead of those of the size."""
    windows: int = Field(default=1, ge=1)
    """Stretches of 2.56 seconds per clip: one by chance in training, the mean of all to predict."""
    faces: Faces = None
    """Cuts the pictures down to the clip's face, which is what the published weights know."""
    checkpoint: Path | None = None
    """What training starts from: an official file, or one that `blended pretrain hicmae` wrote; None for
    random weights. Where it lies is no part of a run's identity."""
    checkpoint_sha256: str = ""
    """Of that file; filled in."""
    checkpoint_corpora: tuple[str, ...] = ()
    """Corpora whose unlabelled clips the checkpoint was pre-trained on, as far as it says; filled in."""
    freeze: int = Field(default=0, ge=0)
    """Layers that keep their weights: 1 is what cuts the input into tokens, then come the blocks."""
    layer_decay: float | int = Field(default=0.75, gt=0, le=1)
    """Each layer learns slower than the next one by this factor."""
    drop_path: float | int = Field(default=0.1, ge=0, lt=1)
    """Share of residual branches dropped in the last blocks; rises linearly from 0 in the first."""
    training: TrainingConfig = TrainingConfig(
        learning_rate=2.5e-4,
        weight_decay=0.05,
        batch_size=64,
        max_epochs=50,
        schedule="cosine",
        warmup_epochs=5,
    )
    """The default is the published one, 1e-3 for 256 clips per batch, scaled to 64."""

    @model_validator(mode="before")
    @classmethod
    def _filled_in(cls, given: Any) -> Any:
        """The hash of the checkpoint, unless it is stated: a stored config must be readable without it."""
        if not isinstance(given, Mapping) or not given.get("checkpoint") or given.get("checkpoint_sha256"):
            return given
        path = Path(given["checkpoint"])
        if not path.is_file():
            return given
        return {**given, "checkpoint_sha256": checksum(path), "checkpoint_corpora": pretrained_on(path)}

    @property
    def features(self) -> tuple[str, ...]:
        """No features of encoders."""
        return ()

    @property
    def standardise(self) -> Standardise:
        """Clips are taken as they are."""
        return "training"

    @property
    def backbone(self) -> BackboneConfig:
        """The encoders; raises InputError for pictures that cannot be cut into whole tokens."""
        return backbone_of(self.size, self.num_frames, self.pixels, self.drop_path)

    @property
    def preparation(self) -> ClipPreparation:
        """What becomes of a clip first."""
        return preparation_of(self.backbone, self.windows, faces=self.faces)


def fit_hicmae(config: HiCMAEFusionConfig, inputs: Inputs, seed: int, run: Surroundings) -> Fused:
    """Fine-tunes one network per fold, one after the other."""
    if inputs.media is None:
        raise InputError("hicmae reads the clips themselves, and only features were given: gather media")
    device, space, media = inputs.targets.device, inputs.space, inputs.media
    start = start_of(config)
    problem = Problem(
        make_source=lambda _: MediaSource(media, device),
        make_network=lambda _: network_of(config, space, device, start),
        targets=targets_of(inputs.targets, space),
        objective=make_objective(config.training.loss, space, config.training.scores == "set-ratio", device),
        device=device,
        together=1,
    )
    nested = train_nested(
        problem, inputs.folds, len(inputs.clips), config.training, seed, run, inputs.nesting
    )
    return fused(nested, inputs)


def network_of(
    config: HiCMAEFusionConfig, space: LabelSpace, device: torch.device, start: "Start | None" = None
) -> Network:
    """A fresh network; its encoders, and what else it has of the checkpoint, as there."""
    module = HiCMAEFusion(config.backbone, config.layer_decay, config.freeze)
    if start is not None:
        load_start(module.classifier, *start)
    training = config.training
    head = ScoresHead(module.width, training.hidden, space, training.scores, training.dropout, device)
    return Network(module, head)


Start = tuple[Mapping[str, Tensor], str]
"""Parameters by their official names, and where they are from."""


def load_start(classifier: HiCMAEClassifier, state: Mapping[str, Tensor], source: str) -> tuple[str, ...]:
    """Loads a checkpoint of pre-training or, save for its last layer, one of fine-tuning.

    Every parameter of file and network is accounted for; returns the names of what stays new. Raises
    InputError for one that is missing, unexpected or of another shape.
    """
    if any(name.startswith(CLASSIFIER_ONLY) for name in state):
        return load_state(classifier, state, source, ignored=("head.", *PRETRAINING_ONLY)).new
    return start_from_pretraining(classifier, state, source)


def start_of(config: HiCMAEFusionConfig) -> Start | None:
    """The checkpoint; raises InputError where it is not there or is another one than the config's."""
    if config.checkpoint is None:
        if config.checkpoint_sha256:
            raise InputError(
                f"training starts from the checkpoint {config.checkpoint_sha256[:12]}, and nobody says where "
                f"it is: name it in `checkpoint`"
            )
        return None
    found = checksum(config.checkpoint)
    if found != config.checkpoint_sha256:
        raise InputError(
            f"{config.checkpoint} is {found[:12]}, expected the checkpoint "
            f"{config.checkpoint_sha256[:12] or 'that was there when the recipe was read'}: give the same "
            f"file, or leave out checkpoint_sha256"
        )
    return _read(config.checkpoint, found), str(config.checkpoint)


@lru_cache(maxsize=1)
def _read(path: Path, _sha256: str) -> dict[str, Tensor]:
    return read_state(path)


def apply_hicmae(config: HiCMAEFusionConfig, state: State, clips: NewClips) -> Applied:
    """The final model on new clips; a track that a clip lacks is replaced by zeros."""
    media = media_of_tracks(clips.vectors, config.preparation)
    device = next(iter(state.values())).device
    network = network_of(config, clips.space, device)
    source = MediaSource(media, device)
    trained = replace(trained_from(state, "", network, source, config.training, device), together=1)
    outputs = said(trained, media.num_clips)
    return Applied(
        probabilities=outputs["emotions"],
        states=outputs.get("states"),
        weights={"+".join(media.tracks): 1.0},
        missing=tuple(name for name in MODALITY_OF if name not in media.tracks),
        out_of_distribution={},
    )


def _corpora(config: HiCMAEFusionConfig) -> tuple[str, ...]:
    return config.checkpoint_corpora


HICMAE = Strategy(
    HiCMAEFusionConfig,
    MEDIA,
    fit_hicmae,
    apply_hicmae,
    pretrained_on=_corpora,
    places=frozenset({"checkpoint"}),
)
