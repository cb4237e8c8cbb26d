"""What every stage is made by, a small file each, so that DVC reruns what depends on an edit and no more.

    data/plans/<corpus>/code/      corpus, index, imported, report, features/<encoder>: versions of code
    data/plans/<corpus>/recipes/   one file per recipe: the identity that its run must have

A comment changes no file here, so it reruns no stage but those that write these files. By them it is told
which runs are of other code, settings or data than are here now.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from blended.data import InputError
from blended.data.atomic import write_text
from blended.data.code_versions import Chosen, code_version
from blended.data.errors import some
from blended.studies.corpus_params import FeatureParams, with_name
from blended.studies.folders import Folders
from blended.studies.run_files import read_record

if TYPE_CHECKING:
    from blended.studies.params import Params

RENDERED = ("blended.data.demo.render:render",)
IMPORTED = ("blended.data.importing:import_corpus",)
INDEXED = (
    "blended.data.corpora:read_corpus",
    "blended.data.findings:check",
    "blended.data.index:build_index",
    "blended.data.index:write_index",
    "blended.data.splits:write_splits",
)
FOREIGN = ("blended.data.foreign:import_features",)
REPORTED = ("blended.studies.reporting:gather_report", "blended.studies.reporting:write_report")
TRAINING = ("blended.encoders", "blended.fusion", "blended.studies.trial", "blended.studies.identity")
"""What the report says of these, it reads from runs."""


def write_code_plans(params: FeatureParams, folders: Folders) -> None:
    """Versions of the code of all stages but training, which takes features to tell."""
    from blended.encoders.identity import code_version as version_of_encoder
    from blended.encoders.table import encoder_config

    of_corpus: Chosen = {"blended.data.corpora:CORPORA": {params.corpus, "table"}}
    rendered = params.corpora.source(params.corpus) is None
    plans: dict[str, Mapping[str, object]] = {
        "corpus": {"code": code_version(RENDERED if rendered else IMPORTED, of_corpus)},
        "index": {"code": code_version(INDEXED, of_corpus)},
        "imported": {"code": code_version(FOREIGN)},
        "report": {"code": code_version(REPORTED, of_corpus, TRAINING)},
    }
    for name, settings in params.encoders.items():
        config = encoder_config(with_name(name, settings))
        plans[f"features/{name}"] = {"code": version_of_encoder(config), "weights": params.weights.get(name)}
    _write(folders.plans(params.corpus) / "code", plans)


def write_recipe_plans(params: "Params", folders: Folders) -> None:
    """What every recipe's run must be made from; why not, where a recipe cannot be trained."""
    from blended.studies.training import opened

    plans: dict[str, Mapping[str, object]] = {}
    for name in params.recipes:
        try:
            plans[name] = asdict(opened(name, params, folders).versions)
        except InputError as error:
            plans[name] = {"refused": str(error)}
    _write(folders.plans(params.corpus) / "recipes", plans)


def _write(folder: Path, plans: Mapping[str, Mapping[str, object]]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    for name, plan in plans.items():
        write_text(folder / f"{name}.json", json.dumps(plan, indent=1) + "\n")


Records = Mapping[str, Mapping[str, object]]
"""Recipe -> its `run.json`."""


def code_notes(records: Records, folders: Folders, corpus: str) -> list[str]:
    """Sentences on runs of unknown code, of other code than is planned here, and of different libraries.

    What is planned is what `blended plan recipes` wrote, as `dvc repro` does; without that, only runs that
    do not say what made them, and libraries, are spoken of.
    """
    unknown = [name for name, record in records.items() if not record.get("versions")]
    return [
        *_of_unknown_code(unknown, _remedy(unknown)),
        *_of_other_code(records, folders, corpus),
        *_of_libraries({name: record.get("libraries") for name, record in records.items()}),
    ]


def trial_notes(
    codes: Mapping[str, str], now: Mapping[str, str], libraries: Mapping[str, Mapping[str, str]], study: str
) -> list[str]:
    """The same of the trials of a study, by name: the code that made each, empty where it is not known, what
    it would be now, and their libraries.

    Of trials that are all of one other code nothing is said: they compare with each other.
    """
    remedy = f"rename the file of study {study} and run it; what is of the code of now is not computed again"
    unknown = [name for name, code in codes.items() if not code]
    other = [name for name, code in codes.items() if code and code != now[name]]
    # Configurations use different code: those are of one kind for which it would be the same now.
    kinds: dict[str, set[str]] = {}
    for name in other:
        kinds.setdefault(now[name], set()).add(codes[name])
    mixed = len(other) < len(codes) or any(len(found) > 1 for found in kinds.values())
    said = _of_unknown_code(unknown, remedy) if len(unknown) < len(codes) else []
    if other and mixed:
        versions: dict[str, list[str]] = {}
        for name, code in codes.items():
            if code:
                versions.setdefault("that of now" if code == now[name] else code, []).append(name)
        told = ", ".join(f"{code} ({some(names)})" for code, names in versions.items())
        said.append(
            f"Computed from different versions of the code, so that their numbers do not compare: {told}: "
            f"{remedy}."
        )
    return [*said, *_of_libraries(libraries)]


def stale_runs(records: Records, folders: Folders, corpus: str) -> list[str]:
    """Recipes whose run is not what would be computed now."""
    stale: list[str] = []
    for name, record in records.items():
        path = folders.plans(corpus) / "recipes" / f"{name}.json"
        planned = json.loads(path.read_text(encoding="utf-8")).get("identity") if path.is_file() else None
        if planned is not None and record.get("versions") and record.get("identity") != planned:
            stale.append(name)
    return stale


def _of_unknown_code(names: Sequence[str], remedy: str) -> list[str]:
    if not names:
        return []
    return [
        f"Of unknown code: {some(names)}, computed before runs recorded what made them. Whether their "
        f"numbers compare with the others is not known: {remedy}."
    ]


def _of_other_code(records: Records, folders: Folders, corpus: str) -> list[str]:
    names = stale_runs(records, folders, corpus)
    if not names:
        return []
    return [
        f"Computed from other code, settings, features or labels than are here now: {some(names)}. Their "
        f"numbers are not those of the present state: {_remedy(names)}."
    ]


def _of_libraries(named: Mapping[str, object]) -> list[str]:
    found: dict[str, dict[str, list[str]]] = {}
    for name, libraries in named.items():
        for library, version in libraries.items() if isinstance(libraries, Mapping) else ():
            found.setdefault(str(library), {}).setdefault(str(version), []).append(name)
    mixed = {library: versions for library, versions in found.items() if len(versions) > 1}
    if not mixed:
        return []
    told = "; ".join(
        f"{library} "
        + " and ".join(f"{version} ({some(names)})" for version, names in sorted(versions.items()))
        for library, versions in sorted(mixed.items())
    )
    return [f"Computed with different versions of libraries: {told}. Last digits may differ for that alone."]


def _remedy(names: Sequence[str]) -> str:
    return f"`blended train {' '.join(names)}`" if len(names) <= 3 else "`dvc repro`"


def read_records(names: Sequence[str], corpus: str, folders: Folders) -> dict[str, Mapping[str, object]]:
    """The records of the recipes that have a run; raises DamagedError for one whose files are not whole."""
    found = {name: read_record(folders.run(corpus, name)) for name in names}
    return {name: record for name, record in found.items() if record is not None}
