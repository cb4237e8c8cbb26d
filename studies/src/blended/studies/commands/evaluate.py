"""`blended evaluate`: score anybody's per-clip outputs."""

import json
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from blended.data import Mixture
    from blended.data.scores import Kind
    from blended.eval.breakdown import Breakdown
    from blended.eval.evaluation import Evaluation
    from blended.eval.evidence import Evidence
    from blended.eval.protocol import Protocol


class ScoreKind(StrEnum):
    """What the columns hold."""

    logits = "logits"
    probabilities = "probabilities"


def evaluate(
    scores: Annotated[list[Path], typer.Argument(help="CSV files: filename, fold, one column per emotion.")],
    metadata: Annotated[Path, typer.Option(help="Labels, in BLEMORE's train_metadata.csv columns.")],
    kinds: Annotated[
        list[ScoreKind] | None,
        typer.Option(
            "--scores",
            help="What the columns hold: once for all files, or for each in their order; default: logits.",
        ),
    ] = None,
    decision: Annotated[
        str | None,
        typer.Option(
            help="set-ratio, bayes, thresholds, templates, argmax, most-frequent-single or -blend; default: "
            "what training decides by, with --tune in-fold thresholds."
        ),
    ] = None,
    normalise: Annotated[
        str, typer.Option(help="none, or actor: standardise scores per actor (transductive).")
    ] = "none",
    calibrate: Annotated[
        str,
        typer.Option(
            help="Map probabilities by raw, temperature, vector or isotonic: fitted on other folds, per file."
        ),
    ] = "raw",
    tune: Annotated[
        str, typer.Option(help="cross-fold, or in-fold: the optimistic official way, thresholds only.")
    ] = "cross-fold",
    seed: Annotated[int, typer.Option(help="Seeds the draw of enrolment clips.")] = 0,
    json_out: Annotated[Path | None, typer.Option("--json", help="Also write the result here.")] = None,
    enrol_clips: Annotated[
        int | None, typer.Option(help="With --normalise actor: so many random clips of each person only.")
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
    enrol_minimum: Annotated[
        int, typer.Option(help="With --enrol-clips: people of whom there are fewer are not normalised.")
    ] = 1,
    probabilities: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    """Decide and score per-clip outputs of any model, fold by fold."""
    from blended.data.atomic import write_text
    from blended.data.errors import InputError
    from blended.eval.enrolment_curve import enrolment_curve, write_curve
    from blended.eval.protocol import Protocol
    from blended.eval.tasks import decision_of
    from blended.studies.progress import say

    if probabilities is not None:
        raise InputError(f"--probabilities is called --calibrate now: write --calibrate {probabilities}")
    rules = Protocol(
        decision or decision_of("mixture", tune),
        normalise,
        tune,
        seed,
        calibrate=calibrate,
        enrol_clips=enrol_clips,
        enrol_minimum=enrol_minimum,
        presence_weight=presence_weight,
    )
    given = _read(scores, metadata, [kind.value for kind in kinds or [ScoreKind.logits]])
    for sentence in given.remarks:
        say(sentence)
    written = {**_evaluated(given, rules, details=details), "scores": given.kinds}
    if given.remarks:
        written["remarks"] = given.remarks
    if json_out is not None:
        write_text(json_out, json.dumps(written, indent=1) + "\n")
    if curve_out is not None:
        write_curve(curve_out, enrolment_curve(given.evidence, given.truth, rules, seed=seed))


@dataclass(frozen=True, slots=True, eq=False)
class _Given:
    """What is scored, clips in the order of the metadata."""

    evidence: "Evidence"
    truth: list["Mixture"]
    levels: list[str]
    """How strongly each clip is acted."""
    kinds: list["Kind"]
    """What the columns of every file were read as."""
    remarks: list[str]
    """On files that look like something else."""


def _read(paths: list[Path], metadata: Path, kinds: list["Kind"]) -> _Given:
    from blended.data.corpora import blemore
    from blended.data.errors import InputError
    from blended.data.people import forbid_shared_actors
    from blended.eval.evidence import gather
    from blended.eval.scorefile import read_scores, remark

    if len(kinds) not in (1, len(paths)):
        raise InputError(
            f"got --scores {len(kinds)} times for {len(paths)} files: give it once for all, or once for each "
            f"in their order"
        )
    kinds = kinds if len(kinds) == len(paths) else kinds * len(paths)
    clips = [clip for clip in blemore.read_metadata(metadata) if clip.split == "train"]
    actors, folds = [clip.actor for clip in clips], [clip.fold or 0 for clip in clips]
    forbid_shared_actors(actors, [clip.fold for clip in clips])
    read = [read_scores(path, clips, blemore.SPACE, kind) for path, kind in zip(paths, kinds, strict=True)]
    said = [remark(path, one) for path, one in zip(paths, read, strict=True)]
    evidence = gather(read, actors, folds, blemore.SPACE)
    truth = [clip.mixture for clip in clips if clip.mixture]
    levels = [blemore.level_from_name(clip.id) for clip in clips]
    return _Given(evidence, truth, levels, kinds, [one for one in said if one is not None])


def _evaluated(given: _Given, rules: "Protocol", *, details: bool) -> dict[str, object]:
    """Prints what was found; returns what is written."""
    from blended.eval import evaluation
    from blended.eval.calibration import reliability_change
    from blended.eval.protocol import few_people, normalised
    from blended.studies.commands import evaluation_view as view

    evidence, truth = given.evidence, given.truth
    result = evaluation.evaluate(evidence, truth, rules)
    view.print_evaluation(result)
    written = result.to_json()
    if few := few_people(rules, evidence.actors):
        written["few_clips"] = few
        view.print_note(few)
    if rules.tune == "in-fold" and len(result.folds) > 1:
        honest = evaluation.evaluate(evidence, truth, replace(rules, tune="cross-fold"))
        written |= {"optimistic": True, "cross_fold_score": honest.measured["score"].value}
        view.print_gap(result, honest)
    if rules.calibrate != "raw":
        change = reliability_change(rules.calibrate, normalised(evidence, rules), truth)
        written["calibration_error"] = asdict(change)
        view.print_reliability(change)
    found = _pooled(given, result)
    if details:
        view.print_breakdown(found)
    return {**written, "detail": asdict(found)}


def _pooled(given: _Given, result: "Evaluation") -> "Breakdown":
    """Where the decisions are right, and what the normalised and calibrated probabilities are worth."""
    from blended.eval.breakdown import breakdown
    from blended.eval.calibration import cross_fitted
    from blended.eval.protocol import normalised

    evidence, rules = given.evidence, result.protocol
    mapped = cross_fitted(rules.calibrate, normalised(evidence, rules), given.truth)
    groups = {"intensity level": given.levels}
    return breakdown(given.truth, result.mixtures, mapped.mean_probabilities(), evidence.space, groups)
