"""Forward passes of many models at once, the loss of one batch for every model, and its gradients.

All that is random in a step is drawn here. A models, B clips per model and batch, K modalities. One model
runs by itself; several through `torch.func.vmap`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.func import functional_call, vmap

from blended.fusion.config import TrainingConfig
from blended.fusion.network import Batch, Network, Outputs
from blended.fusion.objective import Objective, Targets
from blended.fusion.optimiser import Parameters
from blended.fusion.plan import Draws
from blended.fusion.sources import BatchSource

PASSING = ("parts", "steps", "valid")
"""Outputs that only the loss wants; their widths differ from batch to batch."""
OF_A_LENGTH = 64
"""Clips per model that are predicted together, where they are sorted by their lengths."""


def per_model(function: Callable[..., Any], num_models: int) -> Callable[..., Any]:
    """The function of one model's tensors as one of stacked tensors.

    One model does without vmap: some fast kernels, as those of attention, have no version under it.
    """
    if num_models > 1:
        return vmap(function)

    def alone(*stacked: Any) -> Any:
        return _mapped(lambda value: value.unsqueeze(0), function(*_mapped(lambda value: value[0], stacked)))

    return alone


def _mapped(change: Callable[[Tensor], Tensor], nested: Any) -> Any:
    """Every tensor in tuples and dictionaries changed."""
    if isinstance(nested, Tensor):
        return change(nested)
    if isinstance(nested, Mapping):
        return {key: _mapped(change, value) for key, value in nested.items()}
    return tuple(_mapped(change, value) for value in nested)


def autocast(amp: str, device: torch.device) -> torch.autocast:
    """bfloat16 for the forward pass, where asked for."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=amp == "bfloat16")


def forward(network: Network, parameters: Mapping[str, Tensor], *given: Any) -> Outputs:
    """One model's outputs with the parameters given instead of its own."""
    return functional_call(network, dict(parameters), given)


@torch.no_grad()
def outputs_of(
    network: Network,
    parameters: Parameters,
    source: BatchSource,
    models: Int[Tensor, "A"],
    rows_AB: Int[Tensor, "A B"],
    amp: str,
) -> Outputs:
    """Outputs [A, B, ...] without randomness, a few clips at a time, save what only the loss wants.

    Clips of different lengths are taken in the order of their lengths, so that little is padded.
    """
    run = per_model(lambda given, batch: forward(network, given, batch), len(models))
    lengths = source.lengths(rows_AB)
    at_once = network.clips_at_once if lengths is None else min(network.clips_at_once, OF_A_LENGTH)
    order = None if lengths is None else lengths.argsort(dim=1, stable=True)
    chunks: list[Outputs] = []
    for rows in (rows_AB if order is None else rows_AB.gather(1, order)).split(at_once, dim=1):
        with autocast(amp, rows.device):
            outputs = run(parameters, source.batch(models, rows))
        chunks.append({key: value.float() for key, value in outputs.items() if key not in PASSING})
    whole = {key: torch.cat([chunk[key] for chunk in chunks], dim=1) for key in chunks[0]}
    if order is None:
        return whole
    back = order.argsort(dim=1)
    return {key: chosen(value, back) for key, value in whole.items()}


def predictions_of(network: Network, outputs: Outputs) -> dict[str, Tensor]:
    """`emotions` and, where there are, `states` and `gates`: probabilities, or intensities."""
    wanted = {"emotions": network.scores.probabilities(outputs)}
    if "log_p_states" in outputs:
        wanted["states"] = outputs["log_p_states"].exp()
    if "gates" in outputs:
        wanted["gates"] = outputs["gates"]
    return wanted


def chosen(values: Tensor, places_AB: Int[Tensor, "A B"]) -> Tensor:
    """[A, B, ...]: for every model some of its clips, in an order of its own."""
    shape = (*places_AB.shape, *(1 for _ in values.shape[2:]))
    return values.take_along_dim(places_AB.view(shape), dim=1)


Drawn = dict[str, Tensor]
"""`uniform`, `uniform2`, `partner`, `share` and `kept`, as far as the config wants them."""


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """What a step needs beside parameters and rows."""

    network: Network
    source: BatchSource
    targets: Targets
    objective: Objective
    config: TrainingConfig
    by_length: int = 1
    """Pieces that a batch is cut into by the lengths of its clips, so that short ones are padded less. For
    losses of which every clip has one of its own, which are then the same."""


def losses_of(
    step: Step,
    parameters: Parameters,
    models: Int[Tensor, "A"],
    rows_AB: Int[Tensor, "A B"],
    weights_AB: Float[Tensor, "A B"],
    draws: Draws,
    pieces: int,
    columns: slice | None = None,
) -> Float[Tensor, "A"]:
    """Losses, with their gradients left in the parameters; with `columns`, what these clips add to both.

    A batch in several pieces has the same loss if every clip has one of its own; a loss over the batch
    (contrast, correlation) is then the mean over pieces, and mixup mixes within them.
    """
    drawn = _draw(step, rows_AB, draws)
    if step.by_length > 1:
        rows_AB, weights_AB, drawn = _sorted(step.source, rows_AB, weights_AB, drawn)
        pieces = max(pieces, step.by_length)
    total_A = weights_AB.sum(dim=1).clamp(min=1e-12)
    losses = torch.zeros(len(models), device=rows_AB.device)
    here = columns or slice(0, rows_AB.shape[1])
    size = -(-(here.stop - here.start) // pieces)
    for first in range(here.start, here.stop, size):
        part = slice(first, min(first + size, here.stop))
        rows = rows_AB[:, part].clamp(min=0)
        batch = step.source.batch(models, rows)
        random = _part(drawn, part, (rows_AB[:, part] >= 0).sum(dim=1))
        if "kept" in random:
            batch["present"] = _hidden(batch["present"], random.pop("kept"))
        given = (parameters, batch, step.targets.take(rows), weights_AB[:, part], random)
        with autocast(step.config.amp, rows.device):
            piece = per_model(_loss_of(step), len(models))(*given)
        share_A = weights_AB[:, part].sum(dim=1) / total_A
        (piece * share_A).sum().backward()
        losses += piece.detach() * share_A
    return losses


def _draw(step: Step, rows_AB: Int[Tensor, "A B"], draws: Draws) -> Drawn:
    num_clips, width = rows_AB.shape[1], step.network.noise_width
    drawn: Drawn = {}
    if width:
        drawn["uniform"] = draws.uniform(num_clips, width)
    if width and step.config.loss.r_drop:
        drawn["uniform2"] = draws.uniform(num_clips, width, turn=1)
    if step.config.mixup:
        drawn["partner"], drawn["share"] = draws.mixup(rows_AB.cpu().numpy(), step.config.mixup)
    num_modalities = step.network.num_modalities
    if step.config.modality_dropout and num_modalities > 1:
        drawn["kept"] = draws.kept_modalities(num_clips, num_modalities, step.config.modality_dropout)
    return drawn


def _sorted(
    source: BatchSource, rows_AB: Int[Tensor, "A B"], weights_AB: Float[Tensor, "A B"], drawn: Drawn
) -> tuple[Int[Tensor, "A B"], Float[Tensor, "A B"], Drawn]:
    """The clips of every model from the shortest to the longest, with what belongs to them."""
    lengths = source.lengths(rows_AB.clamp(min=0))
    if lengths is None:
        return rows_AB, weights_AB, drawn
    order = (lengths * (rows_AB >= 0)).argsort(dim=1, stable=True)
    return (
        chosen(rows_AB, order),
        chosen(weights_AB, order),
        {key: chosen(value, order) for key, value in drawn.items()},
    )


def _part(drawn: Drawn, part: slice, num_clips_A: Int[Tensor, "A"]) -> Drawn:
    """The draws of some of the clips; partners are looked for among these, never among padding."""
    random = {key: value if key == "share" else value[:, part] for key, value in drawn.items()}
    if "partner" in random:
        random["partner"] = (random["partner"] - part.start) % num_clips_A.clamp(min=1).unsqueeze(1)
    return random


def _hidden(present: Bool[Tensor, "A B K"], kept: Bool[Tensor, "A B K"]) -> Bool[Tensor, "A B K"]:
    """Without the modalities that are hidden from the network, unless that leaves a clip without any."""
    left = present & kept
    return torch.where(left.any(dim=-1, keepdim=True), left, present)


def _loss_of(step: Step) -> Callable[..., Float[Tensor, ""]]:
    """The loss of one model, a function of its tensors alone."""

    def loss(
        parameters: Mapping[str, Tensor],
        batch: Batch,
        truth: Mapping[str, Tensor],
        weights_B: Float[Tensor, "B"],
        random: Mapping[str, Tensor],
    ) -> Float[Tensor, ""]:
        partner, share = random.get("partner"), random.get("share")
        outputs = forward(step.network, parameters, batch, random.get("uniform"), partner, share)
        value = step.objective(outputs, truth, weights_B, batch["present"], partner, share)
        if "uniform2" in random:
            again = forward(step.network, parameters, batch, random["uniform2"], partner, share)
            second = step.objective(again, truth, weights_B, batch["present"], partner, share)
            apart = step.objective.consistency(outputs, again, weights_B)
            value = (value + second) / 2 + step.config.loss.r_drop * apart
        return value

    return loss
