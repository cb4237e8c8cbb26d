"""Where batches come from: pooled features, or sequences, prepared for each model by its own training part.

M models, B clips, K modalities, N clips in all. A source belongs to the jobs that it was made for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from blended.data import InputError
from blended.fusion.network import Batch
from blended.fusion.plan import Job
from blended.fusion.preprocessing import PCAConfig, Standardiser, fit_standardiser, rotated


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """What is done to features before they are judged, to learn what they were good for."""

    without: frozenset[str] = frozenset()
    """Modalities that are taken away."""
    shuffled: frozenset[str] = frozenset()
    """Encoders whose features come from other clips."""
    columns: Int[Tensor, "_"] | None = None
    """Only these columns of them; None for all."""
    order: Int[Tensor, "N"] | None = None
    """From which clip they come then."""


@runtime_checkable
class BatchSource(Protocol):
    """Batches for the models of some jobs."""

    def batch(self, models: Int[Tensor, "A"], rows_AB: Int[Tensor, "A B"]) -> Batch:
        """Tensors [A, B, ...] of the clips of each of the models, given by their places."""
        ...

    def lengths(self, rows_AB: Int[Tensor, "A B"]) -> Int[Tensor, "A B"] | None:
        """Steps of the clips, where they differ: a batch is padded to its longest."""
        ...

    def changed(self, change: Change) -> "BatchSource":
        """A source of the same clips with changed features."""
        ...

    def state(self, models: Sequence[int]) -> dict[str, Tensor]:
        """What new clips need to be prepared likewise, [model, ...] by name."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Pooled:
    """One vector per clip and encoder."""

    features: Mapping[str, Float[Tensor, "N _"]]
    """Encoder -> raw features; rows of clips that lack it are 0."""
    present: Mapping[str, Bool[Tensor, "N"]]
    """Encoder -> whether a clip has its features."""
    present_NK: Bool[Tensor, "N K"]
    """Whether a clip has any features of a modality."""
    modality_of: Mapping[str, int]
    """Encoder -> column of `present_NK`."""
    standardisers: Mapping[str, Standardiser]
    components: Mapping[str, Float[Tensor, "M D R"]] = field(default_factory=dict)
    prepared: Mapping[str, Float[Tensor, "M N R"]] = field(default_factory=dict)
    """Features with PCA, computed once for all clips."""
    change: Change = field(default_factory=Change)
    modalities: tuple[str, ...] = ()

    def batch(self, models: Int[Tensor, "A"], rows_AB: Int[Tensor, "A B"]) -> Batch:
        """[A, B, width] per encoder, 0 where missing; `<encoder>.present` [A, B], `present` [A, B, K]."""
        batch: Batch = {"present": present_after(self.change, self.modalities, self.present_NK[rows_AB])}
        for name in self.features:
            batch[f"{name}.present"] = self.present[name][rows_AB]
            batch[name] = self._one(name, models, rows_AB) * batch[f"{name}.present"].unsqueeze(-1)
        return batch

    def _one(self, name: str, models: Tensor, rows_AB: Tensor) -> Float[Tensor, "A B _"]:
        order, columns = self.change.order, self.change.columns
        if name not in self.change.shuffled or order is None:
            if name in self.prepared:
                return self.prepared[name][models[:, None], rows_AB]
            x_ABD = self.features[name][rows_AB]
        else:
            # A clip without these features has none to lend.
            others = torch.where(self.present[name][order[rows_AB]], order[rows_AB], rows_AB)
            x_ABD = self.features[name][others]
            if columns is not None:
                x_ABD = self.features[name][rows_AB].index_copy(2, columns, x_ABD[..., columns])
        x_ABD = self.standardisers[name](x_ABD, models)
        return x_ABD @ self.components[name][models] if name in self.components else x_ABD

    def lengths(self, rows_AB: Int[Tensor, "A B"]) -> Int[Tensor, "A B"] | None:
        """None: vectors have no length."""
        return None

    def changed(self, change: Change) -> "Pooled":
        """A source of the same clips with changed features."""
        return replace(self, change=change)

    def state(self, models: Sequence[int]) -> dict[str, Tensor]:
        """`<encoder>.mean`, `.spread` and `.components`."""
        places = list(models)
        state: dict[str, Tensor] = {}
        for name, standardiser in self.standardisers.items():
            state[f"{name}.mean"] = standardiser.mean_MD[places]
            state[f"{name}.spread"] = standardiser.spread_MD[places]
            if name in self.components:
                state[f"{name}.components"] = self.components[name][places]
        return state

    @property
    def widths(self) -> dict[str, int]:
        """Encoder -> columns of its part of a batch."""
        return {
            name: self.components[name].shape[2] if name in self.components else x.shape[1]
            for name, x in self.features.items()
        }


def pooled_source(
    features: Mapping[str, Float[Tensor, "N _"]],
    present: Mapping[str, Bool[Tensor, "N"]],
    modality_of: Mapping[str, str],
    jobs: Sequence[Job],
    pca: PCAConfig | None,
) -> Pooled:
    """Standardised, and with `pca` rotated, on the clips of each job that have the encoder."""
    modalities = tuple(dict.fromkeys(modality_of[name] for name in features))
    standardisers: dict[str, Standardiser] = {}
    components: dict[str, Tensor] = {}
    prepared: dict[str, Tensor] = {}
    for name, x_ND in features.items():
        parts = [_with(present[name], job) for job in jobs]
        if not all(len(rows) for rows in parts):
            raise InputError(
                f"no clip of a training part has the features {name!r}: extract them, or leave them out"
            )
        standardisers[name] = fit_standardiser(x_ND, parts)
        if pca is not None:
            components[name], prepared[name] = rotated(x_ND, standardisers[name], parts, pca)
    columns = [
        torch.stack([present[name] for name in features if modality_of[name] == modality]).any(dim=0)
        for modality in modalities
    ]
    return Pooled(
        features,
        present,
        torch.stack(columns, dim=1),
        {name: modalities.index(modality_of[name]) for name in features},
        standardisers,
        components,
        prepared,
        modalities=modalities,
    )


def present_after(
    change: Change, modalities: Sequence[str], present: Bool[Tensor, "*batch K"]
) -> Bool[Tensor, "*batch K"]:
    """Which modalities are left."""
    if not change.without:
        return present
    kept = [name not in change.without for name in modalities]
    return present & torch.tensor(kept, device=present.device)


def _with(present_N: Tensor, job: Job) -> Tensor:
    rows = torch.as_tensor(job.rows, device=present_N.device)
    return rows[present_N[rows]]
