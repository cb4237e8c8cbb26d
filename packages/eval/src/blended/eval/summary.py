"""An evaluation as plain data: the JSON that other people's scripts read."""

from importlib.metadata import version

from blended.eval.evaluation import Evaluation
from blended.eval.intervals import Estimate
from blended.eval.normalisation import MIN_ENROL_CLIPS
from blended.eval.protocol import EVEN
from blended.eval.tasks import MEASURES


def summary(evaluation: Evaluation) -> dict[str, object]:
    """The keys of `blended evaluate --json`: folds, means over folds, intervals and the protocol.

    Of means and intervals, those of the task's own measures.

    `enrol_clips`, `enrol_minimum` and `presence_weight` are there only where they are not
    the default. Intervals are null where there are none; `intervals_over` says in words what they are over.
    """
    protocol = evaluation.protocol
    unusual = {
        **({"enrol_clips": protocol.enrol_clips} if protocol.enrol_clips is not None else {}),
        **({"enrol_minimum": protocol.enrol_minimum} if protocol.enrol_minimum != MIN_ENROL_CLIPS else {}),
        **({"presence_weight": protocol.presence_weight} if protocol.presence_weight != EVEN else {}),
    }
    return {
        "folds": [
            {
                "fold": fold.fold,
                "clips": fold.clips,
                **fold.numbers,
                **fold.parameters,
            }
            for fold in evaluation.folds
        ],
        **{key: estimate.value for key, estimate in evaluation.measured.items()},
        **{f"{MEASURES[key].short}_interval": _ends(e) for key, e in evaluation.measured.items()},
        "intervals_over": str(evaluation.basis),
        "decision": protocol.decision,
        "tune": protocol.tune,
        "normalise": protocol.normalise,
        "calibrate": protocol.calibrate,
        "seed": protocol.seed,
        "nesting": protocol.nesting,
        **unusual,
        "blended_version": version("blended-eval"),
    }


def _ends(estimate: Estimate) -> list[float] | None:
    return None if estimate.ends is None else [*estimate.ends]
