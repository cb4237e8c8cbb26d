"""`blended evaluate`: score anybody's per-clip outputs."""

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
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
        str, typer.Option(help="thresholds, templates, bayes, set-ratio, most-frequent-single or -blend.")
    ] = "thresholds",
    calibrate: Annotated[
        str, typer.Option(help="none, or actor: standardise per actor (transductive).")
    ] = "none",
    tune: Annotated[
        str, typer.Option(help="cross-fold, or in-fold: the optimistic official way, thresholds only.")
    ] = "cross-fold",
    seed: Annotated[int, typer.Option(help="Seeds the bootstrap.")] = 0,
    json_out: Annotated[Path | None, typer.Option("--json", help="Also write the result here.")] = None,
) -> None:
    """Decide and score per-clip outputs of any model, fold by fold."""
    from blended.data.atomic import write_text
    from blended.data.corpora import blemore
    from blended.eval import protocol
    from blended.eval.evidence import gather
    from blended.eval.scorefile import read_scores
    from blended.eval.summary import summary

    rules = protocol.Protocol(decision=decision, calibrate=calibrate, tune=tune, seed=seed)
    clips = [clip for clip in blemore.read_metadata(metadata) if clip.split == "train"]
    read = [read_scores(path, clips, blemore.SPACE, kind.value) for path in scores]
    evidence = gather(read, [clip.actor for clip in clips], [clip.fold or 0 for clip in clips], blemore.SPACE)
    result = protocol.evaluate(evidence, [clip.mixture for clip in clips if clip.mixture], rules)
    _print(result)
    if json_out is not None:
        write_text(json_out, json.dumps(summary(result), indent=1) + "\n")


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
