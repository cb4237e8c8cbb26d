"""The encoder of one modality, and the encoder that fuses two.

B batch, N video tokens, A audio tokens, D width of video, E width of audio.
"""

from collections.abc import Iterator

from jaxtyping import Float
from torch import Tensor, nn

from blended.encoders.networks.blocks import Block, CrossBlock
from blended.encoders.networks.config import BlockConfig
from blended.encoders.networks.hicmae.config import BackboneConfig, StreamConfig
from blended.encoders.networks.tokens import PatchEmbed, TubeEmbed, sinusoid_table


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
