"""What a strategy trains: a fusion module that makes one vector of a clip, and a head that scores it.

A network is written for one model; the training loop runs many of them at once (`torch.func.vmap`), so it
must not branch on values. B clips, W width of the clip's vector, E emotions, S label states.

A batch is a dictionary of tensors that start with the clip: what a source gives, and `present`
[clip, modality].
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from blended.data import InputError, LabelSpace
from blended.fusion.losses import StateLayout, emotion_shares, state_layout, state_log_probabilities

Batch = dict[str, Tensor]
Outputs = dict[str, Tensor]
"""`logits` [clip, emotion], or `log_p_states` [clip, state] and `shares` [clip, emotion]; `parts` [modality,
clip, width] and `gates` [clip, encoder] where the fusion module makes them; `steps` [clip, step, emotion] and
`valid` [clip, step] where every step of time has logits of its own."""
ScoresKind = Literal["emotions", "set-ratio"]


def dropped(x_BW: Tensor, uniform_BW: Tensor | None, rate: float) -> Tensor:
    """Dropout with the draws given; nothing without draws. [.., width] against [clip, width]."""
    if uniform_BW is None or rate == 0:
        return x_BW
    return x_BW * (uniform_BW >= rate) / (1 - rate)


@dataclass(frozen=True, slots=True)
class Between:
    """The streams between which a module attends."""

    asking: str
    """Modality."""
    answering: str
    place: int
    """Column of `present` of the asking one."""
    asking_hz: float
    answering_hz: float
    """Steps per second, as the module is given them."""
    layer: int = 1
    heads_alike: bool = False
    """Whether a head means the same in every model, since all begin with the same preferences."""


class FusionModule(nn.Module):
    """Makes one vector of a clip. Subclasses define `forward(batch, uniform) -> Outputs`.

    The outputs hold `z` [clip, width], and may hold `parts` and `gates`.
    """

    def __init__(self, width: int, num_modalities: int, noise_width: int = 0) -> None:
        super().__init__()
        self.width = width
        self.num_modalities = num_modalities
        self.noise_width = noise_width
        self.rate_scales: dict[str, float] = {}
        self.attentions: dict[str, Between] = {}
        """Modules by which one modality attends to another, by their name."""
        self.clips_at_once = 512
        """Clips per model that are predicted together."""


class Head(nn.Module):
    """Linear, or Linear-ReLU-Linear, to one column per emotion."""

    def __init__(self, width: int, hidden: int, num_columns: int, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        self.noise_width = (width + hidden) if dropout else 0
        self.first = nn.Linear(width, hidden or num_columns)
        self.last = nn.Linear(hidden, num_columns) if hidden else None

    def forward(self, z_BW: Tensor, uniform: Tensor | None) -> Tensor:
        """[clip, column]."""
        width = z_BW.shape[-1]
        scores = self.first(dropped(z_BW, None if uniform is None else uniform[..., :width], self.dropout))
        if self.last is None:
            return scores
        hidden = dropped(scores.relu(), None if uniform is None else uniform[..., width:], self.dropout)
        return self.last(hidden)


class Network(nn.Module):
    """A fusion module and its head."""

    def __init__(self, module: "FusionModule", scores: "ScoresHead") -> None:
        super().__init__()
        self.fusion = module
        self.scores = scores

    @property
    def num_modalities(self) -> int:
        """Columns of `present`."""
        return self.fusion.num_modalities

    @property
    def clips_at_once(self) -> int:
        """Clips per model that are predicted together."""
        return self.fusion.clips_at_once

    @property
    def rate_scales(self) -> dict[str, float]:
        """Parameter -> factor of the learning rate, where it is not 1."""
        return {f"fusion.{name}": scale for name, scale in self.fusion.rate_scales.items()}

    @property
    def noise_width(self) -> int:
        """Uniform numbers per clip that a training pass wants."""
        return self.fusion.noise_width + self.scores.head.noise_width

    def forward(
        self,
        batch: Batch,
        uniform: Float[Tensor, "B _"] | None = None,
        partner: Int[Tensor, "B"] | None = None,
        share: Float[Tensor, "1"] | None = None,
    ) -> Outputs:
        """Outputs of every clip; with `partner`, of its mixture with another clip (mixup, 1710.09412).

        Vectors of clips are mixed, which for fusion modules without parameters is mixing features.
        """
        at = self.fusion.noise_width
        embedded = self.fusion(batch, None if uniform is None else uniform[..., :at])
        z_BW = embedded.pop("z")
        if partner is not None and share is not None:
            z_BW = share * z_BW + (1 - share) * z_BW[partner]
        outputs = embedded | self.scores(z_BW, None if uniform is None else uniform[..., at:])
        return averaged(outputs) if "valid" in outputs else outputs


def averaged(outputs: Outputs) -> Outputs:
    """From logits of every step to those of a clip: the mean over the steps that are there."""
    there = outputs["valid"].unsqueeze(-1).to(outputs["logits"].dtype)
    logits = (outputs["logits"] * there).sum(dim=-2) / there.sum(dim=-2).clamp(min=1)
    return {**outputs, "logits": logits, "steps": outputs["logits"]}


class ScoresHead(nn.Module):
    """From a clip's vector to emotions, or to a set of emotions and then the ratio of that pair.

    `set-ratio`: log p(state) = log p(set) + log p(ratio | pair), one softmax over the sets and one over the
    ratios of every pair; the probability of an emotion is its expected share.
    """

    def __init__(
        self,
        width: int,
        hidden: int,
        space: LabelSpace,
        scores: ScoresKind,
        dropout: float,
        device: torch.device,
    ) -> None:
        super().__init__()
        self.task = space.task
        self.layout: StateLayout | None = None
        num_columns = len(space.emotions)
        if scores == "set-ratio":
            if not any(state.is_blend for state in space.states):
                raise InputError(
                    f"a set-ratio head needs a corpus whose label states include blends, but this is a "
                    f"{space.task!r} task with {len(space.states)} states: use `scores: emotions`"
                )
            self.layout = state_layout(space).to(device)
            num_columns = self.layout.num_sets + self.layout.num_pairs * self.layout.num_ratios
        self.head = Head(width, hidden, num_columns, dropout)

    def forward(self, z_BW: Float[Tensor, "*B W"], uniform: Tensor | None) -> Outputs:
        """`logits`, or `log_p_states` and `shares`."""
        columns = self.head(z_BW, uniform)
        if self.layout is None:
            return {"logits": columns}
        sets, ratios = columns.split(
            [self.layout.num_sets, self.layout.num_pairs * self.layout.num_ratios], dim=-1
        )
        ratios = ratios.unflatten(-1, (self.layout.num_pairs, self.layout.num_ratios))
        log_p_states = state_log_probabilities(sets, ratios, self.layout)
        return {"log_p_states": log_p_states, "shares": emotion_shares(log_p_states, self.layout)}

    def probabilities(self, outputs: Mapping[str, Tensor]) -> Float[Tensor, "*batch E"]:
        """One column per emotion: a distribution, or intensities in [0, 1]."""
        if self.layout is not None:
            return outputs["shares"]
        if self.task == "intensities":
            return torch.sigmoid(outputs["logits"])
        return outputs["logits"].softmax(dim=-1)
