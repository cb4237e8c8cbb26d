"""`blended predict`: which emotions new recordings show."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from blended.studies.commands.encoders import WeightsFolder, pairs, weights_folder

if TYPE_CHECKING:
    from blended.studies.answers import Prediction
    from blended.studies.enrolment import Enrolment
    from blended.studies.prediction import Predictor
    from blended.studies.windows import Windows


def predict(
    videos: Annotated[list[Path], typer.Argument(help="Files, or folders of files.")],
    run: Annotated[
        str, typer.Option(help="A recipe, a run's folder, an MLflow run id, or models:/NAME@ALIAS.")
    ] = "",
    model: Annotated[Path | None, typer.Option(help="Folder of a stored pipeline, instead of --run.")] = None,
    enrol_from: Annotated[
        Path | None,
        typer.Option(help="Folder of clips of the same person, for transductive runs."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    timeline: Annotated[
        bool, typer.Option("--timeline", help="Answer by window too; long files have one in any case.")
    ] = False,
    window_seconds: Annotated[float, typer.Option(help="Length of a window.")] = 3.0,
    hop_seconds: Annotated[float, typer.Option(help="From one window to the next.")] = 1.0,
    video_out: Annotated[Path | None, typer.Option(help="Write an annotated .mp4 (one video).")] = None,
    png_out: Annotated[Path | None, typer.Option(help="Write a picture of the answer (one file).")] = None,
    root: Annotated[Path, typer.Option(help="Folder of params.yaml.")] = Path(),
    weights: Annotated[
        list[str] | None, typer.Option(help="NAME=FILE: trained weights of an encoder, else as fetched.")
    ] = None,
    folder: WeightsFolder = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, ...")] = "cpu",
) -> None:
    """Decide which emotions are present in new recordings, and how salient each is."""
    from blended.data.errors import InputError
    from blended.studies.enrolment import enrolled, media_files
    from blended.studies.prediction import open_predictor
    from blended.studies.windows import Windows

    paths = media_files(videos)
    if len(paths) != 1 and (video_out or png_out):
        raise InputError(f"--video-out and --png-out are for one recording, got {len(paths)}: name one file")
    windows = Windows(window_seconds, hop_seconds)
    files = {name: Path(file) for name, file in pairs(weights or [], "--weights").items()}
    predictor = open_predictor(
        _folder(run, model, root), device=device, weights=files, weights_folder=weights_folder(folder)
    )
    _warn(predictor)
    enrolment = enrolled(predictor.pipeline.record, predictor.features, enrol_from)
    predictions, failures = _predict_all(predictor, paths, enrolment, windows, always=timeline)
    if video_out or png_out:
        _annotate(predictor, predictions, video_out, png_out)
    _report(predictor, predictions, failures, as_json=as_json)
    if failures:
        raise typer.Exit(1)


def _folder(run: str, model: Path | None, root: Path) -> Path:
    from blended.data.errors import InputError
    from blended.studies.folders import Folders
    from blended.studies.models import pipeline_folder

    if bool(run) == (model is not None):
        raise InputError("say which model decides: either --run RECIPE (or a run id) or --model FOLDER")
    return model if model is not None else pipeline_folder(run, Folders(root))


def _warn(predictor: "Predictor") -> None:
    from blended.studies.progress import say
    from blended.studies.run_files import unchecked

    pipeline = predictor.pipeline
    if not pipeline.checked:
        say(unchecked(pipeline.folder, pipeline.record.recipe))


def _predict_all(
    predictor: "Predictor",
    paths: Sequence[Path],
    enrolment: "Enrolment | None",
    windows: "Windows",
    *,
    always: bool,
) -> tuple[list["Prediction"], dict[str, str]]:
    """Predictions, and the reason for every file without one; a file alone raises instead."""
    from blended.data.errors import InputError
    from blended.studies.progress import clips_progress

    predictions: list[Prediction] = []
    failures: dict[str, str] = {}
    with clips_progress("predict") as progress:
        for done, path in enumerate(paths):
            progress(done, len(paths))
            try:
                predictions.append(
                    predictor.predict(
                        path,
                        enrolment=enrolment,
                        windows=windows,
                        always=always,
                        # Of one long file the windows are what takes time.
                        progress=progress if len(paths) == 1 else None,
                    )
                )
            except InputError as error:
                if len(paths) == 1:
                    raise
                failures[str(path)] = str(error)
        progress(len(paths), len(paths))
    return predictions, failures


def _report(
    predictor: "Predictor", predictions: Sequence["Prediction"], failures: dict[str, str], *, as_json: bool
) -> None:
    from blended.studies.answers import pipeline_json, to_json
    from blended.studies.commands.prediction_view import print_predictions

    if as_json:
        emotions = predictor.pipeline.space.emotions
        document = {
            "pipeline": pipeline_json(predictor.pipeline.record),
            "predictions": [to_json(prediction, emotions) for prediction in predictions],
            "failures": [{"path": path, "reason": reason} for path, reason in failures.items()],
        }
        typer.echo(json.dumps(document, indent=1))
    else:
        print_predictions(predictor.pipeline.space.emotions, predictions)
    for path, reason in failures.items():
        typer.secho(f"no answer: {reason if path in reason else f'{path}: {reason}'}", fg="red", err=True)


def _annotate(
    predictor: "Predictor",
    predictions: Sequence["Prediction"],
    video_out: Path | None,
    png_out: Path | None,
) -> None:
    from blended.eval.figures.style import save
    from blended.studies.annotation import annotate_video, picture_of

    emotions = predictor.pipeline.space.emotions
    for prediction in predictions:
        if png_out is not None:
            save(picture_of(prediction, emotions), png_out)
        if video_out is not None:
            annotate_video(prediction, emotions, video_out)
