"""`blended study`: searches and tables of trials, on this machine or a cluster."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import optuna

    from blended.studies.search.plan import Plan
    from blended.studies.search.storage import Place

app = typer.Typer(
    help="Many trials, one question: run, join, watch and compare studies.", no_args_is_help=True
)

Root = Annotated[Path, typer.Option(help="Folder of params.yaml; shared by all workers.")]
Storage = Annotated[
    str | None,
    typer.Option(
        envvar="BLENDED_STUDY_STORAGE",
        help="postgresql://user@host/database for many workers; default: a SQLite file beside the study.",
    ),
]
Name = Annotated[str, typer.Argument(help="The study: its file's name without .yaml or .py.")]
Device = Annotated[str, typer.Option(help="cpu, cuda, cuda:1, ...")]


class Engine(StrEnum):
    """Who runs the trials."""

    optuna = "optuna"
    ray = "ray"


class Format(StrEnum):
    """Of an export."""

    csv = "csv"
    md = "md"
    tex = "tex"


@app.command()
def run(
    file: Annotated[Path, typer.Argument(help="A study file: studies/demo.yaml, or Python.")],
    root: Root = Path(),
    device: Device = "cpu",
    workers: Annotated[
        int, typer.Option(min=0, help="Processes on this machine; 0 only makes the study.")
    ] = 1,
    storage: Storage = None,
    again: Annotated[bool, typer.Option("--again", help="Compute what was computed before.")] = False,
    engine: Annotated[Engine, typer.Option(help="Who runs the trials.")] = Engine.optuna,
    address: Annotated[str, typer.Option(help="Ray cluster: auto or HOST:PORT; default: this machine.")] = "",
    gpus_per_trial: Annotated[float, typer.Option(min=0, help="With --engine ray; 0.25: four per GPU.")] = 0,
) -> None:
    """Run a study until its budget is spent. Called again, or elsewhere, it joins the study."""
    from blended.studies.folders import Folders
    from blended.studies.params import read_params
    from blended.studies.search import opening, running
    from blended.studies.search.reading import read_study
    from blended.studies.search.storage import Place, open_storage

    plan = running.with_corpus(read_study(file, read_params(Folders(root).params)), root)
    place = Place(root, plan.name)
    running.check_ready(plan, root)
    study = opening.start(place, plan, open_storage(place, storage))
    if engine == Engine.ray:
        from blended.studies.progress import say
        from blended.studies.search.ray_engine import RayOptions

        with _interruptible():
            running.work_on_ray(study, plan, place, RayOptions(address, gpus_per_trial), log=say)
        _end(study, plan, place)
    elif workers:
        _work(study, plan, place, device=device, workers=workers, storage=storage, again=again)
    else:
        typer.echo(f"study {plan.name} is there: `blended study work {plan.name}` joins it")


@app.command()
def work(name: Name, root: Root = Path(), device: Device = "cpu", storage: Storage = None) -> None:
    """Join a study as one more worker."""
    from blended.studies.progress import say
    from blended.studies.search import running

    study, plan, place = _joined(name, root, storage)
    with _interruptible():
        running.work(study, plan, place, device=device, log=say)


@app.command()
def resume(
    name: Name,
    root: Root = Path(),
    device: Device = "cpu",
    workers: Annotated[int, typer.Option(min=1, help="Processes on this machine.")] = 1,
    storage: Storage = None,
) -> None:
    """Go on with a study that was stopped or whose workers died, as it was started."""
    from blended.studies.search.progress import STOPPED

    study, plan, place = _joined(name, root, storage)
    study.set_user_attr(STOPPED, False)
    _work(study, plan, place, device=device, workers=workers, storage=storage, again=False)


@app.command()
def stop(name: Name, root: Root = Path(), storage: Storage = None) -> None:
    """Let all workers of a study end after their current trial."""
    from blended.studies.search.progress import STOPPED

    study, _, _ = _joined(name, root, storage)
    study.set_user_attr(STOPPED, True)
    typer.echo(f"workers of {name} end after their current trial; go on with `blended study resume {name}`")


@app.command()
def status(
    name: Name,
    root: Root = Path(),
    storage: Storage = None,
    watch: Annotated[bool, typer.Option("--watch", help="Stay, and show it anew every two seconds.")] = False,
) -> None:
    """Trials done, running, given up and failed; the best so far; the time left."""
    from blended.studies.commands import study_tables

    study, plan, place = _joined(name, root, storage)
    study_tables.show_status(study, plan, watch=watch)
    _show_code_notes(study, plan, place)


@app.command()
def best(
    name: Name,
    root: Root = Path(),
    storage: Storage = None,
    write: Annotated[
        bool, typer.Option("--write", help="Add the winner to params.yaml as a recipe.")
    ] = False,
    recipe: Annotated[str, typer.Option("--as", help="Name of that recipe; default: the study's.")] = "",
) -> None:
    """The result of a study on folds that no choice has seen, and the winning configuration."""
    from blended.studies.commands import study_tables
    from blended.studies.folders import Folders
    from blended.studies.search import selection, space
    from blended.studies.search.plan import write_recipe
    from blended.studies.search.results import TrialStore

    study, plan, place = _joined(name, root, storage)
    trials = study.get_trials(deepcopy=False)
    store = TrialStore(place.trials(plan.params.corpus))
    won = selection.winner(plan, trials, store)
    study_tables.show_best(selection.headline(plan, trials, store), won)
    _show_code_notes(study, plan, place)
    if not write:
        return
    chosen = space.from_params(plan.study.dimensions, won.params)
    called, params = recipe or name, Folders(root).params
    changed = write_recipe(params, called, plan.config(chosen, plan.seeds[0]))
    typer.echo(f"{params}: recipe {called} {'written' if changed else 'is there already'}; now: dvc repro")


@app.command()
def compare(
    first: Annotated[str, typer.Argument(help="STUDY#NUMBER, STUDY (its winner) or RECIPE.")],
    second: Annotated[str, typer.Argument(help="What it is compared with, likewise.")],
    root: Root = Path(),
    storage: Storage = None,
) -> None:
    """Difference, interval and p-value of two results, from their stored predictions."""
    from blended.studies.commands import study_tables
    from blended.studies.search import selection

    study_tables.show_difference(selection.compare(first, second, root, storage))


@app.command()
def export(
    name: Name,
    root: Root = Path(),
    storage: Storage = None,
    out: Annotated[Path | None, typer.Option(help="Write here instead of printing.")] = None,
    form: Annotated[Format, typer.Option("--format", help="csv, md or tex.")] = Format.csv,
) -> None:
    """Every trial as a row: choices, scores on inner and outer folds, state."""
    from blended.data.atomic import write_text
    from blended.studies.search import report
    from blended.studies.search.results import TrialStore

    study, plan, place = _joined(name, root, storage)
    store = TrialStore(place.trials(plan.params.corpus))
    text = report.FORMATS[form.value](report.trial_table(plan, study.get_trials(deepcopy=False), store))
    if out is None:
        typer.echo(text, nl=False)
    else:
        write_text(out, text)


@app.command()
def sync(name: Name, root: Root = Path(), storage: Storage = None) -> None:
    """Upload to MLflow what is not there yet, and the study's own page."""
    study, plan, place = _joined(name, root, storage)
    _end(study, plan, place)


def _joined(name: str, root: Path, storage: str | None) -> "tuple[optuna.Study, Plan, Place]":
    from blended.data import InputError
    from blended.studies.search.opening import join
    from blended.studies.search.storage import Place, open_storage

    place = Place(root, name.removesuffix(".yaml").removesuffix(".py"))
    if not storage and not place.database.is_file():
        raise InputError(
            f"there is no study {name!r} below {root.resolve()}: start it with `blended study run`"
        )
    study, plan = join(place, open_storage(place, storage))
    _check_labels(study, plan, place)
    return study, plan, place


def _check_labels(study: "optuna.Study", plan: "Plan", place: "Place") -> None:
    """Raises InputError for a study that mixes labels; says so where they have changed since."""
    from blended.studies.folders import Folders
    from blended.studies.progress import say
    from blended.studies.search import progress, running
    from blended.studies.search.results import TrialStore

    store, trials = TrialStore(place.trials(plan.params.corpus)), study.get_trials(deepcopy=False)
    progress.check_one_corpus(plan, trials, store)
    if not Folders(place.root).index(plan.params.corpus).is_file():
        return  # A study can be read where its corpus is not.
    now = running.with_corpus(plan, place.root).corpus_hash
    if progress.corpus_versions(plan, trials, store) - {now}:
        say(
            f"the corpus {plan.params.corpus} has changed since study {plan.name} was started: its numbers "
            f"are of the labels, folds and clips of then"
        )


def _work(
    study: "optuna.Study",
    plan: "Plan",
    place: "Place",
    *,
    device: str,
    workers: int,
    storage: str | None,
    again: bool,
) -> None:
    """This process and the others; then the study's page and its result."""
    from blended.studies.progress import say
    from blended.studies.search import running

    others = running.spawn_workers(place, workers - 1, device=device, storage=storage)
    with _interruptible():
        running.work(study, plan, place, device=device, log=say, again=again)
        for process in others:
            process.wait()
    _end(study, plan, place)


def _end(study: "optuna.Study", plan: "Plan", place: "Place") -> None:
    from blended.studies.commands import study_tables
    from blended.studies.progress import say
    from blended.studies.search import running

    experiment = running.sync(study, plan, place, say)
    study_tables.show_status(study, plan, watch=False)
    _show_code_notes(study, plan, place)
    if experiment is not None:
        typer.echo(f"compare trials (after `make ui`): {running.address(experiment, place.name)}")


def _show_code_notes(study: "optuna.Study", plan: "Plan", place: "Place") -> None:
    """Whether the trials of a table are of one code."""
    from blended.studies.progress import say
    from blended.studies.search import report
    from blended.studies.search.results import TrialStore

    store = TrialStore(place.trials(plan.params.corpus))
    for sentence in report.code_notes(plan, study.get_trials(deepcopy=False), store):
        say(sentence)


class _interruptible:  # noqa: N801 - reads as a statement
    """Ends on SIGTERM as on Ctrl-C, so that a scheduler's notice gives the trial back at once."""

    def __enter__(self) -> None:
        import signal

        self.before = signal.signal(signal.SIGTERM, signal.default_int_handler)

    def __exit__(self, *_: object) -> None:
        import signal

        signal.signal(signal.SIGTERM, self.before)
