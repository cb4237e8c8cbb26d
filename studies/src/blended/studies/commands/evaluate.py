"""`blended evaluate`: score anybody's per-clip outputs."""

import json
from dataclasses import asdict, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from blended.data import Mixture
    from blended.eval.breakdown import Breakdown
    from blended.eval.evidence import Evidence
    from blended.eval.protocol import Evaluation


class ScoreKind(StrEnum):
    """What the columns hold."""

    logits = "logits"
    probabilities = "probabilities"


def evaluate(
    scores: Annotated[list[Path], typer.Argument(help="CSV files: filename, fold, one column per emotion.")],
    metadata: Annotated[Path, typer.Option(help="Labels, in BLEMORE's train_metadata.csv columns.")],
    kind: Annotated[ScoreKind, typer.Option("--scores", help="What the columns hold.")] = ScoreKind.logits,
    decision: Annotated[
        str,
        typer.Option(help="thresholds, templates, bayes, set-ratio, argmax, most-frequent-single or -blend."),
    ] = "thresholds",
    calibrate: Annotated[
        str, typer.Option(help="none, or actor: standardise per actor (transductive).")
    ] = "none",
    tune: Annotated[
        str, typer.Option(help="cross-fold, or in-fold: the optimistic official way, thresholds only.")
    ] = "cross-fold",
    seed: Annotated[int, typer.Option(help="Seeds the bootstrap and the draw of enrolment clips.")] = 0,
    json_out: Annotated[Path | None, typer.Option("--json", help="Also write the result here.")] = None,
    probabilities: Annotated[
        str, typer.Option(help="raw, temperature, vector or isotonic: fitted on other folds, per file.")
    ] = "raw",
    enrol_clips: Annotated[
        int | None, typer.Option(help="With --calibrate actor: so many random clips of each person only.")
    ] = None,
    presence_weight: Annotated[
        float, typer.Option(help="Of presence, 0 to 1, in the expected score of bayes and set-ratio.")
    ] = 0.5,
    details: Annotated[
        bool, typer.Option(help="Print results by emotion, pair, share and intensity level too.")
    ] = True,
    curve_out: Annotated[
        Path | None, typer.Option("--enrolment-curve", help="Also write score against enrolment clips (CSV).")
    ] = None,
) -> None:
    """Decide and score per-clip outputs of any model, fold by fold."""
    from blended.data.atomic import write_text
    from blended.data.corpora import blemore
    from blended.data.leaks import forbid_shared_actors
    from blended.eval import protocol
    from blended.eval.enrolment_curve import enrolment_curve, write_curve
    from blended.eval.evidence import gather
    from blended.eval.probabilities import reliability_change
    from blended.eval.scorefile import read_scores
    from blended.eval.summary import summary
    from blended.studies.commands import evaluation_view as view

    rules = protocol.Protocol(
        decision,
        calibrate,
        tune,
        seed,
        probabilities=probabilities,
        enrol_clips=enrol_clips,
        presence_weight=presence_weight,
    )
    clips = [clip for clip in blemore.read_metadata(metadata) if clip.split == "train"]
    forbid_shared_actors([clip.actor for clip in clips], [clip.fold for clip in clips])
    read = [read_scores(path, clips, blemore.SPACE, kind.value) for path in scores]
    evidence = gather(read, [clip.actor for clip in clips], [clip.fold or 0 for clip in clips], blemore.SPACE)
    truth = [clip.mixture for clip in clips if clip.mixture]
    result = protocol.evaluate(evidence, truth, rules)
    view.print_evaluation(result)
    written = summary(result)
    if tune == "in-fold" and len(result.folds) > 1:
        honest = protocol.evaluate(evidence, truth, replace(rules, tune="cross-fold"))
        written |= {"optimistic": True, "cross_fold_score": honest.estimates.score.value}
        view.print_gap(result, honest)
    if probabilities != "raw":
        change = reliability_change(probabilities, protocol.calibrated(evidence, rules), truth)
        written["calibration_error"] = asdict(change)
        view.print_reliability(change)
    found = _pooled(evidence, truth, result, [blemore.level_from_name(clip.id) for clip in clips])
    written["detail"] = asdict(found)
    if details:
        view.print_breakdown(found)
    if json_out is not None:
        write_text(json_out, json.dumps(written, indent=1) + "\n")
    if curve_out is not None:
        write_curve(curve_out, enrolment_curve(evidence, truth, rules, seed=seed))


def _pooled(
    evidence: "Evidence", truth: list["Mixture"], result: "Evaluation", levels: list[str]
) -> "Breakdown":
    """Where the decisions are right, and what the probabilities that were calibrated and mapped are worth."""
    from blended.eval.breakdown import breakdown
    from blended.eval.probabilities import cross_fitted
    from blended.eval.protocol import calibrated

    mapped = cross_fitted(result.protocol.probabilities, calibrated(evidence, result.protocol), truth)
    groups = {"intensity level": levels}
    return breakdown(truth, result.decided, mapped.mean_probabilities(), evidence.space, groups)
