"""How far the runs of one table can be compared: which code and which libraries made them, in sentences."""

import json
from collections.abc import Mapping, Sequence

from blended.data.errors import some
from blended.studies.folders import Folders
from blended.studies.run_files import read_record

Records = Mapping[str, Mapping[str, object]]
"""Recipe -> its `run.json`."""


def code_notes(records: Records, folders: Folders, corpus: str) -> list[str]:
    """Sentences on runs of unknown code, of other code than is planned here, and of different libraries.

    What is planned is what `blended plan recipes` wrote, as `dvc repro` does; without that, only runs that
    do not say what made them, and libraries, are spoken of.
    """
    unknown = [name for name, record in records.items() if not record.get("versions")]
    return [*_of_unknown_code(unknown), *_of_other_code(records, folders, corpus), *_of_libraries(records)]


def stale_runs(records: Records, folders: Folders, corpus: str) -> list[str]:
    """Recipes whose run is not what would be computed now."""
    stale: list[str] = []
    for name, record in records.items():
        path = folders.plans(corpus) / "recipes" / f"{name}.json"
        planned = json.loads(path.read_text(encoding="utf-8")).get("identity") if path.is_file() else None
        if planned is not None and record.get("versions") and record.get("identity") != planned:
            stale.append(name)
    return stale


def _of_unknown_code(names: Sequence[str]) -> list[str]:
    if not names:
        return []
    return [
        f"Of unknown code: {some(names)}, computed before runs recorded what made them. Whether their "
        f"numbers compare with the others is not known: {_remedy(names)}."
    ]


def _of_other_code(records: Records, folders: Folders, corpus: str) -> list[str]:
    names = stale_runs(records, folders, corpus)
    if not names:
        return []
    return [
        f"Computed from other code, settings, features or labels than are here now: {some(names)}. Their "
        f"numbers are not those of the present state: {_remedy(names)}."
    ]


def _of_libraries(records: Records) -> list[str]:
    found: dict[str, dict[str, list[str]]] = {}
    for name, record in records.items():
        libraries = record.get("libraries")
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
