"""What every stage is made by, a small file each, so that DVC reruns what depends on an edit and no more.

    data/plans/<corpus>/code/      corpus, index, imported, report, features/<encoder>: versions of code
    data/plans/<corpus>/recipes/   one file per recipe: the identity that its run must have

A comment changes no file here, so it reruns no stage but those that write these files.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from blended.data import InputError
from blended.data.atomic import write_text
from blended.data.code_versions import Chosen, code_version
from blended.studies.corpus_params import FeatureParams, with_name
from blended.studies.folders import Folders

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
REPORTED = ("blended.studies.commands.compare:compare",)
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
