"""What the numbers say, in sentences that do not claim more than they show."""

import numpy as np

from blended.data.digits import p_text
from blended.eval.comparison import Comparison, Standings
from blended.eval.estimate import Basis, Estimate
from blended.eval.figures import Confusion, TwoReadings
from blended.eval.protocol import few_people
from blended.eval.report.formats import interval, number
from blended.eval.report.records import Report
from blended.eval.run_record import RunRecord
from blended.eval.tasks import TASKS

BANNER = "Rendered clips. These numbers say nothing about people."

DECISION_WORDS = {
    "thresholds": "two thresholds on the two largest probabilities, as the organisers of BLEMORE decide",
    "argmax": "the most probable emotion alone",
    "templates": "the nearest label state, with nothing fitted",
    "bayes": "a regularised multinomial model over the label states, decoded for the expected score",
    "set-ratio": "first the set of emotions, then the ratio of that pair, decoded for the expected score",
    "expected-score": "the model's own probabilities of label states, decoded for the expected score",
    "identity": "intensities as the model gives them, cut to 0 and 1",
}
NORMALISATION_WORDS = {
    "none": "the scores of a clip are taken as they are",
    "actor": "scores standardised over all unlabelled clips of an actor (transductive: needs several clips "
    "of a person)",
}
CALIBRATION_WORDS = {
    "temperature": "one number divides all logits, fitted on the other folds",
    "vector": "a scale and a shift per emotion, fitted on the other folds",
    "isotonic": "a monotonous function per emotion, fitted on the other folds",
}
FEATURES_WORDS = (
    "features per actor: standardised over all unlabelled clips of an actor before training (transductive: "
    "needs several clips of a person)"
)


def headline(standings: Standings) -> list[str]:
    """Which run leads, whether it can be told apart, and whether two modalities beat one."""
    return [_leader(standings), *_modalities(standings), *_above_trivial(standings)]


def _leader(standings: Standings) -> str:
    top, tied = standings.top, standings.tied
    score = f"{number(top.score)} {interval(top.headline)}"
    words = TASKS[top.task].headline.words
    if len(standings.runs) == 1:
        return f"The only run, {top.name}, reaches a cross-fold {words} of {score}."
    if not tied:
        others = "the other" if len(standings.runs) == 2 else f"all {len(standings.runs) - 1} others"
        return (
            f"{top.name} is the best run, with a cross-fold {words} of {score}: {others} lie below it by "
            f"more than noise."
        )
    return (
        f"{top.name} has the highest cross-fold {words}, {score}, but {names(tied)} cannot be told apart "
        f"from it."
    )


def _modalities(standings: Standings) -> list[str]:
    multimodal, unimodal = standings.best_of("multimodal"), standings.best_of("unimodal")
    if not multimodal or not unimodal:
        return []
    gap = standings.between(multimodal.name, unimodal.name)
    subject = f"The best multimodal run, {multimodal.name},"
    if multimodal is standings.top:
        subject = multimodal.name if standings.tied else "It"
    where = "above" if gap.score.value >= 0 else "below"
    return [
        f"{subject} is {number(abs(gap.score.value))} {where} the best unimodal run, {unimodal.name}"
        f"{' (' + unimodal.modality + ')' if unimodal.modality not in unimodal.name else ''}"
        f": {verdict(gap)}."
    ]


def _above_trivial(standings: Standings) -> list[str]:
    if not standings.baselines:
        return []
    best = standings.baselines[0]
    gap = standings.between(standings.top.name, best.name)
    if gap.distinguishable and gap.score.value > 0:
        return []
    return [
        f"{standings.top.name} is not above the trivial baseline {best.name} ({number(best.score)}) by more "
        f"than noise, so nothing has been shown to be learned."
    ]


def verdict(gap: Comparison) -> str:
    """Noise or not, with the interval and the corrected p-value."""
    word = "more than noise" if gap.distinguishable else "within the noise"
    bounds = interval(gap.score, signed=True)
    return f"{word} (95\N{NO-BREAK SPACE}% interval of the difference {bounds}, {p_text(gap.p_holm)})"


def intervals(basis: Basis) -> str:
    """What they are over, and where there are none.

    >>> intervals(Basis(12, 12)).replace(chr(160), " ")
    '95 % intervals over 12 actors, pooled over 12 folds of one each.'
    """
    words = basis.sentence.replace(" %", "\N{NO-BREAK SPACE}%")
    return f"{words[0].upper()}{words[1:]}."


def names(records: tuple[RunRecord, ...], most: int = 4) -> str:
    """A list of runs in words."""
    words = [record.name for record in records[:most]]
    if len(records) > most:
        words.append(f"{len(records) - most} more")
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def modality_paragraph(standings: Standings) -> str:
    """What a second modality adds to presence and to salience."""
    multimodal, unimodal = standings.best_of("multimodal"), standings.best_of("unimodal")
    if not multimodal or not unimodal:
        missing = "multimodal" if not multimodal else "unimodal"
        return f"There is no {missing} run, so nothing can be said about what a second modality adds."
    gap = standings.between(multimodal.name, unimodal.name)
    both = [sum((run.modality == "multimodal") == many for run in standings.runs) for many in (True, False)]
    chosen = (
        " Both were chosen for their scores, which favours the kind with more runs to choose from."
        if max(both) > 1
        else ""
    )
    return (
        f"From the best unimodal run, {unimodal.name}, to the best multimodal run, {multimodal.name}, "
        f"{_changes(gap, multimodal)}. The change of the {TASKS[multimodal.task].headline.words}, "
        f"{number(gap.score.value, signed=True)}, is {verdict(gap)}.{chosen}"
    )


def _changes(gap: Comparison, run: RunRecord) -> str:
    """`presence accuracy changes by ... and salience accuracy by ...`."""
    first, second = TASKS[run.task].measures[:2]
    return (
        f"{first.words} changes by {_change(gap.differences[0])} and {second.words} by "
        f"{_change(gap.differences[1])}"
    )


def _change(gap: Estimate) -> str:
    return f"{number(gap.value, signed=True)} {interval(gap, signed=True)}"


def protocols(standings: Standings) -> list[str]:
    """Every decision, normalisation and calibration in use, in words."""
    found = {run.cross_fold.protocol for run in standings.runs}
    decisions = sorted({protocol.decision for protocol in found})
    normalisations = sorted({protocol.normalise for protocol in found})
    calibrations = sorted({protocol.calibrate for protocol in found} - {"raw"})
    return [
        *(f"{name}: {DECISION_WORDS.get(name, name)}" for name in decisions),
        *(f"normalisation {name}: {NORMALISATION_WORDS.get(name, name)}" for name in normalisations),
        *(f"calibration {name}: {CALIBRATION_WORDS.get(name, name)}" for name in calibrations),
        *([FEATURES_WORDS] if any(protocol.features_per_actor for protocol in found) else []),
        *sorted({few_of(run) for run in standings.runs} - {""}),
    ]


def few_of(run: RunRecord) -> str:
    """How many of a run's people are seen in too few clips to be compared with themselves; empty for none."""
    numbers = np.unique(run.actors, return_inverse=True)[1].astype(np.int64)
    return few_people(run.cross_fold.protocol, numbers)


def tuning(report: Report) -> str:
    """Who was fitted on what."""
    return (
        f"Cross-fold: for each of the {report.corpus.num_folds} folds, whatever decides is fitted on the "
        f"scores of the other folds. {report.training_protocol}"
    )


def optimism(standings: Standings) -> str:
    """What tuning on the reported fold would have added."""
    gaps = [run.gap for run in standings.runs if run.gap is not None]
    if not gaps:
        return ""
    low, high = (number(gap, signed=True) for gap in (min(gaps), max(gaps)))
    added = low if low == high else f"{low} to {high}"
    return (
        f"In-fold scores are of two thresholds tuned on the fold that they report, as published validation "
        f"tables are. They are optimistic: here that adds {added} to the same thresholds cross-fold. "
        f"They are for comparison only."
    )


def calibration(found: TwoReadings) -> str:
    """How far probabilities are from what was there, in words."""
    presence, shares = found.presence.error, found.shares.error
    closer = "true shares" if shares <= presence else "presence"
    return (
        f"Read as the chance that an emotion is present, the probabilities are off by {number(presence)} on "
        f"average; read as its share, by {number(shares)}: they are closer to {closer}."
    )


def answers(confusion: Confusion) -> str:
    """What becomes of blends: found, or taken for one of their emotions, a related pair, anything else."""
    kinds = {"found": 0, "one": 0, "related": 0, "neither": 0}
    for row, true in enumerate(confusion.rows[confusion.num_singles :], start=confusion.num_singles):
        for column, decided in enumerate(confusion.columns):
            shared, alone = set(true.split("+")) & set(decided.split("+")), "+" not in decided
            kind = "found" if true == decided else "neither" if not shared else "one" if alone else "related"
            kinds[kind] += int(confusion.counts[row, column])
    total = sum(kinds.values())
    if not total:
        return ""
    percent = {kind: percent_text(count, total) for kind, count in kinds.items()}
    return (
        f"Of the {total} blends, {percent['found']} are decided for their pair, {percent['one']} for one of "
        f"the two emotions alone, {percent['related']} for a pair with one of them, and {percent['neither']} "
        f"for anything else."
    )


def percent_text(count: int, total: int) -> str:
    """Whole percent; neither none nor all where that is not so.

    >>> percent_text(1, 3), percent_text(1, 1000), percent_text(999, 1000), percent_text(0, 9)
    ('33\xa0%', 'under 1\xa0%', 'over 99\xa0%', '0\xa0%')
    """
    rounded = round(100 * count / total)
    if count and not rounded:
        return "under 1\N{NO-BREAK SPACE}%"
    if count < total and rounded == 100:
        return "over 99\N{NO-BREAK SPACE}%"
    return f"{rounded}\N{NO-BREAK SPACE}%"
