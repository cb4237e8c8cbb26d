"""Whether a run is still that of its recipe, told without importing anything that trains.

After a run was found complete, a fingerprint of all that it depends on is remembered, byte for byte: its part
of params.yaml, every source file, the index, the features' indexes and the run's own files. While it fits,
the run is kept. Where it does not, nothing is concluded: `training` then looks closer.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML, YAMLError

from blended.data.atomic import write_text
from blended.data.code_versions import installed
from blended.encoders.names import folder_name
from blended.studies.folders import Folders


def recipe_names(folders: Folders) -> list[str]:
    """Of params.yaml, in its order; empty where that cannot be read, which others say better."""
    recipes = _params(folders).get("recipes")
    return [str(name) for name in recipes] if isinstance(recipes, Mapping) else []


def is_kept(folders: Folders, recipe: str) -> bool:
    """Whether everything is as it was when the run was last found complete."""
    path = _path(folders, recipe)
    if not path.is_file():
        return False
    made_from = inputs(folders, recipe)
    return path.read_text(encoding="utf-8") == _fingerprint(folders, recipe, made_from)


def remember(folders: Folders, recipe: str, made_from: str) -> None:
    """Notes that the recipe's run is complete, unless its `inputs` are not any more what it was made from."""
    if inputs(folders, recipe) == made_from:
        write_text(_path(folders, recipe), _fingerprint(folders, recipe, made_from))


def inputs(folders: Folders, recipe: str) -> str:
    """SHA-256 over all that the run of a recipe depends on, byte for byte, as it is now."""
    params = _params(folders)
    corpus = str(params.get("corpus"))
    given = _entry(params, "recipes", recipe)
    fusion = given.get("fusion") if isinstance(given, Mapping) else None
    fusion = fusion if isinstance(fusion, Mapping) else {}
    used = sorted({str(feature).partition("@")[0] for feature in fusion.get("features") or ()})
    of_used = {
        kind: {n: _entry(params, kind, n) for n in used} for kind in ("encoders", "imported", "weights")
    }
    total = hashlib.sha256(json.dumps([corpus, given, of_used], default=str, sort_keys=True).encode())
    files = [folders.index(corpus)]
    files += [folders.features(corpus) / folder_name(name) / "index.parquet" for name in used]
    files += [Path(str(fusion["checkpoint"]))] if fusion.get("checkpoint") else []
    for file in files:
        total.update(f"{file} {_hash(file)}\n".encode())
    for file, text in installed().texts.items():
        total.update(f"{file} {hashlib.sha256(text).hexdigest()}\n".encode())
    return total.hexdigest()


def _path(folders: Folders, recipe: str) -> Path:
    named = hashlib.sha256(f"{_params(folders).get('corpus')}/{recipe}".encode()).hexdigest()[:16]
    return folders.cache / "kept" / named


def _params(folders: Folders) -> Mapping[str, Any]:
    try:
        given = YAML(typ="safe").load(folders.params) if folders.params.is_file() else None
    except YAMLError:
        return {}
    return given if isinstance(given, Mapping) else {}


def _fingerprint(folders: Folders, recipe: str, made_from: str) -> str:
    total = hashlib.sha256(made_from.encode())
    for file in _below(folders.run(str(_params(folders).get("corpus")), recipe)):
        total.update(f"{file} {_hash(file)}\n".encode())
    return total.hexdigest()


def _entry(params: Mapping[str, Any], kind: str, name: str) -> Any:
    entries = params.get(kind)
    return entries.get(name) if isinstance(entries, Mapping) else None


def _below(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.is_file())


def _hash(file: Path) -> str:
    try:
        with file.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except FileNotFoundError:  # Not there, or replaced at this moment: then nothing fits.
        return "none"
