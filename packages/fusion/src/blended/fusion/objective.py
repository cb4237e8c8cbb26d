"""What training minimises: one main loss, and what may be added to it.

B clips of a batch, E emotions, S label states. Everything runs per model under `torch.func.vmap`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from blended.data import InputError, LabelSpace
from blended.data.labels import Task
from blended.fusion.losses import (
    clip_weights,
    ep_ce,
    kl_to_soft_labels,
    one_minus_ccc,
    one_minus_pearson,
    pairwise_contrastive,
    polarity_of,
    salience_ranking,
    set_ratio_nll,
    state_layout,
    state_of_targets,
    symmetric_kl,
    weighted_mean,
)
from blended.fusion.network import Outputs

LOSSES: dict[str, Callable[..., Tensor]] = {
    "kl": kl_to_soft_labels,
    "ep-ce": ep_ce,
    "set-ratio": set_ratio_nll,
    "pearson": one_minus_pearson,
    "ccc": one_minus_ccc,
    "ranking": salience_ranking,
    "contrastive": pairwise_contrastive,
    "r_drop": symmetric_kl,
}
"""What an objective is made of; `losses_of_objective` says which of them a config uses."""


class LossConfig(BaseModel):
    """The loss. What it is by default depends on the task and on the head."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Literal["auto", "kl", "ep-ce", "pearson", "ccc", "pearson+ccc"] = "auto"
    """`auto`: KL to soft labels for emotions, the likelihood of the label state for a set-ratio head, 1 - CCC
    for intensities."""
    balance: float | None = Field(default=None, gt=0, lt=1)
    """Weight of all blends together against all single emotions; None as they come, 0.5 for alike."""
    ranking: float = Field(default=0.0, ge=0)
    """Weight of the ranking of the emotions of a clip by salience."""
    contrastive: float = Field(default=0.0, ge=0)
    """Weight of the contrast between modalities; for strategies that embed each modality."""
    r_drop: float = Field(default=0.0, ge=0)
    """Weight of the divergence between two passes with different dropout (R-Drop, arXiv 2106.14448)."""


def losses_of_objective(config: LossConfig, task: Task, has_states: bool) -> tuple[str, ...]:
    """Keys of `LOSSES` that an objective with this config computes, the main one first."""
    added = [name for name in ("ranking", "contrastive", "r_drop") if getattr(config, name)]
    if task == "intensities":
        main = {"pearson": ["pearson"], "pearson+ccc": ["pearson", "ccc"]}.get(config.name, ["ccc"])
    else:
        main = ["set-ratio"] if has_states else ["ep-ce" if config.name == "ep-ce" else "kl"]
    return (*main, *added)


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """Truth per clip, on the device."""

    values_NE: Float[Tensor, "N E"]
    """Distributions, or intensities in [0, 1]; rows of zeros for clips without a label."""
    states_N: Int[Tensor, "N"]
    """Index of the label state; -1 where there is none."""

    def take(self, rows: Tensor) -> dict[str, Tensor]:
        """Truth of some clips, as a part of a batch."""
        return {"values": self.values_NE[rows], "states": self.states_N[rows]}


def targets_of(values_NE: Float[Tensor, "N E"], space: LabelSpace) -> Targets:
    """Targets from distributions or intensities."""
    states = torch.full((len(values_NE),), -1, dtype=torch.long, device=values_NE.device)
    if any(state.is_blend for state in space.states):
        states = state_of_targets(values_NE, state_layout(space).to(values_NE.device))
    return Targets(values_NE, states)


@dataclass(frozen=True, slots=True, eq=False)
class Objective:
    """A loss for one label space."""

    config: LossConfig
    space: LabelSpace
    has_states: bool
    """Whether the head gives label states."""
    polarity_E: Int[Tensor, "E"] | None

    def __call__(
        self,
        outputs: Outputs,
        truth: Mapping[str, Tensor],
        weights_B: Float[Tensor, "B"],
        present_BK: Tensor,
        partner: Int[Tensor, "B"] | None = None,
        share: Float[Tensor, "1"] | None = None,
    ) -> Float[Tensor, ""]:
        """The mean loss of a batch of mixtures or of single clips; 0 where all weights are 0."""
        loss = self._main(outputs, truth, weights_B)
        if partner is not None and share is not None:
            # Each half of a mixture counts as its own clip does, so that the balance holds.
            theirs = {key: value[partner] for key, value in truth.items()}
            their_weights_B = torch.where(weights_B > 0, weights_B[partner], 0)
            other = self._main(outputs, theirs, their_weights_B)
            loss = share.squeeze(0) * loss + (1 - share.squeeze(0)) * other
        if self.config.contrastive and "parts" not in outputs:
            raise InputError(
                "contrastive compares the embeddings of modalities, and this strategy makes none: leave it "
                "out, or use cross-attention"
            )
        if self.config.contrastive:
            targets = None if self.space.task == "intensities" else truth["values"]
            contrast = LOSSES["contrastive"](outputs["parts"].float(), targets, present_BK, weights_B)
            loss = loss + self.config.contrastive * contrast
        return loss

    def _main(
        self, outputs: Outputs, truth: Mapping[str, Tensor], weights_B: Float[Tensor, "B"]
    ) -> Float[Tensor, ""]:
        if self.space.task == "intensities":
            return self._of_intensities(outputs["logits"].float(), truth["values"], weights_B)
        if "steps" in outputs:
            return self._of_steps(outputs, truth, weights_B)
        loss = weighted_mean(self.per_clip(outputs, truth), weights_B)
        if self.config.ranking:
            ranked = LOSSES["ranking"](_log_shares(outputs, self), truth["values"])
            loss = loss + self.config.ranking * weighted_mean(ranked, weights_B)
        return loss

    def _of_steps(
        self, outputs: Outputs, truth: Mapping[str, Tensor], weights_B: Float[Tensor, "B"]
    ) -> Float[Tensor, ""]:
        """The mean over all steps of all clips, each of which has the label of its clip."""
        values_BTE = truth["values"].unsqueeze(-2).expand_as(outputs["steps"])
        losses_BT = self.per_clip({"logits": outputs["steps"]}, {"values": values_BTE})
        weights_BT = weights_B.unsqueeze(-1) * outputs["valid"]
        return weighted_mean(losses_BT.flatten(-2), weights_BT.flatten(-2))

    def per_clip(self, outputs: Outputs, truth: Mapping[str, Tensor]) -> Float[Tensor, "*B"]:
        """The main loss of each clip, for tasks in which a clip has one."""
        if self.has_states:
            return LOSSES["set-ratio"](outputs["log_p_states"].float(), truth["states"])
        logits = outputs["logits"].float()
        if self.polarity_E is not None:
            return LOSSES["ep-ce"](logits, truth["values"], self.polarity_E)
        return LOSSES["kl"](logits, truth["values"])

    def _of_intensities(self, logits_BE: Tensor, values_BE: Tensor, weights_B: Tensor) -> Float[Tensor, ""]:
        predicted = torch.sigmoid(logits_BE)
        used = losses_of_objective(self.config, self.space.task, self.has_states)
        parts = [LOSSES[name](predicted, values_BE, weights_B) for name in used if name in ("pearson", "ccc")]
        return torch.stack(parts).mean()

    def consistency(
        self, first: Outputs, second: Outputs, weights_B: Float[Tensor, "B"]
    ) -> Float[Tensor, ""]:
        """How far two passes over a batch differ."""
        key = "log_p_states" if self.has_states else "logits"
        return weighted_mean(LOSSES["r_drop"](first[key].float(), second[key].float()), weights_B)

    def criterion(
        self, outputs: Outputs, truth: Mapping[str, Tensor], weights_B: Float[Tensor, "B"]
    ) -> Float[Tensor, ""]:
        """What is watched on clips of an inner fold: the main loss without weights or additions."""
        if self.space.task == "intensities":
            return self._of_intensities(outputs["logits"].float(), truth["values"], weights_B)
        return weighted_mean(self.per_clip(outputs, truth), weights_B * self.counted(truth["states"]))

    def counted(self, states_N: Int[Tensor, "N"]) -> Float[Tensor, "N"]:
        """0 for a label that is no state where the head gives states: nothing can be learned from it."""
        return (states_N >= 0).float() if self.has_states else torch.ones_like(states_N, dtype=torch.float)

    def weights(self, values_NE: Float[Tensor, "N E"]) -> Float[Tensor, "N"]:
        """Weight per clip of a training part."""
        return clip_weights(values_NE, self.config.balance)


def _log_shares(outputs: Outputs, objective: Objective) -> Tensor:
    if not objective.has_states:
        return outputs["logits"].float()
    return outputs["shares"].float().clamp(min=1e-6).log()


def make_objective(
    config: LossConfig, space: LabelSpace, has_states: bool, device: torch.device
) -> Objective:
    """Raises InputError for a loss that does not fit the task or the head."""
    of_intensities = {"auto", "pearson", "ccc", "pearson+ccc"}
    intensities = space.task == "intensities"
    if config.name != "auto" and intensities != (config.name in of_intensities):
        fitting = sorted(of_intensities) if intensities else ["auto", "kl", "ep-ce"]
        raise InputError(
            f"loss {config.name!r} does not fit a {space.task!r} task: expected one of {', '.join(fitting)}"
        )
    if intensities and (config.ranking or config.r_drop or config.balance):
        raise InputError("ranking, r_drop and balance are for distributions over emotions, not intensities")
    if has_states and config.name == "ep-ce":
        raise InputError(
            "ep-ce weighs emotions and a set-ratio head gives label states: use `scores: emotions`"
        )
    polarity = polarity_of(space.emotions).to(device) if config.name == "ep-ce" else None
    return Objective(config, space, has_states, polarity)
