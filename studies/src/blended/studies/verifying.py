"""Whether everything that is stored below a working folder is as it was written.

Every part of the store is a function that looks at its files one by one, hashes them and says what to do
about those that are not. Nothing is changed, and nothing is loaded that trains.
"""

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from blended.data.checksums import (
    MANIFEST,
    DamagedError,
    check_seal,
    faults_of,
    file_sha256,
    files_of,
    is_sealed,
    read_sealed_json,
)
from blended.data.errors import InputError
from blended.studies.databases import broken, contradicted_runs, contradicted_trials, results_of
from blended.studies.folders import Folders
from blended.studies.run_files import ARTIFACTS, METRICS, PIPELINE, RECORD, run_faults

BEFORE = "was made before checksums: nobody can say whether it is whole"
CHECKPOINT = "training.safetensors"
STUDIES = "runs/studies/*/study.db"


@dataclass(frozen=True, slots=True)
class Looked:
    """A file, or a folder that counts as one, that was looked at."""

    path: Path
    num_bytes: int
    problem: str = ""
    """In words, to be read after the path; empty where all is well."""
    remedy: str = ""
    """A command that can be typed."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What params.yaml names, as far as a remedy depends on it."""

    corpus: str = ""
    recipes: frozenset[str] = frozenset()
    files: tuple[Path, ...] = field(default=())
    """Weights that recipes and encoders start from."""

    def command(self, corpus: str, command: str) -> str:
        """A command on a corpus, which may not be the chosen one."""
        return command if corpus == self.corpus else f"(with `corpus: {corpus}` in params.yaml) {command}"


def chosen(path: Path) -> Chosen:
    """Of a params.yaml that need not be valid: what is stored is looked at in any case."""
    from ruamel.yaml import YAML, YAMLError

    try:
        fields: Any = YAML(typ="safe").load(path)
    except (OSError, YAMLError):
        return Chosen()
    if not isinstance(fields, dict):
        return Chosen()
    recipes: Mapping[str, Any] = fields.get("recipes") or {}
    fusions = [recipe.get("fusion", {}) for recipe in recipes.values() if isinstance(recipe, dict)]
    named = [one["checkpoint"] for one in fusions if isinstance(one, dict) and one.get("checkpoint")]
    named += [*(fields.get("weights") or {}).values()]
    files = {path.parent / str(name) for name in named}
    return Chosen(str(fields.get("corpus", "")), frozenset(recipes), tuple(sorted(files)))


def verify(
    folders: Folders, *, recordings: bool = True, done: Callable[[Looked], None] = lambda _: None
) -> dict[str, list[Looked]]:
    """Part of the store -> its files; parts of which there is nothing are left out.

    Without `recordings` the corpus's media are not read, which take longest. `done` is told of every file.
    """
    names = chosen(folders.params)
    found: dict[str, list[Looked]] = {}
    for part, look in PARTS.items():
        if part == "recordings" and not recordings:
            continue
        for one in look(folders, names):
            found.setdefault(part, []).append(one)
            done(one)
    return found


def _indexes(folders: Folders, names: Chosen) -> Iterator[Looked]:
    from blended.data.index import beside

    for path in sorted(folders.index("x").parent.glob("*.parquet")):
        remedy = names.command(path.stem, "blended data index")
        looked = _sealed(path, remedy)
        yield looked
        if not looked.problem:
            yield from (_hashed(other, sha256, remedy) for other, sha256 in beside(path).items())


def _recordings(folders: Folders, names: Chosen) -> Iterator[Looked]:
    """By the manifest of a corpus that was rendered, by the index of one that was imported."""
    from blended.data.index import read_index

    rendered = sorted(path.parent for path in folders.corpus("x").parent.glob(f"*/{MANIFEST}"))
    for folder in rendered:
        yield from _folder(folder, faults_of(folder), names.command(folder.name, "blended data prepare"))
    for path in sorted(folders.index("x").parent.glob("*.parquet")):
        if folders.corpus(path.stem) in rendered:
            continue
        try:
            index = read_index(path)
        except InputError:
            continue  # Said of the index.
        remedy = names.command(path.stem, "blended data prepare")
        for clip, sha256 in zip(index.corpus.clips, index.table["sha256"], strict=True):
            if sha256 is not None:
                yield _hashed(clip.path, sha256, remedy)


def _features(folders: Folders, names: Chosen) -> Iterator[Looked]:
    from blended.data.foreign.importing import PROVENANCE_NAME
    from blended.data.store.writer import INDEX_NAME

    for folder in sorted(folders.features("x").parent.glob("*/[!.]*/")):
        provenance = folder / PROVENANCE_NAME
        verb = "import" if provenance.is_file() else "extract"
        remedy = names.command(folder.parent.name, f"blended features {verb} {folder.name}")
        if provenance.is_file():
            yield _sealed(provenance, remedy)
        index = folder / INDEX_NAME
        if not index.is_file():
            yield Looked(folder, 0, "is not finished: it has no index", remedy)
        else:
            looked = _sealed(index, remedy)
            yield looked
            yield from _lost_shards(folder, index, remedy) if not looked.problem else ()
        yield from (_shard(path, remedy) for path in sorted(folder.glob("[!.]*.safetensors")))


def _lost_shards(folder: Path, index: Path, remedy: str) -> Iterator[Looked]:
    import pyarrow.parquet as pq

    listed = set(pq.read_table(index, columns=["shard"])["shard"].to_pylist())
    for name in sorted(listed):
        if not (folder / name).is_file():
            yield Looked(folder / name, 0, "is missing", remedy)


def _shard(path: Path, remedy: str) -> Looked:
    from blended.data.store.shard import checked_record

    try:
        checked_record(path)  # Knows shards of before seals too: their values have checksums.
    except InputError as error:
        return Looked(path, path.stat().st_size, _without(path, error), remedy)
    return Looked(path, path.stat().st_size)


def _runs(folders: Folders, names: Chosen) -> Iterator[Looked]:
    for artifacts in sorted(folders.root.glob(f"runs/[!.]*/[!.]*/{ARTIFACTS}/")):
        run = artifacts.parent
        here = run.name in names.recipes
        train = names.command(run.parent.name, f"blended train {run.name}")
        remedy = train if here or run.parent.name != names.corpus else f"rm -r {run}"
        yield from _folder(artifacts, run_faults(run), remedy, whole=(artifacts / RECORD).is_file())


def _folder(folder: Path, faults: Iterable[Any], remedy: str, *, whole: bool = True) -> Iterator[Looked]:
    """Of the files that a manifest lists; of a folder without, what that means."""
    wrong = {fault.path: fault.problem for fault in faults}
    yield from (Looked(path, _size(path), problem, remedy) for path, problem in wrong.items())
    if (folder / MANIFEST).is_file():
        listed = [] if folder / MANIFEST in wrong else files_of(folder)
        yield from (Looked(path, _size(path)) for path in listed if path not in wrong)
    elif not wrong:
        yield Looked(folder, 0, BEFORE if whole else "holds nothing that was finished", remedy)


def _checkpoints(folders: Folders, _: Chosen) -> Iterator[Looked]:
    for place in ("data/checkpoints", "runs/studies/*/checkpoints"):
        for path in sorted(folders.root.glob(f"{place}/**/{CHECKPOINT}")):
            yield _sealed(path, f"rm {path}")


def _weights(_: Folders, names: Chosen) -> Iterator[Looked]:
    for path in names.files:
        # Weights of others have no seal; that they are those trained with is known by their checksum.
        if path.suffix == ".safetensors" and path.is_file() and is_sealed(path):
            yield _sealed(path, f"blended pretrain hicmae --out {path}")


def _study_results(folders: Folders, _: Chosen) -> Iterator[Looked]:
    studies = _studies_by_result(folders)
    for folder in sorted(folders.root.glob("runs/[!.]*/trials/[!.]*/")):
        study = studies.get(folder.name)
        remedy = f"blended study resume {study}" if study else f"rm -r {folder}"
        for path in sorted(folder.glob("[!.]*")):
            yield _sealed(path, remedy)
    for path in sorted(folders.root.glob("runs/[!.]*/trainings/[!.]*.safetensors")):
        yield _sealed(path, f"rm {path}")


def _studies_by_result(folders: Folders) -> dict[str, str]:
    """Identity of a result -> a study that has it, as far as databases can be read."""
    found: dict[str, str] = {}
    for path in sorted(folders.root.glob(STUDIES)):
        try:
            for _, _, kept in results_of(path):
                found |= dict.fromkeys(kept.get("identities", ()), path.parent.name)
        except (sqlite3.Error, ValueError, AttributeError):
            continue  # Said of the database.
    return found


def _databases(folders: Folders, _: Chosen) -> Iterator[Looked]:
    for path in sorted(folders.root.glob(STUDIES)):
        anew = f"mv {path} {path}.damaged  # `blended study run` finds its results again"
        yield from _database(path, anew, lambda path=path, anew=anew: _wrong_trials(path, anew, folders))
    path = folders.root / "mlflow" / "mlflow.db"
    if path.is_file():
        anew = f"mv {path} {path}.damaged  # `blended train RECIPE --again` tracks anew"
        yield from _database(path, anew, lambda: _wrong_runs(path, folders))


def _database(path: Path, remedy: str, wrong: Callable[[], list[Looked]]) -> Iterator[Looked]:
    """Of a database that is whole, its numbers; else what SQLite says."""
    try:
        problem = broken(path)
        found = [] if problem else wrong()
    except (sqlite3.Error, ValueError, KeyError, TypeError) as error:
        problem, found = f"is damaged: {error}", []
    yield from found or [Looked(path, _size(path), problem, remedy)]


def _wrong_trials(path: Path, remedy: str, folders: Folders) -> list[Looked]:
    results = folders.root.glob("runs/[!.]*/trials/")
    numbers = [number for folder in results for number in contradicted_trials(path, folder)]
    said = "is damaged: it has other numbers of trial {} than its stored result"
    return [Looked(path, _size(path), said.format(number), remedy) for number in numbers]


def _wrong_runs(path: Path, folders: Folders) -> list[Looked]:
    said = f"is damaged: it has other numbers of {{}} than {METRICS}"
    runs = contradicted_runs(path, folders.root)
    return [Looked(path, _size(path), said.format(run), f"blended train {run.name} --again") for run in runs]


def _models(folders: Folders, _: Chosen) -> Iterator[Looked]:
    """Models and runs in MLflow's folder, where it is on this disk."""
    for path in sorted((folders.root / "mlflow" / "artifacts").rglob(MANIFEST)):
        yield from _folder(path.parent, faults_of(path.parent), _tracked_again(path.parent))


def _tracked_again(folder: Path) -> str:
    try:
        recipe = str(json.loads((folder / PIPELINE).read_bytes())["recipe"])
    except (OSError, ValueError, KeyError, TypeError):
        recipe = "RECIPE"
    return f"blended train {recipe} --again"


def _caches(folders: Folders, _: Chosen) -> Iterator[Looked]:
    from blended.data.measurement_cache import CACHE_NAME

    if (folders.cache / CACHE_NAME).is_file():
        yield _sealed(folders.cache / CACHE_NAME, f"rm {folders.cache / CACHE_NAME}")
    for path in sorted(folders.cache.glob("pooled/[!.]*.npy")):
        yield _sealed(path, f"rm {path}")
    for folder in sorted(folders.cache.glob("media/[!.]*/")):
        yield from _folder(folder, faults_of(folder), f"rm -r {folder}")


PARTS: dict[str, Callable[[Folders, Chosen], Iterator[Looked]]] = {
    # First of all, since their remedies come first: an index of damaged recordings would be believed.
    "recordings": _recordings,
    "corpus index": _indexes,
    "features": _features,
    "runs": _runs,
    "checkpoints": _checkpoints,
    "pre-trained weights": _weights,
    "study results": _study_results,
    "databases": _databases,
    "MLflow's files": _models,
    "caches": _caches,
}


def _sealed(path: Path, remedy: str) -> Looked:
    """Of a file that carries its checksum."""
    try:
        if path.suffix == ".json":
            read_sealed_json(path)  # What is no JSON is damaged, whether it had a seal or not.
        if not is_sealed(path):
            return Looked(path, _size(path), BEFORE, remedy)
        check_seal(path)
    except DamagedError as damage:
        return Looked(path, _size(path), _without(path, damage), remedy)
    return Looked(path, _size(path))


def _hashed(path: Path, sha256: str, remedy: str) -> Looked:
    """Of a file whose checksum is written elsewhere."""
    if not path.is_file():
        return Looked(path, 0, "is missing", remedy)
    here = file_sha256(path)
    problem = "" if here == sha256 else f"is damaged: its SHA-256 is {here[:12]}, expected {sha256[:12]}"
    return Looked(path, _size(path), problem, remedy if problem else "")


def _without(path: Path, error: Exception) -> str:
    """The words of an error without the path that they begin with, on one line."""
    return " ".join(str(error).removeprefix(f"{path} ").split())


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
