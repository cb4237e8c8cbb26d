"""HiCMAE as a masked autoencoder: which tokens are hidden, and what it makes of the others.

A mask is True where a token is hidden. Every row of a batch hides the same number of tokens, so that what is
left can be stacked. B batch, N tokens, V visible tokens, M masked tokens, D width of the encoder, E width of
the decoder, P values of a token.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from blended.data.errors import InputError
from blended.encoders.networks.blocks import Block, CrossBlock, init_xavier, sinusoid_table
from blended.encoders.networks.config import BlockConfig
from blended.encoders.networks.hicmae.config import DecoderConfig, PretrainConfig
from blended.encoders.networks.hicmae.network import Encoder, FusionEncoder, audio_encoder, video_encoder

VIDEO_RATIO = 0.9
AUDIO_RATIO = 0.8


def tube_mask(
    batch_size: int,
    grid: tuple[int, int, int],
    ratio: float = VIDEO_RATIO,
    generator: torch.Generator | None = None,
) -> Bool[Tensor, "batch tokens"]:
    """Hides the same random positions in every time step, so that no neighbour in time gives them away.

    `grid` is tokens along (time, height, width); in each step int(ratio * height * width) positions are
    hidden. Raises InputError unless 0 <= ratio < 1.
    """
    time, height, width = grid
    return random_mask(batch_size, height * width, ratio, generator).repeat(1, time)


def random_mask(
    batch_size: int, num_tokens: int, ratio: float = AUDIO_RATIO, generator: torch.Generator | None = None
) -> Bool[Tensor, "batch tokens"]:
    """Hides int(ratio * num_tokens) random tokens in each row; raises InputError unless 0 <= ratio < 1."""
    return hidden_of_draws(torch.rand(batch_size, num_tokens, generator=generator), ratio)


def hidden_of_draws(draws_BN: Float[Tensor, "batch tokens"], ratio: float) -> Bool[Tensor, "batch tokens"]:
    """The same from random numbers that were drawn elsewhere, where they are."""
    if not 0 <= ratio < 1:
        raise InputError(f"mask ratio {ratio}: give a share of the tokens from 0 to below 1")
    return draws_BN.argsort(dim=1) < int(ratio * draws_BN.shape[1])


def split_indices(
    mask_BN: Bool[Tensor, "batch tokens"],
) -> tuple[Int[Tensor, "batch visible"], Int[Tensor, "batch masked"]]:
    """Positions of the visible and of the masked tokens, each in ascending order.

    Raises InputError where the rows hide different numbers of tokens.
    """
    num_masked_B = mask_BN.sum(dim=1)
    low, high = (int(count) for count in num_masked_B.aminmax())
    if low != high:
        raise InputError(
            f"a row of the batch hides {low} tokens and another {high}; every row must hide as many: "
            "make masks with tube_mask or random_mask"
        )
    order_BN = mask_BN.to(torch.uint8).argsort(dim=1, stable=True)
    num_visible = mask_BN.shape[1] - low
    return order_BN[:, :num_visible], order_BN[:, num_visible:]


def take(
    x_BND: Float[Tensor, "batch tokens dim"], index_BV: Int[Tensor, "batch chosen"]
) -> Float[Tensor, "batch chosen dim"]:
    """The tokens at the given positions of each row."""
    return x_BND.gather(1, index_BV[:, :, None].expand(-1, -1, x_BND.shape[2]))


Gathered = Callable[[Tensor], Tensor]
"""From [batch, dim] of this process to that of all, one after the other."""


@dataclass(frozen=True, slots=True)
class Reconstruction:
    """What the autoencoder makes of a batch."""

    video: Float[Tensor, "batch masked_video values_video"]
    """Predicted values of the masked video tokens, in their order."""
    audio: Float[Tensor, "batch masked_audio values_audio"]
    """Predicted values of the masked audio tokens, in their order."""
    logits_per_video: tuple[Float[Tensor, "compared compared"], ...]
    """For each intermediate layer, row i: similarity of video i to every audio over the temperature."""


class Decoder(nn.Module):
    """A plain block, then cross blocks that look at the encoder's intermediate layers, the last one first."""

    def __init__(self, decoder: DecoderConfig, config: BlockConfig) -> None:
        super().__init__()
        dim, num_heads = decoder.dim, decoder.num_heads
        first_rate, *rates = config.drop_path_rates(decoder.depth)
        self.blocks = nn.ModuleList([Block(dim, num_heads, config, first_rate)])
        self.blocks.extend(CrossBlock(dim, dim, num_heads, config, rate) for rate in rates)
        self.norm = nn.LayerNorm(dim, eps=config.norm_eps)
        self.head = nn.Linear(dim, decoder.num_values)

    def forward(
        self,
        x_BNE: Float[Tensor, "batch tokens dim"],
        skips: Sequence[Float[Tensor, "batch visible dim"]],
        num_masked: int,
    ) -> Float[Tensor, "batch masked values"]:
        """Predictions for the last `num_masked` tokens; for all of them where nothing is masked."""
        first, *others = self.blocks
        x_BNE = first(x_BNE)
        for block, skip_BVE in zip(others, reversed(skips), strict=True):
            x_BNE = block(x_BNE, skip_BVE)
        return self.head(self.norm(x_BNE[:, -num_masked:]))


class HiCMAEAutoencoder(nn.Module):
    """Predicts the masked tokens of a video and of its sound from the visible tokens of both."""

    pos_embed: Tensor
    pos_embed_audio: Tensor

    def __init__(self, config: PretrainConfig) -> None:
        super().__init__()
        self.config = config
        self.gathered: Gathered | None = None
        """Where several processes share a batch: from the vectors of one to those of all, with gradients, so
        that clips are contrasted with all others."""
        backbone, video, audio = config.backbone, config.decoder_video, config.decoder_audio
        self.encoder = video_encoder(backbone, config.encoder_num_classes)
        self.encoder_audio = audio_encoder(backbone, config.encoder_num_classes)
        self.encoder_fusion = FusionEncoder(backbone, backbone.blocks)
        self.decoder = Decoder(video, backbone.blocks)
        self.decoder_audio = Decoder(audio, backbone.blocks)
        for part in self.children():
            init_xavier(part)
        self.encoder_to_decoder = nn.Linear(backbone.video.dim, video.dim, bias=False)
        self.encoder_to_decoder_audio = nn.Linear(backbone.audio.dim, audio.dim, bias=False)
        self.mask_token = _mask_token(video.dim)
        self.mask_token_audio = _mask_token(audio.dim)
        table = sinusoid_table(self.encoder.pos_embed.shape[1], video.dim)
        table_audio = sinusoid_table(self.encoder_audio.pos_embed.shape[1], audio.dim)
        self.register_buffer("pos_embed", table, persistent=False)
        self.register_buffer("pos_embed_audio", table_audio, persistent=False)

    def forward(
        self,
        video_BCTHW: Float[Tensor, "batch channels frames height width"],
        audio_BCSF: Float[Tensor, "batch audio_channels audio_frames bins"],
        mask_video_BN: Bool[Tensor, "batch video_tokens"],
        mask_audio_BN: Bool[Tensor, "batch audio_tokens"],
    ) -> Reconstruction:
        """Masks are True where a token is hidden, as many in each row. Raises InputError for wrong shapes."""
        visible_video_BV, masked_video_BM = split_indices(mask_video_BN)
        visible_audio_BV, masked_audio_BM = split_indices(mask_audio_BN)
        video_BVD, video_layers = self._encode(self.encoder, video_BCTHW, visible_video_BV)
        audio_BVD, audio_layers = self._encode(self.encoder_audio, audio_BCSF, visible_audio_BV)
        logits = [
            contrastive_logits(video, audio, self.config.temperature, self.gathered)
            for video, audio in zip(video_layers, audio_layers, strict=True)
        ]
        video_BVD, audio_BVD = self.encoder_fusion(video_BVD, audio_BVD)
        to_video, to_audio = self.encoder_to_decoder, self.encoder_to_decoder_audio
        predicted_video_BMP = _decode(
            self.decoder,
            to_video(video_BVD),
            [to_video(layer) for layer in video_layers],
            self.mask_token,
            self.pos_embed,
            visible_video_BV,
            masked_video_BM,
        )
        predicted_audio_BMP = _decode(
            self.decoder_audio,
            to_audio(audio_BVD),
            [to_audio(layer) for layer in audio_layers],
            self.mask_token_audio,
            self.pos_embed_audio,
            visible_audio_BV,
            masked_audio_BM,
        )
        return Reconstruction(predicted_video_BMP, predicted_audio_BMP, tuple(logits))

    def _encode(self, encoder: Encoder, inputs: Tensor, visible_BV: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The output of the encoder for the visible tokens, and those of its intermediate layers."""
        x_BVD = take(encoder.embed(inputs), visible_BV)
        outputs = list(encoder.layer_outputs(x_BVD))
        last_BVD = outputs[-1] if outputs else encoder.norm(x_BVD)
        return encoder.head(last_BVD), [outputs[layer] for layer in self.config.intermediate_layers]


def contrastive_logits(
    video_BVD: Float[Tensor, "batch video_tokens dim"],
    audio_BVD: Float[Tensor, "batch audio_tokens dim"],
    temperature: float,
    gathered: Gathered | None = None,
) -> Float[Tensor, "compared compared"]:
    """Cosine similarity of the mean tokens of videos (rows) and audios (columns), over the temperature."""
    video_BD, audio_BD = video_BVD.mean(dim=1), audio_BVD.mean(dim=1)
    video_BD = video_BD / video_BD.norm(dim=1, keepdim=True)
    audio_BD = audio_BD / audio_BD.norm(dim=1, keepdim=True)
    if gathered is not None:
        video_BD, audio_BD = gathered(video_BD), gathered(audio_BD)
    return video_BD @ audio_BD.T / temperature


def _decode(
    decoder: Decoder,
    visible_BVE: Float[Tensor, "batch visible dim"],
    layers: Sequence[Float[Tensor, "batch visible dim"]],
    mask_token_11E: Float[Tensor, "1 1 dim"],
    positions_1NE: Float[Tensor, "1 tokens dim"],
    visible_BV: Int[Tensor, "batch visible"],
    masked_BM: Int[Tensor, "batch masked"],
) -> Float[Tensor, "batch predicted values"]:
    """Visible tokens first, mask tokens after them: positions, not the order, say where a token belongs."""
    positions_BNE = positions_1NE.expand(len(visible_BV), -1, -1)
    at_visible_BVE = take(positions_BNE, visible_BV)
    at_masked_BME = take(positions_BNE, masked_BM)
    x_BNE = torch.cat([visible_BVE + at_visible_BVE, mask_token_11E + at_masked_BME], dim=1)
    return decoder(x_BNE, [layer + at_visible_BVE for layer in layers], masked_BM.shape[1])


def _mask_token(dim: int) -> nn.Parameter:
    token = nn.Parameter(torch.zeros(1, 1, dim))
    nn.init.trunc_normal_(token, std=0.02, a=-0.02, b=0.02)
    return token
