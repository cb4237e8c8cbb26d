"""`blended evaluate`: score anybody's per-clip outputs."""

import json
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from blended.eval.probabilities import ReliabilityChange
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
    curve_out: Annotated[
        Path | None, typer.Option("--enrolment-curve", help="Also write score against enrolment clips (CSV).")
    ] = None,
) -> None:
    """Decide and score per-clip outputs of any model, fold by fold."""
    from blended.data.atomic import write_text
    from blended.data.corpora import blemore
    from blended.eval import protocol
    from blended.eval.enrolment_curve import enrolment_curve, write_curve
    from blended.eval.evidence import gather
    from blended.eval.probabilities import reliability_change
    from blended.eval.scorefile import read_scores
    from blended.eval.summary import summary

    rules = protocol.Protocol(
        decision, calibrate, tune, seed, probabilities=probabilities, enrol_clips=enrol_clips
    )
    clips = [clip for clip in blemore.read_metadata(metadata) if clip.split == "train"]
    read = [read_scores(path, clips, blemore.SPACE, kind.value) for path in scores]
    evidence = gather(read, [clip.actor for clip in clips], [clip.fold or 0 for clip in clips], blemore.SPACE)
    truth = [clip.mixture for clip in clips if clip.mixture]
    result = protocol.evaluate(evidence, truth, rules)
    _print(result)
    written = summary(result)
    if probabilities != "raw":
        change = reliability_change(probabilities, protocol.calibrated(evidence, rules), truth)
        written["calibration_error"] = asdict(change)
        _print_reliability(change)
    if json_out is not None:
        write_text(json_out, json.dumps(written, indent=1) + "\n")
    if curve_out is not None:
        write_curve(curve_out, enrolment_curve(evidence, truth, rules, seed=seed))


def _print(result: "Evaluation") -> None:
    """The table of folds and the means with their intervals."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=result.protocol.label)
    names = list(result.folds[0].parameters)
    for column in ("fold", "clips", "presence", "salience", *names):
        table.add_column(column, justify="right")
    for fold in result.folds:
        table.add_row(
            str(fold.fold),
            str(fold.clips),
            f"{fold.presence_accuracy:.3f}",
            f"{fold.salience_accuracy:.3f}",
            *(f"{fold.parameters[name]:.4g}" for name in names),
        )
    console = Console()
    console.print(table)
    estimates = result.estimates
    console.print(f"presence {estimates.presence}   salience {estimates.salience}   score {estimates.score}")
    console.print("means over folds; 95 % intervals, actors resampled within folds", style="dim")


def _print_reliability(change: "ReliabilityChange") -> None:
    """Calibration errors before and after."""
    from rich.console import Console

    Console().print(
        f"calibration error, mean over emotions {change.classwise_before:.3f} -> "
        f"{change.classwise_after:.3f}; of the most probable {change.confidence_before:.3f} -> "
        f"{change.confidence_after:.3f}"
    )
