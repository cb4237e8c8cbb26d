"""HiCMAE in the training loop: as a fusion module that makes a clip's vector, and as a masked autoencoder.

Masks, and the window that a clip shows, come from the loop's own draws: they are a function of seed, epoch
and batch, on one process or on several. B clip, W window, F frame, S spectrogram frame, M mel bin, L clip and
window together (in contrasts: intermediate layer), N clips in all, G clips of all processes.
"""

import re
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor, nn
from torch.nn import functional

from blended.encoders.networks.hicmae.config import BackboneConfig, FinetuneConfig, PretrainConfig
from blended.encoders.networks.hicmae.network import HiCMAEClassifier
from blended.encoders.networks.hicmae.pretrain import (
    AUDIO_RATIO,
    VIDEO_RATIO,
    HiCMAEAutoencoder,
    hidden_of_draws,
)
from blended.encoders.networks.hicmae.targets import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    PretrainLossConfig,
    pretraining_targets,
)
from blended.fusion.inputs import PICTURES, SOUND
from blended.fusion.losses import weighted_mean
from blended.fusion.network import Batch, FusionModule, Network, Outputs
from blended.fusion.objective import Objective
from blended.fusion.parallel import Parallel

ACTIVATIONS_AT_ONCE = 2**23
"""Numbers in the tokens of the clips that are predicted together: some hundred megabytes with what is made of
them."""
SEED, WINDOW = range(2)
"""What a clip's uniform numbers are for."""

_BLOCK = re.compile(r"encoder(?:_audio)?\.blocks\.(\d+)\.")
_FUSION = re.compile(r"encoder_fusion\.blocks(?:_audio)?\.(\d+)\.")


class HiCMAEFusion(FusionModule):
    """The classifier of the paper without its last layer.

    While training, one window per clip is looked at, chosen by chance, and residual branches are dropped;
    otherwise the vectors of all windows are averaged. A track that a clip lacks, or that modality dropout
    hides, is replaced by zeros: an average picture, an average spectrogram.
    """

    def __init__(self, backbone: BackboneConfig, layer_decay: float | int, frozen_layers: int) -> None:
        super().__init__(2 * (backbone.video.dim + backbone.audio.dim), num_modalities=2, noise_width=2)
        self.classifier = HiCMAEClassifier(FinetuneConfig(backbone=backbone, num_classes=0))
        names = [name for name, _ in self.classifier.named_parameters()]
        scales = rate_scales(names, backbone, layer_decay, frozen_layers)
        self.rate_scales = {f"classifier.{name}": scale for name, scale in scales.items()}
        self.clips_at_once = max(1, min(512, ACTIVATIONS_AT_ONCE // num_activations(backbone)))

    def forward(self, batch: Batch, uniform: Float[Tensor, "B 2"] | None = None) -> Outputs:
        """`z` [clip, width] from `pictures` [B, W, F, height, width, 3] and `sound` [B, W, S, M]."""
        pictures, sound = batch[PICTURES], batch[SOUND]
        if uniform is not None:
            pictures, sound = one_window(pictures, uniform[:, WINDOW]), one_window(sound, uniform[:, WINDOW])
        num_windows = pictures.shape[1]
        video, audio = network_inputs(pictures, sound, batch["present"])
        self.classifier.train(uniform is not None)
        with seeded_by(uniform):
            z_LK = self.classifier.features(video, audio)
        return {"z": z_LK.unflatten(0, (-1, num_windows)).mean(dim=1)}


def rate_scales(
    names: Iterable[str], backbone: BackboneConfig, decay: float | int, frozen_layers: int
) -> dict[str, float]:
    """Parameter of the classifier -> factor of the learning rate, where it is not 1.

    Layer-wise decay (BEiT, arXiv 2106.08254): what cuts the input into tokens is layer 0, then come the
    blocks of the encoders (both alike), those of the fusion encoder, and last norms and layer weights. With
    `frozen_layers` n the first n layers do not learn at all.
    """
    depth = max(backbone.video.depth, backbone.audio.depth)
    last = depth + backbone.fusion_depth + 1
    scales: dict[str, float] = {}
    for name in names:
        layer = _layer_of(name, depth, last)
        scale = 0.0 if layer < frozen_layers else decay ** (last - layer)
        if scale != 1.0:
            scales[name] = scale
    return scales


def _layer_of(name: str, depth: int, last: int) -> int:
    if "patch_embed" in name:
        return 0
    if found := _BLOCK.match(name):
        return int(found[1]) + 1
    if found := _FUSION.match(name):
        return depth + int(found[1]) + 1
    return last


def num_activations(backbone: BackboneConfig) -> int:
    """Numbers in the tokens of one window."""
    frames, rows, columns = backbone.video_grid
    audio_rows, audio_columns = backbone.audio.grid
    video = frames * rows * columns * backbone.video.dim
    return video + audio_rows * audio_columns * backbone.audio.dim


def one_window(values: Tensor, uniform_B: Float[Tensor, "B"]) -> Tensor:
    """[clip, 1, ...]: the window that every clip's number in [0, 1) falls on."""
    chosen_B = (uniform_B * values.shape[1]).long()
    return values[torch.arange(len(values), device=values.device), chosen_B].unsqueeze(1)


def network_inputs(
    pictures: UInt8[Tensor, "B W F height width 3"],
    sound: Float[Tensor, "B W S M"],
    present_BK: Bool[Tensor, "B 2"],
) -> tuple[Float[Tensor, "L 3 F height width"], Float[Tensor, "L 1 S M"]]:
    """Normalised pictures (ImageNet) and spectrograms of all windows; zeros for a track that is not there."""
    mean = torch.tensor(IMAGENET_MEAN, device=pictures.device) * 255
    std = torch.tensor(IMAGENET_STD, device=pictures.device) * 255
    there_L2 = present_BK.repeat_interleave(pictures.shape[1], dim=0).float()
    video = ((pictures.flatten(0, 1).float() - mean) / std).permute(0, 4, 1, 2, 3)
    video = video * there_L2[:, 0, None, None, None, None]
    return video, (sound.flatten(0, 1) * there_L2[:, 1, None, None]).unsqueeze(1)


@contextmanager
def seeded_by(uniform: Float[Tensor, "B 2"] | None) -> Generator[None]:
    """Random branches that are a function of the batch's draws, so that training goes on exactly."""
    if uniform is None:
        yield
        return
    devices = [uniform.device] if uniform.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(int(uniform[0, SEED] * 2**24))
        yield


class MaskedNetwork(Network):
    """The masked autoencoder; its outputs are errors, for there are no labels."""

    def __init__(self, config: PretrainConfig, loss: PretrainLossConfig, parallel: Parallel) -> None:
        nn.Module.__init__(self)
        self.loss = loss
        self.autoencoder = HiCMAEAutoencoder(config)
        self.autoencoder.gathered = parallel.gathered
        backbone = config.backbone
        self.grid, audio_grid = backbone.video_grid, backbone.audio.grid
        self.num_positions = self.grid[1] * self.grid[2]
        self.num_audio = audio_grid[0] * audio_grid[1]

    @property
    def num_modalities(self) -> int:
        """Pictures and sound."""
        return 2

    @property
    def clips_at_once(self) -> int:
        """Clips per model that are predicted together."""
        return max(1, 2**23 // num_activations(self.autoencoder.config.backbone))

    @property
    def rate_scales(self) -> dict[str, float]:
        """All parameters learn alike."""
        return {}

    @property
    def noise_width(self) -> int:
        """The window, and a number for every place that may be hidden."""
        return 1 + self.num_positions + self.num_audio

    def forward(
        self,
        batch: Batch,
        uniform: Float[Tensor, "B _"] | None = None,
        partner: Int[Tensor, "B"] | None = None,
        share: Float[Tensor, "1"] | None = None,
    ) -> Outputs:
        """`video` and `audio` [clip]: mean squared errors; `logits_per_video` [layer, G, G]."""
        if uniform is None or partner is not None:
            raise TypeError("a masked autoencoder needs its draws, and mixes no clips")
        pictures = one_window(batch[PICTURES], uniform[:, 0])
        sound = one_window(batch[SOUND], uniform[:, 0])
        video, audio = network_inputs(pictures, sound, batch["present"])
        places, patches = uniform[:, 1:].split([self.num_positions, self.num_audio], dim=1)
        mask_video = hidden_of_draws(places, VIDEO_RATIO).repeat(1, self.grid[0])
        mask_audio = hidden_of_draws(patches, AUDIO_RATIO)
        made = self.autoencoder(video, audio, mask_video, mask_audio)
        backbone = self.autoencoder.config.backbone
        wanted = pretraining_targets(video, audio, mask_video, mask_audio, backbone, self.loss)
        return {
            "video": (made.video.float() - wanted.video.float()).square().mean(dim=(1, 2)),
            "audio": (made.audio.float() - wanted.audio.float()).square().mean(dim=(1, 2)),
            "logits_per_video": torch.stack(made.logits_per_video).float(),
        }


@dataclass(frozen=True, slots=True, eq=False)
class MaskedObjective(Objective):
    """L = MSE of pictures + MSE of sound + weight * contrast (arXiv 2401.05698)."""

    contrastive_weight: float
    parallel: Parallel

    def __call__(
        self,
        outputs: Outputs,
        truth: Mapping[str, Tensor],
        weights_B: Float[Tensor, "B"],
        present_BK: Tensor,
        partner: Int[Tensor, "B"] | None = None,
        share: Float[Tensor, "1"] | None = None,
    ) -> Float[Tensor, ""]:
        """Of the clips with weight; contrast is among all of them, on all processes."""
        error = weighted_mean(outputs["video"] + outputs["audio"], weights_B)
        weights_G = self.parallel.gathered(weights_B)
        return error + self.contrastive_weight * hierarchical_contrast(outputs["logits_per_video"], weights_G)

    def weights(self, values_NE: Float[Tensor, "N E"]) -> Float[Tensor, "N"]:
        """All clips count alike."""
        return torch.ones_like(values_NE[:, 0])

    def counted(self, states_N: Int[Tensor, "N"]) -> Float[Tensor, "N"]:
        """Clips without a label too."""
        return torch.ones_like(states_N, dtype=torch.float)


def hierarchical_contrast(
    logits_LGG: Float[Tensor, "L G G"], weights_G: Float[Tensor, "G"]
) -> Float[Tensor, ""]:
    """Symmetric cross-entropy in nats, summed over layers; clips of weight 0 are nobody's choice."""
    nobody_GG = (weights_G == 0).expand(len(weights_G), -1)
    own_G = torch.arange(len(weights_G), device=weights_G.device)
    total = weights_G.new_zeros(())
    for logits_GG in logits_LGG:
        for direction in (logits_GG, logits_GG.T):
            chosen = functional.cross_entropy(direction.masked_fill(nobody_GG, -1e4), own_G, reduction="none")
            total = total + weighted_mean(chosen, weights_G) / 2
    return total
