"""The encoder of one modality, the encoder that fuses two, and the classifier on top of them.

B batch, N video tokens, A audio tokens, L layers, D width of video, E width of audio, K = 2 x (D + E).
"""

from collections.abc import Iterator, Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from blended.data.errors import InputError
from blended.encoders.networks.blocks import (
    Block,
    CrossBlock,
    PatchEmbed,
    TubeEmbed,
    init_truncated,
    init_xavier,
    sinusoid_table,
)
from blended.encoders.networks.checkpoint import load_state
from blended.encoders.networks.config import BlockConfig
from blended.encoders.networks.hicmae.config import BackboneConfig, FinetuneConfig, StreamConfig


class Encoder(nn.Module):
    """Tokens of one modality, their positions, and a stack of blocks with one final norm."""

    pos_embed: Tensor
    """[1, tokens, dim]; fixed, so absent from checkpoints."""

    def __init__(
        self,
        patch_embed: TubeEmbed | PatchEmbed,
        num_tokens: int,
        stream: StreamConfig,
        config: BlockConfig,
        num_classes: int = 0,
    ) -> None:
        super().__init__()
        self.patch_embed = patch_embed
        self.register_buffer("pos_embed", sinusoid_table(num_tokens, stream.dim), persistent=False)
        rates = config.drop_path_rates(stream.depth)
        self.blocks = nn.ModuleList(Block(stream.dim, stream.num_heads, config, rate) for rate in rates)
        self.norm = nn.LayerNorm(stream.dim, eps=config.norm_eps)
        self.head = nn.Linear(stream.dim, num_classes) if num_classes else nn.Identity()

    def embed(self, inputs: Float[Tensor, "batch *input"]) -> Float[Tensor, "batch tokens dim"]:
        """The tokens of a batch of videos or spectrograms, with their positions added."""
        return self.patch_embed(inputs) + self.pos_embed

    def layer_outputs(self, x_BND: Float[Tensor, "batch tokens dim"]) -> Iterator[Tensor]:
        """After each block, its output through the final norm: [batch, tokens, dim]."""
        for block in self.blocks:
            x_BND = block(x_BND)
            yield self.norm(x_BND)


class FusionEncoder(nn.Module):
    """Cross blocks in both directions."""

    def __init__(self, backbone: BackboneConfig, config: BlockConfig) -> None:
        super().__init__()
        video_dim, audio_dim, num_heads = backbone.video.dim, backbone.audio.dim, backbone.fusion_num_heads
        rates = config.drop_path_rates(backbone.fusion_depth)
        self.blocks = nn.ModuleList(
            CrossBlock(video_dim, audio_dim, num_heads, config, rate) for rate in rates
        )
        self.blocks_audio = nn.ModuleList(
            CrossBlock(audio_dim, video_dim, num_heads, config, rate) for rate in rates
        )
        self.norm = nn.LayerNorm(video_dim, eps=config.norm_eps)
        self.norm_audio = nn.LayerNorm(audio_dim, eps=config.norm_eps)

    def forward(
        self,
        video_BND: Float[Tensor, "batch video_tokens video_dim"],
        audio_BAE: Float[Tensor, "batch audio_tokens audio_dim"],
    ) -> tuple[Float[Tensor, "batch video_tokens video_dim"], Float[Tensor, "batch audio_tokens audio_dim"]]:
        """In each layer both modalities look at the other as it was before the layer."""
        for block, block_audio in zip(self.blocks, self.blocks_audio, strict=True):
            video_BND, audio_BAE = block(video_BND, audio_BAE), block_audio(audio_BAE, video_BND)
        return self.norm(video_BND), self.norm_audio(audio_BAE)


def video_encoder(backbone: BackboneConfig, num_classes: int = 0) -> Encoder:
    """The encoder of [batch, channels, frames, height, width]."""
    video = backbone.video
    embed = TubeEmbed(
        video.size, video.patch_size, backbone.num_frames, backbone.tubelet_size, video.in_chans, video.dim
    )
    time, rows, columns = backbone.video_grid
    return Encoder(embed, time * rows * columns, video, backbone.blocks, num_classes)


def audio_encoder(backbone: BackboneConfig, num_classes: int = 0) -> Encoder:
    """The encoder of [batch, channels, spectrogram frames, mel bins]."""
    audio = backbone.audio
    embed = PatchEmbed(audio.size, audio.patch_size, audio.in_chans, audio.dim)
    rows, columns = audio.grid
    return Encoder(embed, rows * columns, audio, backbone.blocks, num_classes)


ACTIVATIONS = {"sigmoid": nn.Sigmoid, "relu": nn.ReLU, "tanh": nn.Tanh}

PRETRAINING_ONLY = ("mask_token", "encoder_to_decoder", "decoder.", "decoder_audio.")
"""How the parameters begin that pre-training leaves behind."""

CLASSIFIER_ONLY = ("video_layer_weights", "audio_layer_weights", "fc_norm.", "head.")
"""How the parameters begin that are new at fine-tuning."""


class HiCMAEClassifier(nn.Module):
    """Classifies a video with its sound from all layers of both encoders and from the fused tokens."""

    def __init__(self, config: FinetuneConfig) -> None:
        super().__init__()
        self.config = config
        backbone = config.backbone
        self.encoder = video_encoder(backbone)
        self.encoder_audio = audio_encoder(backbone)
        # The published fine-tuning has no dropout in the fusion encoder, whatever the rate.
        self.encoder_fusion = FusionEncoder(backbone, backbone.blocks.model_copy(update={"drop_rate": 0.0}))
        init_truncated(self.encoder)
        init_truncated(self.encoder_audio)
        init_xavier(self.encoder_fusion)
        self.pos_drop = nn.Dropout(backbone.blocks.drop_rate)
        video, audio = backbone.video, backbone.audio
        self.video_layer_weights = nn.Parameter(torch.full((video.depth,), 1 / video.depth))
        self.audio_layer_weights = nn.Parameter(torch.full((audio.depth,), 1 / audio.depth))
        num_features = 2 * (video.dim + audio.dim)
        self.fc_norm = nn.LayerNorm(num_features, eps=backbone.blocks.norm_eps)
        self.head = nn.Linear(num_features, config.num_classes) if config.num_classes else nn.Identity()
        activation = ACTIVATIONS[config.head_activation] if config.head_activation else nn.Identity
        self.activation = activation()

    def features(
        self,
        video_BCTHW: Float[Tensor, "batch channels frames height width"],
        audio_BCSF: Float[Tensor, "batch audio_channels audio_frames bins"],
    ) -> Float[Tensor, "batch features"]:
        """[video, audio, fused video, fused audio] after `fc_norm`; raises InputError for wrong shapes."""
        video_BD, video_BND = self._encode(self.encoder, video_BCTHW, self.video_layer_weights)
        audio_BD, audio_BND = self._encode(self.encoder_audio, audio_BCSF, self.audio_layer_weights)
        fused_video_BND, fused_audio_BND = self.encoder_fusion(video_BND, audio_BND)
        parts = [video_BD, audio_BD, fused_video_BND.mean(dim=1), fused_audio_BND.mean(dim=1)]
        return self.fc_norm(torch.cat(parts, dim=-1))

    def logits(self, features_BK: Float[Tensor, "batch features"]) -> Float[Tensor, "batch classes"]:
        """The head on the output of `features`."""
        return self.activation(self.head(features_BK))

    def forward(
        self,
        video_BCTHW: Float[Tensor, "batch channels frames height width"],
        audio_BCSF: Float[Tensor, "batch audio_channels audio_frames bins"],
    ) -> Float[Tensor, "batch classes"]:
        """One logit per class (through the activation, where the config has one)."""
        return self.logits(self.features(video_BCTHW, audio_BCSF))

    def _encode(self, encoder: Encoder, inputs: Tensor, layer_weights_L: Tensor) -> tuple[Tensor, Tensor]:
        """The mean tokens of all layers, weighted and summed, and the tokens of the last layer."""
        x_BND = self.pos_drop(encoder.embed(inputs))
        means: list[Tensor] = []
        for layer_BND in encoder.layer_outputs(x_BND):
            means.append(layer_BND.mean(dim=1))
            x_BND = layer_BND
        means_BLD = torch.stack(means, dim=1)
        return torch.einsum("bld,l->bd", means_BLD, layer_weights_L.softmax(dim=0)), x_BND


def start_from_pretraining(
    classifier: HiCMAEClassifier, state: Mapping[str, Tensor], source: str
) -> tuple[str, ...]:
    """Loads the three encoders of a pre-training checkpoint; returns the names of what stays new.

    `source` names the checkpoint for messages. Raises InputError where an encoder has a gap, or where the
    checkpoint is of a classifier.
    """
    if fitted := sorted(name for name in state if name.startswith(CLASSIFIER_ONLY)):
        raise InputError(
            f"{source} holds {', '.join(fitted[:3])}: that is a fine-tuned classifier, and a pre-training "
            "checkpoint was expected; load it whole with load_state"
        )
    return load_state(classifier, state, source, new=CLASSIFIER_ONLY, ignored=PRETRAINING_ONLY).new
