"""Sequences of features per clip, one after the other in one matrix, and batches of them.

F time steps of all clips, N clips, D width, T steps of the longest clip of a batch, M models, B clips per
batch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from blended.fusion.network import Batch
from blended.fusion.plan import Job
from blended.fusion.preprocessing import PCAConfig, Standardiser, fit_standardiser, rotated
from blended.fusion.sources import Change, present_after


@dataclass(frozen=True, slots=True, eq=False)
class Sequences:
    """The features of one encoder, or of several side by side."""

    values_FD: Float[Tensor, "F D"]
    """All steps of the first clip, then of the second, and so on."""
    starts_N: Int[Tensor, "N"]
    """Where each clip begins."""
    lengths_N: Int[Tensor, "N"]
    """Steps per clip; 0 for a clip without these features."""
    rate_hz: float
    """Steps per second."""
    gaps: bool = False
    """Whether clips lack one of several encoders: its columns are NaN there, and count as average once they
    are standardised."""

    @property
    def clip_of_step(self) -> Int[Tensor, "F"]:
        """The clip that every step belongs to."""
        return torch.repeat_interleave(
            torch.arange(len(self.lengths_N), device=self.lengths_N.device), self.lengths_N
        )


def pack(clips: Sequence[Float[np.ndarray, "_ D"] | None], rate_hz: float, device: str) -> Sequences:
    """From one [time, dim] array per clip; None for a clip without."""
    dim = next((x.shape[1] for x in clips if x is not None), 0)
    arrays = [np.zeros((0, dim), np.float32) if x is None else x.astype(np.float32) for x in clips]
    lengths = torch.tensor([len(x) for x in arrays], device=device)
    starts = lengths.cumsum(0) - lengths
    return Sequences(torch.from_numpy(np.concatenate(arrays)).to(device), starts, lengths, rate_hz)


@dataclass(frozen=True, slots=True, eq=False)
class SequenceSource:
    """Standardised sequences per modality, padded to the longest of the batch."""

    sequences: Mapping[str, Sequences]
    """Modality -> its features."""
    standardisers: Mapping[str, Standardiser]
    components: Mapping[str, Float[Tensor, "M D R"]]
    """Modality -> principal components; empty without PCA."""
    prepared: Mapping[str, Float[Tensor, "M F R"]]
    """All steps in their coordinates, with PCA."""
    max_steps: Mapping[str, int]
    """Modality -> steps beyond which a clip is cut."""
    blocks: Mapping[str, tuple[str, int, int]] = field(default_factory=dict)
    """Encoder -> modality, and its first and last + 1 column there."""
    change: Change = field(default_factory=Change)

    @property
    def modalities(self) -> tuple[str, ...]:
        """In the order of `present`."""
        return tuple(self.sequences)

    def batch(self, models: Int[Tensor, "A"], rows_AB: Int[Tensor, "A B"]) -> Batch:
        """Per modality values [A, B, T, D], `<modality>.valid` [A, B, T]; and `present` [A, B, K]."""
        present = torch.stack([s.lengths_N[rows_AB] > 0 for s in self.sequences.values()], dim=-1)
        batch: Batch = {"present": present_after(self.change, self.modalities, present)}
        for name, sequences in self.sequences.items():
            batch[name], batch[f"{name}.valid"] = self._one(name, sequences, models, rows_AB)
        return batch

    def lengths(self, rows_AB: Int[Tensor, "A B"]) -> Int[Tensor, "A B"] | None:
        """Steps of all modalities together."""
        of_each = [
            given.lengths_N[rows_AB].clamp(max=self.max_steps[name]) for name, given in self.sequences.items()
        ]
        return torch.stack(of_each).sum(dim=0)

    def _one(
        self, name: str, sequences: Sequences, models: Tensor, rows_AB: Tensor
    ) -> tuple[Float[Tensor, "A B T D"], Bool[Tensor, "A B T"]]:
        lengths_AB = sequences.lengths_N[rows_AB].clamp(max=self.max_steps[name])
        num_steps = max(1, int(lengths_AB.max()))
        steps_T = torch.arange(num_steps, device=rows_AB.device)
        valid_ABT = steps_T < lengths_AB.unsqueeze(-1)
        places = (sequences.starts_N[rows_AB].unsqueeze(-1) + steps_T) * valid_ABT
        if name in self.prepared and self.change.order is None:
            x_ABTD = self.prepared[name][models[:, None, None], places]
        else:
            # In place: each fresh copy of a batch of wide features costs as much as what is computed.
            x_ABTD = self._shuffled(name, _steps(sequences.values_FD, places), sequences, rows_AB, steps_T)
            self.standardisers[name].in_place(x_ABTD.flatten(1, 2), models)
            if sequences.gaps:
                x_ABTD.nan_to_num_(nan=0.0)
            if name in self.components:
                x_ABTD = torch.einsum("abtd,adr->abtr", x_ABTD, self.components[name][models])
        return x_ABTD.mul_(valid_ABT.unsqueeze(-1)), valid_ABT

    @property
    def widths(self) -> dict[str, int]:
        """Modality -> columns of its part of a batch."""
        return {
            name: self.components[name].shape[2] if name in self.components else given.values_FD.shape[1]
            for name, given in self.sequences.items()
        }

    def _shuffled(
        self, name: str, x_ABTD: Tensor, sequences: Sequences, rows_AB: Tensor, steps_T: Tensor
    ) -> Tensor:
        """Steps of other clips in some columns.

        The other clip's last step where it is shorter; the clip's own steps where the other has none.
        """
        if self.change.order is None:
            return x_ABTD
        for encoder in self.change.shuffled:
            modality, first, last_column = self.blocks[encoder]
            if modality != name:
                continue
            columns = torch.arange(first, last_column, device=steps_T.device)
            if self.change.columns is not None:
                columns = columns[self.change.columns]
            others = self.change.order[rows_AB]
            others = torch.where(sequences.lengths_N[others] > 0, others, rows_AB)
            last = (sequences.lengths_N[others] - 1).clamp(min=0).unsqueeze(-1)
            places = sequences.starts_N[others].unsqueeze(-1) + torch.minimum(steps_T, last)
            places = places.clamp(max=len(sequences.values_FD) - 1)
            x_ABTD = x_ABTD.index_copy(3, columns, sequences.values_FD[places][..., columns])
        return x_ABTD

    def changed(self, change: Change) -> "SequenceSource":
        """A source of the same clips with changed features."""
        return replace(self, change=change)

    def state(self, models: Sequence[int]) -> dict[str, Tensor]:
        """`<modality>.mean` and `.spread`."""
        places = list(models)
        state: dict[str, Tensor] = {}
        for name, standardiser in self.standardisers.items():
            state[f"{name}.mean"] = standardiser.mean_MD[places]
            state[f"{name}.spread"] = standardiser.spread_MD[places]
            if name in self.components:
                state[f"{name}.components"] = self.components[name][places]
        return state


def _steps(values_FD: Float[Tensor, "F D"], places_ABT: Int[Tensor, "A B T"]) -> Float[Tensor, "A B T D"]:
    """A copy of the steps at these places."""
    return values_FD.index_select(0, places_ABT.flatten()).unflatten(0, places_ABT.shape)


def sequence_source(
    sequences: Mapping[str, Sequences],
    blocks: Mapping[str, tuple[str, int, int]],
    max_seconds: float | int,
    jobs: Sequence[Job],
    pca: PCAConfig | None,
) -> SequenceSource:
    """Standardised, and with `pca` rotated, on all time steps of the clips of each job."""
    standardisers: dict[str, Standardiser] = {}
    components: dict[str, Tensor] = {}
    prepared: dict[str, Tensor] = {}
    for name, given in sequences.items():
        clip_of_step = given.clip_of_step
        parts: list[Tensor] = []
        for job in jobs:
            wanted = torch.zeros(len(given.lengths_N), dtype=torch.bool, device=clip_of_step.device)
            wanted[torch.as_tensor(job.rows, device=clip_of_step.device)] = True
            parts.append(wanted[clip_of_step].nonzero().squeeze(1))
        values, gaps = given.values_FD, given.gaps
        standardisers[name] = fit_standardiser(values, parts, gaps=gaps)
        if pca is not None:
            components[name], prepared[name] = rotated(values, standardisers[name], parts, pca, gaps=gaps)
    max_steps = {name: max(1, round(max_seconds * given.rate_hz)) for name, given in sequences.items()}
    return SequenceSource(sequences, standardisers, components, prepared, max_steps, blocks)


def joined(parts: Sequence[Sequences]) -> Sequences:
    """The clips of all parts, which have one rate and one width."""
    lengths = torch.cat([part.lengths_N for part in parts])
    values = torch.cat([part.values_FD for part in parts])
    return Sequences(values, lengths.cumsum(0) - lengths, lengths, parts[0].rate_hz)


def chosen(sequences: Sequences, rows: Sequence[int]) -> Sequences:
    """Some of the clips, in the order given."""
    lengths = sequences.lengths_N[list(rows)]
    starts = lengths.cumsum(0) - lengths
    clip_of_step = torch.repeat_interleave(torch.arange(len(rows), device=lengths.device), lengths)
    within = torch.arange(len(clip_of_step), device=lengths.device) - starts[clip_of_step]
    places = sequences.starts_N[list(rows)][clip_of_step] + within
    return Sequences(sequences.values_FD[places], starts, lengths, sequences.rate_hz)


def resampled(sequences: Sequences, to_hz: float) -> Sequences:
    """Sequences at another rate: means of the steps that fall together, or steps repeated."""
    if to_hz == sequences.rate_hz:
        return sequences
    from_hz, given = sequences.rate_hz, sequences.lengths_N.double()
    # Products first and in float64: a step on the border of two belongs to the later one.
    lengths = (
        (given * to_hz / from_hz).ceil() if to_hz > from_hz else ((given - 1) * to_hz / from_hz).floor() + 1
    )
    lengths = (lengths * (given > 0)).long()
    starts = lengths.cumsum(0) - lengths
    device = lengths.device
    if to_hz > from_hz:
        clip_of_step = torch.repeat_interleave(torch.arange(len(lengths), device=device), lengths)
        within = torch.arange(len(clip_of_step), device=device) - starts[clip_of_step]
        last = sequences.lengths_N[clip_of_step] - 1
        places = (within.double() * from_hz / to_hz).long().minimum(last) + sequences.starts_N[clip_of_step]
        return Sequences(sequences.values_FD[places], starts, lengths, to_hz)
    clip_of_step = sequences.clip_of_step
    within = torch.arange(len(clip_of_step), device=device) - sequences.starts_N[clip_of_step]
    places = starts[clip_of_step] + (within.double() * to_hz / from_hz).long()
    total = torch.zeros(int(lengths.sum()), sequences.values_FD.shape[1], device=device)
    total.index_add_(0, places, sequences.values_FD)
    counts = torch.bincount(places, minlength=len(total)).clamp(min=1)
    return Sequences(total / counts.unsqueeze(1), starts, lengths, to_hz)


def side_by_side(parts: Sequence[Sequences]) -> Sequences:
    """Columns of several at one rate; a clip lasts as long as its longest part, whose last step the others
    repeat. A clip without one part has gaps there: a zero would be a value, far from the mean of features
    that are never near zero.
    """
    gaps = uneven(parts)
    lengths = torch.stack([part.lengths_N for part in parts]).amax(dim=0)
    starts = lengths.cumsum(0) - lengths
    clip_of_step = torch.repeat_interleave(torch.arange(len(lengths), device=lengths.device), lengths)
    within = torch.arange(len(clip_of_step), device=lengths.device) - starts[clip_of_step]
    columns: list[Tensor] = []
    for part in parts:
        if not len(part.values_FD):
            raise ValueError("a part without any step has no columns to stand beside others")
        own = part.lengths_N[clip_of_step]
        places = part.starts_N[clip_of_step] + torch.minimum(within, (own - 1).clamp(min=0))
        values = part.values_FD[places.clamp(max=len(part.values_FD) - 1)]
        columns.append(values.masked_fill((own == 0).unsqueeze(1), torch.nan))
    return Sequences(torch.cat(columns, dim=1), starts, lengths, parts[0].rate_hz, gaps)


def uneven(parts: Sequence[Sequences]) -> bool:
    """Whether some clips have some of the parts and lack others."""
    there = torch.stack([part.lengths_N > 0 for part in parts])
    return bool((there.any(dim=0) & ~there.all(dim=0)).any())
