"""The door for scripts and notebooks: a folder with params.yaml, its corpora, features and runs.

>>> from blended.studies import Project                                                # doctest: +SKIP
>>> project = Project("where/params.yaml/is")                                          # doctest: +SKIP
>>> project.features("prosody").values.shape                                           # doctest: +SKIP
>>> run = project.train("early-all-actor")                                             # doctest: +SKIP
>>> run.evaluation.table()                                                             # doctest: +SKIP

What `blended` commands do for a user, they do through the functions that are called here. Importing this
module takes no library along.
"""

import hashlib
import logging
import os
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from blended.studies.folders import Folders

if TYPE_CHECKING:
    from blended.data.index import Index
    from blended.eval.comparison import Standings
    from blended.studies.loaded import FeatureSet, LoadedCorpus, Predicted
    from blended.studies.params import Params, Recipe
    from blended.studies.runs import Run

LOGGER = logging.getLogger("blended")


@dataclass(frozen=True, slots=True)
class Project:
    """A working folder: the choices of its params.yaml and everything that was computed below it.

    Whatever a call needs and is not there is made first: a corpus is prepared and indexed, features are
    encoded. What takes long shows a bar; sentences about it go to the logger `blended`, at level INFO.
    """

    root: Path = Path()
    """The folder of params.yaml; where there is none, every encoder has its usual settings."""
    device: str = "cpu"
    """Where networks run: cpu, cuda, cuda:1, ..."""
    workers: int = 1
    """Processes that render, measure and encode. More than one read a script again from its top: what it does
    must then stand under `if __name__ == "__main__":`; a notebook needs nothing."""
    log: Callable[[str], None] = LOGGER.info

    def __post_init__(self) -> None:
        """Takes a path that is given as text, too."""
        object.__setattr__(self, "root", Path(self.root))

    @property
    def folders(self) -> Folders:
        """Where things lie below the working folder."""
        return Folders(self.root)

    def corpus(self, name: str | None = None, source: str | Path | None = None) -> "LoadedCorpus":
        """A corpus, indexed: by name, that of params.yaml without one.

        `source` is the folder or zip as its authors publish it, or a folder with a card.yaml, whose corpus
        need not be named; it is brought in unless it was before. Raises InputError for names nobody knows,
        and for recordings or labels that must be mended first.
        """
        from blended.studies.loaded import LoadedCorpus

        return LoadedCorpus(self._index(name, source))

    def features(
        self, name: str, *, corpus: str | None = None, sequences: bool = False, pooling: str = "statistics"
    ) -> "FeatureSet":
        """The features of every clip of a corpus, with clip ids: [clip, dim] pooled, or steps over time.

        `name` is an encoder's or of imported features; `wavlm-large@9` and `@6-12` name layers. Pooling is by
        `statistics`, the seven of the BLEMORE baseline, or the `mean`; a clip that an encoder could not read
        is left out and listed among `failures`.
        """
        from blended.studies.loaded import read_features

        index = self._index(corpus)
        self._have([name], index)
        return read_features(name, index, self.folders, sequences=sequences, pooling=pooling)

    def recipes(self) -> list[str]:
        """The names of the recipes of params.yaml, in its order."""
        return list(self._params(None).recipes)

    def train(
        self,
        recipe: "str | Recipe | Mapping[str, object]",
        *,
        name: str | None = None,
        corpus: str | None = None,
        again: bool = False,
    ) -> "Run":
        """The run of a recipe: trained, decided and scored unless it is there already.

        A recipe is a name in params.yaml, or a `Recipe` or a mapping of its fields, whose run is called
        `name` (by default after what it holds). `again` trains in any case. The run is stored and tracked as
        by `blended train`. Raises InputError for a recipe that does not exist or says what cannot be.
        """
        from blended.data.errors import InputError
        from blended.studies.params import recipe_of
        from blended.studies.progress import working
        from blended.studies.training import complete, opened

        params, index = self._params(corpus), self._index(corpus)
        if not isinstance(recipe, str):
            given = recipe_of(recipe)
            name = name or _name_of(given)
            params = params.model_copy(update={"recipes": {**params.recipes, name: given}})
        elif name is not None:
            raise InputError(f"{recipe!r} is a name already: give `name` with a recipe object only")
        else:
            name = recipe
        features = params.recipe(name).fusion.features
        self._have(features, index)
        quiet_libraries()
        with working(f"train {name}") as say:
            planned = opened(name, _with_encoders(params, features), self.folders)
            complete(
                planned,
                log=lambda sentence: _each(sentence, say, self.log),
                device=self.device,
                again=again,
            )
        return self.run(name, corpus=corpus)

    def run(self, name: str, *, corpus: str | None = None) -> "Run":
        """A finished run by its name; raises InputError where there is none."""
        from blended.data.errors import unknown_name
        from blended.studies.runs import read_run

        index = self._index(corpus)
        folder = self.folders.run(index.corpus.name, name)
        found = read_run(folder, index.corpus.space)
        if found is None:
            there = sorted(path.name for path in folder.parent.glob("*") if path.is_dir())
            raise unknown_name("finished run", name, there)
        return found

    def _index(self, name: str | None, source: str | Path | None = None) -> "Index":
        from blended.data.index import read_index
        from blended.studies.preparing import index_corpus, prepare_corpus
        from blended.studies.progress import clips_progress, show_findings

        params = self._params(name, source)
        path = self.folders.index(params.corpus)
        if not path.is_file():
            prepare_corpus(params, self.folders, workers=self.workers, log=self.log, bar=clips_progress)
            index_corpus(
                params.corpus,
                self.folders,
                max_failures=params.max_failures,
                workers=self.workers,
                bar=clips_progress,
                show=show_findings,
            )
        return read_index(path)

    def predict(
        self, run: "str | Run", *files: str | Path, enrol_from: str | Path | None = None
    ) -> "Predicted":
        """What a run says about new recordings: files, or folders of files.

        `run` is a finished run or its name, an MLflow run id or `models:/NAME@ALIAS`. `enrol_from` is a
        folder of clips of the same person, for runs that standardise per actor. Raises InputError for a file
        that cannot be decided.
        """
        from blended.studies.answers import Prediction
        from blended.studies.enrolment import enrolled, media_files
        from blended.studies.loaded import Predicted
        from blended.studies.models import pipeline_folder
        from blended.studies.prediction import open_predictor
        from blended.studies.progress import clips_progress

        quiet_libraries()
        name = run if isinstance(run, str) else str(run.folder)
        predictor = open_predictor(pipeline_folder(name, self.folders), device=self.device)
        enrolment = enrolled(
            predictor.pipeline.record, predictor.features, None if enrol_from is None else Path(enrol_from)
        )
        paths = media_files([Path(file) for file in files])
        found: list[Prediction] = []
        with clips_progress("predict") as progress:
            for path in paths:
                found.append(predictor.predict(path, enrolment=enrolment))
                progress(len(found), len(paths))
        return Predicted(predictor.pipeline.space, tuple(found))

    def compare(self, *runs: "str | Run", corpus: str | None = None) -> "Standings":
        """Finished runs ranked, and their paired differences with intervals and corrected p-values.

        Without any, all of params.yaml that are finished. Raises InputError for runs on other clips or
        labels.
        """
        from blended.eval.comparison import standings
        from blended.studies.runs import record_of

        index = self._index(corpus)
        names = runs or [n for n in self.recipes() if self._is_finished(n, index)]
        found = [self.run(one, corpus=corpus) if isinstance(one, str) else one for one in names]
        return standings([record_of(one) for one in found])

    def _have(self, features: Iterable[str], index: "Index") -> None:
        """Encodes or imports features that are not there, or were made otherwise."""
        from blended.encoders.names import parse_feature_reference
        from blended.studies.preparing import extract_features, import_foreign_features, is_extracted
        from blended.studies.progress import clips_progress

        names = dict.fromkeys(parse_feature_reference(feature).name for feature in features)
        params = _with_encoders(self._params(index.corpus.name), names)
        for name in (name for name in names if name in params.imported):
            if not (self.folders.features(index.corpus.name) / name / "index.parquet").is_file():
                import_foreign_features(name, index, params, self.folders, log=self.log, bar=clips_progress)
        encoders = [name for name in names if name not in params.imported]
        if absent := [name for name in encoders if not is_extracted(name, params, index, self.folders)]:
            extract_features(
                absent,
                params,
                self.folders,
                log=self.log,
                bar=partial(clips_progress, device=self.device),
                workers=self.workers,
                device=self.device,
            )

    def _params(self, corpus: str | None, source: str | Path | None = None) -> "Params":
        """params.yaml, with another corpus and its source where they are given."""
        from blended.studies.params import Params, read_params

        if self.folders.params.is_file():
            params = read_params(self.folders.params)
        else:
            params = Params(corpus=corpus or "demo", encoders={}, recipes={})
        if source is not None:
            corpus, params = _brought(corpus, Path(source), params)
        return params.model_copy(update={"corpus": corpus or params.corpus})

    def _is_finished(self, name: str, index: "Index") -> bool:
        from blended.studies.run_files import read_record

        return read_record(self.folders.run(index.corpus.name, name)) is not None


def _brought(name: str | None, source: Path, params: "Params") -> tuple[str, "Params"]:
    """The name of a corpus that is brought in, and params with its source."""
    from blended.data.corpora import own_name
    from blended.data.errors import InputError
    from blended.studies.corpus_params import CorpusChoices, CorpusSource

    name = own_name(name or "table", source)
    if name == "table":
        raise InputError(
            f"{source} has no card.yaml to say which corpus it is: name one that is known, as in "
            f"corpus('ravdess', {str(source)!r}), or write its card (docs/adding_a_corpus.md)"
        )
    corpora = {**params.corpora.model_dump(), name: CorpusSource(source=source)}
    return name, params.model_copy(update={"corpora": CorpusChoices.model_validate(corpora)})


def _with_encoders(params: "Params", features: Iterable[str]) -> "Params":
    """With encoders that params.yaml does not name, in their usual settings."""
    from blended.encoders.names import parse_feature_reference
    from blended.encoders.table import ENCODERS

    names = dict.fromkeys(parse_feature_reference(feature).name for feature in features)
    usual = {name: {} for name in names if name in ENCODERS and name not in params.encoders}
    return params.model_copy(update={"encoders": {**params.encoders, **usual}})


def _each(sentence: str, *hearers: Callable[[str], None]) -> None:
    for hear in hearers:
        hear(sentence)


def _name_of(recipe: "Recipe") -> str:
    """For a recipe that nobody named: its strategy and a digest of all of it."""
    digest = hashlib.sha256(recipe.model_dump_json().encode()).hexdigest()
    return f"{recipe.fusion.name}-{digest[:8]}"


QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "DO_NOT_TRACK": "1",
    "DVC_NO_ANALYTICS": "1",
    "GIT_PYTHON_REFRESH": "quiet",
}


def quiet_libraries() -> None:
    """No library calls home or talks over a progress bar, unless the user's environment says otherwise."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    # In a notebook without widgets; what shows progress here is text.
    warnings.filterwarnings("ignore", message="IProgress not found")
