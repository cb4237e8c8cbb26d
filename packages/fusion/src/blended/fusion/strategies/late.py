"""Late fusion: one model per encoder, their probabilities combined by what inner folds say."""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from blended.fusion.combining import Combiner, Kind, fit_combiner, read_combiner
from blended.fusion.config import FeatureNames, TrainingConfig
from blended.fusion.inputs import Inputs
from blended.fusion.nested import Nested, Predicted, train_nested
from blended.fusion.plan import inner_fold
from blended.fusion.preprocessing import PCAConfig
from blended.fusion.run import Surroundings
from blended.fusion.sources import Change
from blended.fusion.strategies.pooled import (
    Concatenation,
    out_of_distribution_distance,
    pooled_model,
    pooled_problem,
    standardised,
)
from blended.fusion.strategy import Applied, Fused, NewClips, Standardise, State, choices, said


class LateConfig(BaseModel):
    """Probabilities of one model per encoder, combined."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Literal["late"] = "late"
    features: FeatureNames
    """Encoders; each gets a model of its own."""
    standardise: Standardise = "training"
    pca: PCAConfig | None = None
    """Per encoder, fitted on the training part."""
    weights: Kind = "learned"
    """`learned`: convex weights that minimise the loss on inner folds; `stacking`: a regularised multinomial
    model on the log-probabilities of all encoders."""
    top: int | None = Field(default=None, ge=1)
    """Only so many encoders, those with the smallest loss on the inner fold; None for all."""
    training: TrainingConfig = TrainingConfig()


def fit_late(config: LateConfig, inputs: Inputs, seed: int, run: Surroundings) -> Fused:
    """Trains one head per fold and encoder, then what combines them, per fold on its inner fold alone.

    What combines for fold k is fitted on the probes' predictions for k's inner fold, so neither it nor the
    models saw a label of fold k. The final one is fitted on all out-of-fold predictions.
    """
    parts = _trained(config, inputs, seed, run)
    present = _present(config, inputs)
    train, test = present[:, : inputs.num_train], present[:, inputs.num_train :]
    inner = np.stack([part.inner["emotions"] for part in parts.values()])
    out_of_fold = np.stack([part.out_of_fold["emotions"] for part in parts.values()])
    combiners = _per_fold(config, inputs, inner, train)
    final = _fitted(config, inputs, out_of_fold, train, np.arange(inputs.num_train))

    def judged(change: Change) -> Predicted:
        given = [part.changed(change) for part in parts.values()]
        gone = np.array([inputs.modality_of[name] in change.without for name in parts])
        here = train & ~gone[:, None]
        kinds = ("emotions",) if states is None else ("emotions", "states")
        return {
            kind: _combined(combiners, inputs, np.stack([one[kind] for one in given]), here) for kind in kinds
        }

    states = None if config.weights == "stacking" else _of(parts, "out_of_fold", "states")
    test_states = None if config.weights == "stacking" else _of(parts, "test", "states")
    tested = _of(parts, "test", "emotions")
    return Fused(
        out_of_fold=_combined(combiners, inputs, out_of_fold, train),
        inner=_inner(config, inputs, inner, train),
        test=np.zeros((0, len(inputs.space.emotions))) if tested is None else final(tested, test),
        fitted=_tracked(parts, combiners, final),
        state=_state(parts, final),
        judged=judged,
        states=None if states is None else _combined(combiners, inputs, states, train),
        test_states=None if test_states is None else final(test_states, test),
        shares=_shares(parts, combiners, final),
        fitting=_fitting(config, inputs, parts, combiners, train, "emotions"),
        fitting_states=None
        if states is None
        else _fitting(config, inputs, parts, combiners, train, "states"),
    )


def _fitting(
    config: LateConfig,
    inputs: Inputs,
    parts: Mapping[str, Nested],
    combiners: Mapping[int, Combiner],
    present: Bool[np.ndarray, "encoder train"],
    kind: Literal["emotions", "states"],
) -> Float[np.ndarray, "fold train column"] | None:
    """What the decision of a fold is fitted on, by the combination of that fold: nobody saw a label of it.

    Save for its inner fold, which that combination was fitted on: there the clips of one half of the actors
    are combined by what was fitted on the other half.
    """
    if not all(part.fitting for part in parts.values()):
        return None
    given = np.stack([part.fitting[kind] for part in parts.values()])
    inner = np.stack([part.inner["emotions"] for part in parts.values()])
    combined = np.stack(
        [combiner(given[:, number], present) for number, combiner in enumerate(combiners.values())]
    )
    for number, fold in enumerate(combiners):
        rows = np.flatnonzero(inputs.folds == inner_fold(fold, [*combiners]))
        halved = _halved(config, inputs, inner, given[:, number], present, rows)
        combined[number, rows] = halved
    return combined


def _tracked(
    parts: Mapping[str, Nested], combiners: Mapping[int, Combiner], final: Combiner
) -> dict[str, float]:
    tracked: dict[str, float] = {}
    for name, part in parts.items():
        tracked |= choices(part, f"{name}/")
    for name, shares in _shares(parts, combiners, final).items():
        tracked |= {f"{name}/weight/{where}": share for where, share in shares.items()}
    return tracked


def _shares(
    parts: Mapping[str, Nested], combiners: Mapping[int, Combiner], final: Combiner
) -> dict[str, dict[str, float]]:
    """Encoder -> `fold0`, ..., `final` -> its weight."""
    fitted = {**{f"fold{fold}": combiner for fold, combiner in combiners.items()}, "final": final}
    return {
        name: {where: float(combiner.weights[number]) for where, combiner in fitted.items()}
        for number, name in enumerate(parts)
    }


def _state(parts: Mapping[str, Nested], final: Combiner) -> dict[str, Tensor]:
    heads = {
        f"{name}/{key}": value for name, part in parts.items() for key, value in part.final_state.items()
    }
    return heads | final.state


def _trained(config: LateConfig, inputs: Inputs, seed: int, run: Surroundings) -> dict[str, Nested]:
    parts: dict[str, Nested] = {}
    for number, name in enumerate(config.features):
        problem = pooled_problem(
            inputs, [name], config.standardise, config.training, config.pca, Concatenation
        )
        stage = run.stage(name, number * config.training.max_epochs)
        parts[name] = train_nested(
            problem, inputs.folds, len(inputs.clips), config.training, seed, stage, inputs.nesting
        )
    return parts


def _of(
    parts: Mapping[str, Nested], which: Literal["out_of_fold", "test"], key: str
) -> Float[np.ndarray, "encoder clip column"] | None:
    """One kind of prediction of all encoders; None where there is none."""
    given = [getattr(part, which) for part in parts.values()]
    return np.stack([one[key] for one in given]) if all(key in one for one in given) else None


def _present(config: LateConfig, inputs: Inputs) -> Bool[np.ndarray, "encoder clip"]:
    everywhere = np.zeros(len(inputs.clips), dtype=bool)
    return ~np.stack([inputs.missing.get(name, everywhere) for name in config.features])


def _per_fold(
    config: LateConfig,
    inputs: Inputs,
    inner: Float[np.ndarray, "encoder train emotion"],
    present: Bool[np.ndarray, "encoder train"],
) -> dict[int, Combiner]:
    """Reported fold -> what was fitted on the predictions for its inner fold."""
    folds: list[int] = sorted(set(inputs.folds.tolist()))
    return {
        fold: _fitted(config, inputs, inner, present, np.flatnonzero(inputs.folds == inner_fold(fold, folds)))
        for fold in folds
    }


def _fitted(
    config: LateConfig,
    inputs: Inputs,
    predicted: Float[np.ndarray, "encoder train emotion"],
    present: Bool[np.ndarray, "encoder train"],
    rows: Int[np.ndarray, "_"],
) -> Combiner:
    targets = inputs.targets[torch.as_tensor(rows, device=inputs.targets.device)]
    return fit_combiner(
        config.weights, config.top, predicted[:, rows], present[:, rows], targets, inputs.space.task
    )


def _combined(
    combiners: Mapping[int, Combiner],
    inputs: Inputs,
    predicted: Float[np.ndarray, "encoder train column"],
    present: Bool[np.ndarray, "encoder train"],
) -> Float[np.ndarray, "train column"]:
    """Every training clip by the combination of its fold."""
    combined = np.empty(predicted.shape[1:])
    for fold, combiner in combiners.items():
        rows = np.flatnonzero(inputs.folds == fold)
        combined[rows] = combiner(predicted[:, rows], present[:, rows])
    return combined


def _inner(
    config: LateConfig,
    inputs: Inputs,
    inner: Float[np.ndarray, "encoder train emotion"],
    present: Bool[np.ndarray, "encoder train"],
) -> Float[np.ndarray, "train emotion"]:
    """Every fold's clips of one half of its actors by what was fitted on the other half.

    The weights that are used were fitted on all of an inner fold; judging them there would flatter them.
    """
    combined = np.empty(inner.shape[1:])
    for fold in sorted(set(inputs.folds.tolist())):
        rows = np.flatnonzero(inputs.folds == fold)
        combined[rows] = _halved(config, inputs, inner, inner, present, rows)
    return combined


def _halved(
    config: LateConfig,
    inputs: Inputs,
    inner: Float[np.ndarray, "encoder train emotion"],
    given: Float[np.ndarray, "encoder train column"],
    present: Bool[np.ndarray, "encoder train"],
    rows: Int[np.ndarray, "own"],
) -> Float[np.ndarray, "own column"]:
    """`given` for a fold's clips of one half of its actors by what was fitted on the other half's `inner`."""
    actors = sorted({inputs.actors[row] for row in rows})
    first = np.array([actors.index(inputs.actors[row]) % 2 == 0 for row in rows])
    halves = [(first, ~first), (~first, first)] if first.any() and not first.all() else [(first | True,) * 2]
    combined = np.empty((len(rows), given.shape[-1]))
    for fitted_on, judged in halves:
        combiner = _fitted(config, inputs, inner, present, rows[fitted_on])
        combined[judged] = combiner(given[:, rows[judged]], present[:, rows[judged]])
    return combined


def apply_late(config: LateConfig, state: State, clips: NewClips) -> Applied:
    """One head per encoder that is there; the weights of those scaled to add up to 1."""
    clips = standardised(clips, config.standardise)
    combiner = read_combiner(config.weights, clips.space.task, state)
    used = [name for name in config.features if name in clips.vectors]
    outputs: dict[str, dict[str, np.ndarray]] = {}
    distances: dict[str, np.ndarray] = {}
    for name in used:
        trained = pooled_model(state, f"{name}/", [name], clips, config.training, Concatenation)
        outputs[name] = said(trained, len(clips.actors))
        distances |= out_of_distribution_distance(trained, [name])
    present = np.tile(np.array([[name in used] for name in config.features]), (1, len(clips.actors)))
    with_states = config.weights != "stacking" and all("states" in one for one in outputs.values())
    return Applied(
        probabilities=combiner(_filled(config, outputs, "emotions"), present),
        states=combiner(_filled(config, outputs, "states"), present) if with_states else None,
        weights=_weights_of(combiner, config, used),
        missing=tuple(name for name in config.features if name not in used),
        out_of_distribution=distances,
    )


def _filled(
    config: LateConfig, outputs: Mapping[str, Mapping[str, np.ndarray]], key: str
) -> Float[np.ndarray, "encoder clip column"]:
    """What every encoder says; zeros for those that are not there, which weigh nothing."""
    nothing = np.zeros_like(next(iter(outputs.values()))[key])
    return np.stack([outputs[name][key] if name in outputs else nothing for name in config.features])


def _weights_of(combiner: Combiner, config: LateConfig, used: Sequence[str]) -> dict[str, float]:
    given = {name: float(combiner.weights[config.features.index(name)]) for name in used}
    total = sum(given.values())
    # An encoder that fusion gave no weight is all there is: it then answers alone.
    return {name: given[name] / total if total > 0 else 1 / len(used) for name in used}
