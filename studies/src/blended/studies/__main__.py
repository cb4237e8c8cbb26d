"""The `blended` command."""

import os
import sys

import typer

from blended.studies.commands import (
    compare,
    data,
    encoders,
    evaluate,
    features,
    predict,
    pretrain,
    register,
    runs,
    study,
    submit,
    train,
    ui,
)

app = typer.Typer(
    name="blended",
    help="Which emotions are present in a clip, and how salient each is in the blend.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(data.app, name="data")
app.add_typer(encoders.app, name="encoders")
app.add_typer(features.app, name="features")
app.add_typer(study.app, name="study")
app.add_typer(pretrain.app, name="pretrain")
app.command("train")(train.train)
app.command("compare")(compare.compare)
app.command("evaluate")(evaluate.evaluate)
app.command("predict")(predict.predict)
app.command("submit")(submit.submit)
app.command("register")(register.register)
app.command("runs")(runs.runs)
app.command("ui")(ui.ui)


QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "DO_NOT_TRACK": "1",
    "DVC_NO_ANALYTICS": "1",
    "GIT_PYTHON_REFRESH": "quiet",
}
"""No library calls home or talks over a progress bar, unless the user's environment says otherwise."""


def main() -> None:
    """Runs a command; a user's mistake is one sentence on stderr and exit status 1."""
    from blended.data.errors import InputError

    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    try:
        app()
    except InputError as error:
        typer.secho(f"error: {error}", fg="red", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
