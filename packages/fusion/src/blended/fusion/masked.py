"""HiCMAE pre-training on the one training loop: hidden parts of pictures and sound are predicted.

Masks, and the window that a clip shows, come from the loop's own draws: they are a function of seed, epoch
and batch, on one process or on several. B clip, N tokens, L intermediate layer, G clips of all processes.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from blended.encoders.networks.hicmae.config import PretrainConfig
from blended.encoders.networks.hicmae.loss import PretrainLossConfig, pretraining_targets
from blended.encoders.networks.hicmae.pretrain import (
    AUDIO_RATIO,
    VIDEO_RATIO,
    HiCMAEAutoencoder,
    hidden_of_draws,
)
from blended.fusion.losses import weighted_mean
from blended.fusion.media import PICTURES, SOUND
from blended.fusion.modules.hicmae import network_inputs, num_activations, one_window
from blended.fusion.network import Batch, Network, Outputs
from blended.fusion.objective import Objective
from blended.fusion.parallel import Parallel


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
        """As in fine-tuning."""
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
