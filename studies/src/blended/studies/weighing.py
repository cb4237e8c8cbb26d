"""What a run's fusion counts encoders for, and what its streams attend to, as plain values for figures."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from blended.data.labels import set_name
from blended.eval.importance import Attention, Weights
from blended.fusion.attending import Attended
from blended.studies.trial import TrialResult

NUM_DECIMALS = 5


def weighed(result: TrialResult) -> Weights | None:
    """Of training clips, by models that did not see them; None for a strategy that has no weights."""
    fused = result.fused
    gates = _gates(result) if fused.gates else {}
    attention = _attention(result)
    if not (gates or fused.shares or attention):
        return None
    shares = {
        name: {where: round(value, NUM_DECIMALS) for where, value in of_folds.items()}
        for name, of_folds in fused.shares.items()
    }
    return Weights(gates, shares, attention)


def _gates(result: TrialResult) -> dict[str, dict[str, float]]:
    """Encoder -> set of emotions, single ones first -> mean gate."""
    truth = result.train.truth
    found = {mixture.emotions for mixture in truth if mixture is not None}
    sets = sorted(found, key=lambda emotions: (len(emotions), set_name(emotions)))
    rows = {
        set_name(emotions): [
            row for row, mixture in enumerate(truth) if mixture is not None and mixture.emotions == emotions
        ]
        for emotions in sets
    }
    everyone = {"all clips": [*range(len(result.train.clip_ids))], **rows}
    return {
        encoder: {name: round(float(gate[own].mean()), NUM_DECIMALS) for name, own in everyone.items()}
        for encoder, gate in result.fused.gates.items()
    }


def _attention(result: TrialResult) -> tuple[Attention, ...]:
    """With the clip that the models read best as an example: a blend, where there are any."""
    if result.fused.attended is None:
        return ()
    example = _best_read(result)
    clip_id = result.corpus.train[example].id
    return tuple(_plain(one, example, clip_id) for one in result.fused.attended([example]))


def _best_read(result: TrialResult) -> int:
    """The place of the clip with most of its probability where it belongs."""
    wanted = np.array([result.corpus.target(clip) for clip in result.corpus.train])
    overlap = np.minimum(result.fused.out_of_fold, wanted).sum(axis=1)
    blends = (wanted > 0).sum(axis=1) > 1
    return int(np.where(blends | ~blends.any(), overlap, -1.0).argmax())


def _plain(one: Attended, example: int, clip_id: str) -> Attention:
    shown = one.clips.get(example)
    given = Attention(
        asking=one.asking,
        answering=one.answering,
        layer=one.layer,
        lags_seconds=_rounded(one.lags_seconds),
        preference=[_rounded(row) for row in one.preference],
        nothing=_rounded(one.nothing),
    )
    if shown is None:
        return given
    return replace(
        given,
        clip_id=clip_id,
        asking_seconds=_rounded(shown.asking_seconds),
        answering_seconds=_rounded(shown.answering_seconds),
        example=[_rounded(row) for row in shown.weights],
    )


def _rounded(values: Float[np.ndarray, "value"]) -> list[float]:
    return [round(float(value), NUM_DECIMALS) for value in values]
