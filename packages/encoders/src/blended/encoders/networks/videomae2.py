"""The network: clip -> features -> classes.

B batch, C channels, T frames, H height, W width, N tokens, D width.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from blended.encoders.networks.blocks import Block, TubeEmbed, init_truncated, sinusoid_table
from blended.encoders.networks.config import VideoMAEv2Config


class VideoMAEv2(nn.Module):
    """A stack of blocks over the tubes of one clip."""

    pos_embed: Tensor
    """[1, tokens, dim]."""

    def __init__(self, config: VideoMAEv2Config) -> None:
        super().__init__()
        self.config = config
        dim, eps = config.embed_dim, config.blocks.norm_eps
        self.patch_embed = TubeEmbed(
            config.img_size, config.patch_size, config.num_frames, config.tubelet_size, config.in_chans, dim
        )
        time, rows, columns = self.patch_embed.grid
        self._make_positions(time * rows * columns)
        self.pos_drop = nn.Dropout(config.blocks.drop_rate)
        self.blocks = nn.ModuleList(
            Block(dim, config.num_heads, config.blocks, rate, cosine=config.cosine_attention)
            for rate in config.blocks.drop_path_rates(config.depth)
        )
        self.norm = nn.Identity() if config.mean_pooling else nn.LayerNorm(dim, eps=eps)
        self.fc_norm = nn.LayerNorm(dim, eps=eps) if config.mean_pooling else nn.Identity()
        self.head_dropout = nn.Dropout(config.head_drop_rate)
        self.head = nn.Linear(dim, config.num_classes) if config.num_classes else nn.Identity()
        init_truncated(self)
        if isinstance(self.head, nn.Linear):
            with torch.no_grad():
                self.head.weight.mul_(config.init_scale)

    def features(
        self, video_BCTHW: Float[Tensor, "batch channels frames height width"]
    ) -> Float[Tensor, "batch dim"]:
        """One vector per clip, before the head; raises InputError for a video of another shape."""
        x_BND = self.pos_drop(self.patch_embed(video_BCTHW) + self.pos_embed)
        for block in self.blocks:
            x_BND = block(x_BND)
        x_BND = self.norm(x_BND)
        return self.fc_norm(x_BND.mean(dim=1) if self.config.mean_pooling else x_BND[:, 0])

    def logits(self, features_BD: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch classes"]:
        """The head on the output of `features`."""
        return self.head(self.head_dropout(features_BD))

    def forward(
        self, video_BCTHW: Float[Tensor, "batch channels frames height width"]
    ) -> Float[Tensor, "batch classes"]:
        """One logit per class."""
        return self.logits(self.features(video_BCTHW))

    def _make_positions(self, num_tokens: int) -> None:
        dim = self.config.embed_dim
        if self.config.learned_positions:
            self.pos_embed = nn.Parameter(torch.empty(1, num_tokens, dim))
            nn.init.trunc_normal_(self.pos_embed, std=0.02)
        else:
            self.register_buffer("pos_embed", sinusoid_table(num_tokens, dim), persistent=False)
