"""Pictures of a study: Pareto front, which settings matter, parallel coordinates, slices."""

import io
import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from blended.studies.search import progress, selection
from blended.studies.search.plan import Plan
from blended.studies.search.space import short_names

if TYPE_CHECKING:
    import optuna

MIN_TRIALS = 4
"""Below it there is nothing to see."""


def study_figures(study: "optuna.Study", plan: Plan) -> dict[str, bytes]:
    """File name -> PNG; only what the study has enough trials for."""
    trials = study.get_trials(deepcopy=False)
    if len(progress.complete(progress.searched(trials))) < MIN_TRIALS:
        return {}
    made = {"pareto_front.png": _pareto(trials)} if selection.front(trials) else {}
    target = _score if plan.study.is_multi_objective else None
    searched = _searched(study, plan)
    for name, draw in _OPTUNA.items():
        with _plain_backend():
            if (picture := _drawn(draw, searched, target)) is not None:
                made[f"{name}.png"] = picture
    return made


def _searched(study: "optuna.Study", plan: Plan) -> "optuna.Study":
    """A copy in memory of the search alone, without fresh seeds, with names that fit beside an axis."""
    import optuna

    paths = [*plan.study.dimensions]
    names = dict(zip(paths, short_names(paths), strict=True))
    copied = optuna.create_study(directions=study.directions)
    for trial in progress.complete(progress.searched(study.get_trials(deepcopy=False))):
        copied.add_trial(
            optuna.trial.create_trial(
                values=trial.values,
                params={names[path]: value for path, value in trial.params.items()},
                distributions={names[path]: one for path, one in trial.distributions.items()},
            )
        )
    return copied


@contextmanager
def _plain_backend() -> Generator[None]:
    """Without a window, and without Optuna's note that these functions are experimental."""
    import matplotlib as mpl

    before = mpl.get_backend()
    mpl.use("agg")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        mpl.use(before)


def _drawn(
    draw: Callable[..., Any], study: "optuna.Study", target: Callable[..., float] | None
) -> bytes | None:
    """None where Optuna has nothing to draw: one setting only, or no variation."""
    import matplotlib.pyplot as plt
    import numpy as np
    from matplotlib.ticker import NullFormatter

    name = "score on inner folds"
    try:
        axes = draw(study, target=target, target_name=name) if target else draw(study, target_name=name)
    except (ValueError, RuntimeError, ZeroDivisionError):
        return None
    finally:
        plt.close("all")
    drawn = np.ravel(np.asarray(axes, dtype=object))
    for one in drawn:
        # Between powers of ten the labels of a narrow logarithmic axis run into each other.
        one.xaxis.set_minor_formatter(NullFormatter())
    figure = drawn[0].figure
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, bbox_inches="tight")
    plt.close("all")
    return buffer.getvalue()


def _score(trial: "optuna.trial.FrozenTrial") -> float:
    return sum(trial.values) / len(trial.values)


def _importance(study: "optuna.Study", **options: Any) -> Any:
    from optuna.visualization.matplotlib import plot_param_importances

    return plot_param_importances(study, **options)


def _parallel(study: "optuna.Study", **options: Any) -> Any:
    from optuna.visualization.matplotlib import plot_parallel_coordinate

    return plot_parallel_coordinate(study, **options)


def _slices(study: "optuna.Study", **options: Any) -> Any:
    from optuna.visualization.matplotlib import plot_slice

    return plot_slice(study, **options)


_OPTUNA: dict[str, Callable[..., Any]] = {
    "importance": _importance,
    "parallel_coordinates": _parallel,
    "slices": _slices,
}


def _pareto(trials: "list[optuna.trial.FrozenTrial]") -> bytes:
    """Inner presence against inner salience; those that nothing beats in both, by number."""
    from matplotlib.figure import Figure

    finished = progress.complete(progress.searched(trials))
    best = {trial.number for trial in selection.front(trials)}
    figure = Figure(figsize=(6.4, 4.8), layout="constrained")
    axes = figure.subplots()
    for trial in finished:
        means = selection.inner_means(trial)
        presence, salience = means["presence"], means["salience"]
        axes.plot(presence, salience, "o", color="#0b6e99" if trial.number in best else "#b8c4cc", ms=6)
        if trial.number in best:
            axes.annotate(f"#{trial.number}", (presence, salience), (4, 4), textcoords="offset points")
    axes.set_xlabel("presence accuracy, inner folds")
    axes.set_ylabel("salience accuracy, inner folds")
    axes.set_title("Trials that no other beats in both (blue)")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
