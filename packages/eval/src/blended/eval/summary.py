"""An evaluation as plain data: the JSON that other people's scripts read."""

from importlib.metadata import version

from blended.eval.calibration import MIN_ENROL_CLIPS
from blended.eval.evaluation import Evaluation
from blended.eval.protocol import EVEN


def summary(evaluation: Evaluation) -> dict[str, object]:
    """The keys of `blended evaluate --json`: folds, means over folds, intervals and the protocol.

    `probabilities`, `enrol_clips`, `enrol_minimum` and `presence_weight` are there only where they are not
    the default.
    """
    estimates, protocol = evaluation.estimates, evaluation.protocol
    unusual = {
        **({"probabilities": protocol.probabilities} if protocol.probabilities != "raw" else {}),
        **({"enrol_clips": protocol.enrol_clips} if protocol.enrol_clips is not None else {}),
        **({"enrol_minimum": protocol.enrol_minimum} if protocol.enrol_minimum != MIN_ENROL_CLIPS else {}),
        **({"presence_weight": protocol.presence_weight} if protocol.presence_weight != EVEN else {}),
    }
    return {
        "folds": [
            {
                "fold": fold.fold,
                "clips": fold.clips,
                "presence_accuracy": fold.presence_accuracy,
                "salience_accuracy": fold.salience_accuracy,
                **fold.parameters,
            }
            for fold in evaluation.folds
        ],
        "presence_accuracy": estimates.presence.value,
        "salience_accuracy": estimates.salience.value,
        "score": estimates.score.value,
        "presence_interval": [estimates.presence.low, estimates.presence.high],
        "salience_interval": [estimates.salience.low, estimates.salience.high],
        "score_interval": [estimates.score.low, estimates.score.high],
        "decision": protocol.decision,
        "tune": protocol.tune,
        "calibrate": protocol.calibrate,
        "seed": protocol.seed,
        **unusual,
        "blended_version": version("blended-eval"),
    }
