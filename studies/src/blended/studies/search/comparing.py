"""Comparing two results by name: trials and winners of studies, recipes."""

from pathlib import Path
from typing import TYPE_CHECKING

from blended.data import InputError, LabelSpace
from blended.eval import comparison
from blended.eval.comparison import Comparison
from blended.eval.predictions import Predictions, read_predictions
from blended.studies.folders import Folders
from blended.studies.params import read_params
from blended.studies.search import measuring, selection
from blended.studies.search.opening import join
from blended.studies.search.place import Place
from blended.studies.search.storage import open_storage
from blended.studies.search.trial_store import TrialStore

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial


def compare(first: str, second: str, root: Path, storage: str | None) -> Comparison:
    """First minus second, actor by actor.

    Either is `STUDY#NUMBER`, a study (its winner), or a recipe of params.yaml. Raises InputError for a name
    that is none of them, and for results of different clips.
    """
    a, space = _predictions(first, root, storage)
    b, other = _predictions(second, root, storage)
    if space != other:
        raise InputError(f"{first!r} and {second!r} decide between different labels: nothing to compare")
    return comparison.compare(measuring.answers(first, a, space), measuring.answers(second, b, space))


def _predictions(name: str, root: Path, storage: str | None) -> tuple[Predictions, LabelSpace]:
    study, _, number = name.partition("#")
    if not number and (found := _recipe(name, root)) is not None:
        return found
    place = Place(root, study)
    if not place.folder.is_dir():
        raise InputError(
            f"{name!r} is neither a study nor a recipe with a finished run: name STUDY#NUMBER, STUDY, RECIPE"
        )
    opened, plan = join(place, open_storage(place, storage))
    trials = opened.get_trials(deepcopy=False)
    store = TrialStore(place.trials(plan.params.corpus))
    if not number:
        number = str(selection.winner(plan, trials, store).number)
    trial = _trial(name, number, trials)
    return selection.predictions_of(trial, store), selection.space_of(trial, store)


def _trial(name: str, number: str, trials: "list[FrozenTrial]") -> "FrozenTrial":
    from blended.studies.search import progress

    finished = {trial.number: trial for trial in progress.complete(trials)}
    if not number.isdigit() or int(number) not in finished:
        known = ", ".join(map(str, sorted(finished)))
        raise InputError(f"{name!r}: no finished trial {number!r}; finished are {known or 'none yet'}")
    return finished[int(number)]


def _recipe(name: str, root: Path) -> tuple[Predictions, LabelSpace] | None:
    """Of a recipe's run on disk, if there is one."""
    from blended.data.index import read_index
    from blended.studies.run_files import ARTIFACTS, PREDICTIONS, read_record

    folders = Folders(root)
    corpus = read_params(folders.params).corpus
    folder = folders.run(corpus, name)
    if read_record(folder) is None:
        return None
    path = folder / ARTIFACTS / PREDICTIONS
    space = read_index(folders.index(corpus)).corpus.space
    return read_predictions(path, space), space
