"""`blended evaluate`, and `blended-evaluate` where this package is installed alone."""

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class ScoreKind(StrEnum):
    """What the columns hold."""

    logits = "logits"
    probabilities = "probabilities"


def evaluate(
    scores: Annotated[
        list[Path],
        typer.Argument(
            help="CSV files: filename, fold, one column per emotion; or predictions.parquet of runs."
        ),
    ],
    metadata: Annotated[
        Path | None,
        typer.Option(
            help="Labels: BLEMORE's train_metadata.csv, or filename, actor, fold and label (or the columns "
            "of a blend, or of intensities). Predictions of a run have their own."
        ),
    ] = None,
    corpus: Annotated[
        str | None, typer.Option(help="Instead: the labels of an indexed corpus, by its name.")
    ] = None,
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
    from blended.data.errors import InputError
    from blended.eval.scoring import evaluate as scored

    if probabilities is not None:
        raise InputError(f"--probabilities is called --calibrate now: write --calibrate {probabilities}")
    result = scored(
        scores,
        metadata,
        corpus=corpus,
        kinds=[kind.value for kind in kinds or [ScoreKind.logits]],
        decision=decision,
        normalise=normalise,
        calibrate=calibrate,
        tune=tune,
        seed=seed,
        enrol_clips=enrol_clips,
        enrol_minimum=enrol_minimum,
        presence_weight=presence_weight,
    )
    for sentence in result.given.remarks:
        typer.echo(sentence, err=True)
    _shown(result, details=details)
    _written(result, json_out, curve_out)


def _shown(result: object, *, details: bool) -> None:
    from blended.eval import view
    from blended.eval.scoring import Result

    assert isinstance(result, Result)
    view.print_evaluation(result.evaluation)
    if result.few_clips:
        view.print_note(result.few_clips)
    if result.cross_fold is not None:
        view.print_gap(result.evaluation, result.cross_fold)
    if result.calibration is not None:
        view.print_reliability(result.calibration)
    if details and result.detail is not None:
        view.print_breakdown(result.detail)


def _written(result: object, json_out: Path | None, curve_out: Path | None) -> None:
    from blended.data.atomic import write_text
    from blended.eval.enrolment_curve import enrolment_curve, write_curve
    from blended.eval.scoring import Result

    assert isinstance(result, Result)
    if json_out is not None:
        write_text(json_out, json.dumps(result.to_json(), indent=1) + "\n")
    if curve_out is not None:
        protocol = result.evaluation.protocol
        curve = enrolment_curve(result.given.evidence, [*result.given.truth], protocol, seed=protocol.seed)
        write_curve(curve_out, curve)


def main() -> None:
    """What the installed script calls; a user's mistake is one sentence on stderr and exit status 1."""
    from blended.data.errors import InputError

    app = typer.Typer(
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.command("evaluate")(evaluate)
    try:
        app()
    except InputError as error:
        typer.secho(f"error: {error}", fg="red", err=True)
        sys.exit(1)
