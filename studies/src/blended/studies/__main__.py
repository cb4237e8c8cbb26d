"""The `blended` command."""

import atexit
import ctypes
import gc
import os
import sys

import typer

from blended.eval import command as evaluating
from blended.studies.commands import data, encoders, features, predict, results, study, train

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
app.add_typer(train.pretraining, name="pretrain")
app.add_typer(train.plans, name="plan")
app.command("train")(train.train)
app.command("compare")(results.compare)
app.command("evaluate")(evaluating.evaluate)
app.command("predict")(predict.predict)
app.command("submit")(results.submit)
app.command("register")(results.register)
app.command("runs")(results.runs)
app.command("verify")(results.verify)
app.command("ui")(results.ui)


def main() -> None:
    """Runs a command; a user's mistake is one sentence on stderr and exit status 1."""
    from blended.data.errors import InputError
    from blended.studies.project import quiet_libraries

    quiet_libraries()
    try:
        app()
    except InputError as error:
        typer.secho(f"error: {error}", fg="red", err=True)
        sys.exit(1)


NEW_OBJECTS = 100_000
"""Made before Python looks for cycles among them: libraries make a million that stay."""


MALLOC = {"MALLOC_MMAP_THRESHOLD_": (-3, 32 * 1024**2), "MALLOC_TRIM_THRESHOLD_": (-1, 64 * 1024**2)}
"""Of glibc, by name in the environment: number for `mallopt`, and bytes from which memory is given back."""


def keep_memory() -> None:
    """Lets this process and its children use memory again instead of giving it back at once.

    Arrays of 128 KiB and more are otherwise asked from the system and cleared anew each time: a fifth of the
    processor time of encoding. Where the C library is not glibc, nothing changes.
    """
    library = ctypes.CDLL(None)
    for name, (option, size) in MALLOC.items():
        if name not in os.environ and hasattr(library, "mallopt"):
            library.mallopt(option, size)
        os.environ.setdefault(name, str(size))


def command() -> None:
    """What the installed script calls: `main` in a process of its own, which ends when its work has ended.

    Taking torch apart at the end of a process takes half a second and a hundred megabytes, for nothing.
    """
    keep_memory()
    gc.set_threshold(NEW_OBJECTS, 10, 10)
    status = 1

    def leave() -> None:
        if "torch" in sys.modules:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

    # Registered first, so called last: after threads have ended and every library has tidied up.
    atexit.register(leave)
    try:
        main()
        status = 0
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        raise


if __name__ == "__main__":
    command()
