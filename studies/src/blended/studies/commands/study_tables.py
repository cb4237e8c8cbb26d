"""What `blended study` prints."""

import time
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table

if TYPE_CHECKING:
    import optuna

    from blended.eval.comparison import Comparison
    from blended.studies.search.plan import Plan
    from blended.studies.search.selection import Headline, Winner

SHOWN = 5
EVERY_SECONDS = 2.0


def show_status(study: "optuna.Study", plan: "Plan", *, watch: bool) -> None:
    """The table once, or anew every two seconds until the study is done or Ctrl-C."""
    from blended.studies.search.progress import is_stopped, next_step

    console = Console()
    if not watch:
        console.print(_status(study, plan))
        return
    with Live(_status(study, plan), console=console) as live:
        while next_step(plan, study.get_trials(deepcopy=False)) != "done" and not is_stopped(study):
            time.sleep(EVERY_SECONDS)
            live.update(_status(study, plan))


def _status(study: "optuna.Study", plan: "Plan") -> Group:
    from blended.studies.search import progress

    trials = study.get_trials(deepcopy=False)
    counts = progress.counts(plan, trials)
    table = Table(title=f"study {plan.name} on {plan.params.corpus}")
    columns = ("finished", "running", "waiting", "given up", "failed", "on fresh seeds", "of", "time left")
    for column in columns:
        table.add_column(column, justify="right")
    shown: list[Any] = [counts.finished, counts.running, counts.waiting, counts.pruned, counts.failed]
    shown += [counts.reevaluated, counts.budget or "no limit", _time_left(trials, counts)]
    table.add_row(*map(str, shown))
    return Group(table, _ranking(plan, trials))


def _ranking(plan: "Plan", trials: "list[optuna.trial.FrozenTrial]") -> Table:
    """The best trials so far, by what the study chooses by."""
    from blended.data.digits import decimals, small
    from blended.studies.search import progress
    from blended.studies.search.records import SELECTED
    from blended.studies.search.space import short_names, short_values

    table = Table(title="best so far")
    heads = ["trial", "inner score", f"outer score ({SELECTED})", *short_names([*plan.study.dimensions])]
    for column in heads:
        # At a space a head breaks where it may.
        table.add_column(column.replace("_", " "), justify="right", overflow="fold")
    best = progress.ranked(trials)[:SHOWN]
    inner, outer = ([progress.mean_score(trial, part) for trial in best] for part in ("inner", "outer"))
    places = decimals(inner)
    settings = [
        short_values([trial.params.get(path, "") for trial in best]) for path in plan.study.dimensions
    ]
    for row, trial in enumerate(best):
        scores = (f"{inner[row]:.{places}f}", small(outer[row]))
        table.add_row(f"#{trial.number}", *scores, *(column[row] for column in settings))
    return table


def _time_left(trials: "list[optuna.trial.FrozenTrial]", counts: Any) -> str:
    """From the mean time of finished trials and the number of workers at work."""
    seconds = [t.duration.total_seconds() for t in trials if t.state.is_finished() and t.duration]
    if counts.budget is None or not seconds:
        return "unknown"
    left = max(counts.budget - counts.finished - counts.pruned - counts.failed, counts.waiting)
    remaining = left * sum(seconds) / len(seconds) / max(counts.running, 1)
    minutes, rest = divmod(round(remaining), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


def show_best(nested: "Headline", won: "Winner") -> None:
    """The honest result first, then the winner with what its numbers are."""
    from blended.studies.search.records import SELECTED

    console = Console()
    table = Table(title="result: per fold, the trial that is best on its inner fold")
    for column in ("fold", "trial", "inner score", "outer score"):
        table.add_column(column, justify="right")
    for choice in nested.choices:
        table.add_row(str(choice.fold), f"#{choice.number}", f"{choice.inner:.3f}", f"{choice.outer:.3f}")
    console.print(table)
    for name, estimate in nested.estimates.items():
        console.print(f"{name} {estimate}", highlight=False)
    console.print(f"means over outer folds; {nested.basis.sentence}", style="dim", highlight=False)
    fresh = "" if won.fresh is None else f", {won.fresh:.3f} on fresh seeds"
    console.print(f"\nwinner: trial #{won.number}, inner score {won.inner:.3f}{fresh}", highlight=False)
    for path, value in won.params.items():
        console.print(f"  {path}: {value}", highlight=False)
    for name, estimate in won.estimates.items():
        console.print(f"  {name} {estimate} ({SELECTED})", highlight=False)


def show_difference(difference: "Comparison") -> None:
    """Difference, interval and p-value."""
    from blended.data.digits import signed

    console = Console()
    table = Table(title=f"{difference.first} minus {difference.second}")
    for column in ("measure", "difference", "95 % interval"):
        table.add_column(column, justify="left" if column == "measure" else "right")
    for name, estimate in difference.named:
        ends = "none" if estimate.ends is None else "[{}, {}]".format(*map(signed, estimate.ends))
        table.add_row(name, signed(estimate.value), ends)
    console.print(table)
    verdict = "more than noise" if difference.distinguishable else "cannot be told apart: noise"
    console.print(f"p = {difference.p:.4f}: {verdict}", highlight=False)
    console.print(f"paired, actor by actor; {difference.basis.sentence}", style="dim", highlight=False)
