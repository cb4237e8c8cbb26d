"""Which edit makes which part of which run stale."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from blended.data.code_versions import Sources, installed
from blended.studies.identity import (
    code_of_decision,
    code_of_explanation,
    code_of_figures,
    code_of_training,
)
from blended.studies.trial import TrialConfig


def config(fusion: dict[str, Any], **decision: Any) -> TrialConfig:
    given = fusion if fusion["name"] == "hicmae" else {"features": ["motion"], **fusion}
    return TrialConfig.model_validate(
        {"corpus": "demo", "encoders": {"motion": {}}, "fusion": given, "decision": decision, "seed": 0}
    ).resolved("mixture")


CONFIGS = {
    "early": config({"name": "early"}),
    "thresholds": config({"name": "early"}, name="thresholds"),
    "actor": config({"name": "early"}, normalise="actor"),
    "ep-ce": config({"name": "early", "training": {"loss": {"name": "ep-ce"}}}),
    "late": config({"name": "late"}),
    "gated": config({"name": "gated"}),
    "joint": config({"name": "cross-attention", "kind": "joint"}),
    "bidirectional": config({"name": "cross-attention"}),
    "hicmae": config({"name": "hicmae"}),
}
ALL = {*CONFIGS}
SEQUENCES = {"joint", "bidirectional"}
CODES = {"trained": code_of_training, "decided": code_of_decision, "explained": code_of_explanation}
NOTHING: dict[str, set[str]] = {}
LOSSES, DECISIONS = "fusion/losses", "eval/decisions"
DISTRIBUTIONS = f"{LOSSES}/distributions.py"

EDITS: dict[str, tuple[str, str, str, dict[str, set[str]]]] = {
    "a comment in a loss": (DISTRIBUTIONS, "    return (", "    # why\n    return (", NOTHING),
    "the loss of most": (
        DISTRIBUTIONS,
        "    return (torch.xlogy",
        "    return 0 * (torch.xlogy",
        {"trained": ALL - {"ep-ce"}},
    ),
    "another loss": (
        DISTRIBUTIONS,
        "def ep_ce(",
        "@edited\ndef ep_ce(",
        {"trained": {"ep-ce"}},
    ),
    "an unused loss": (
        f"{LOSSES}/relations.py",
        "def one_minus_ccc(",
        "@edited\ndef one_minus_ccc(",
        NOTHING,
    ),
    "the training loop": ("fusion/loop.py", "class Loop", "@edited\nclass Loop", {"trained": ALL}),
    "one strategy": (
        "fusion/combining.py",
        "class Combiner",
        "@edited\nclass Combiner",
        {"trained": {"late"}},
    ),
    "one kind of attention": (
        "fusion/modules/published.py",
        "class JointStream(",
        "@edited\nclass JointStream(",
        {"trained": {"joint"}},
    ),
    "sequences": (
        "fusion/sequences.py",
        "class SequenceSource",
        "@edited\nclass SequenceSource",
        {"trained": SEQUENCES},
    ),
    "clips for networks": (
        "fusion/hicmae/clips.py",
        "def prepared_clip(",
        "@edited\ndef prepared_clip(",
        {"trained": {"hicmae"}},
    ),
    "pooling": (
        "encoders/pooling.py",
        "    return np",
        "    return 0 * np",
        {"trained": ALL - SEQUENCES - {"hicmae"}},
    ),
    "a decision": (
        f"{DECISIONS}/set_ratio.py",
        "NUM_SHARES = ",
        "NUM_SHARES = 1 + ",
        dict.fromkeys(("decided", "explained"), ALL - {"thresholds"}),
    ),
    "the official decision": (
        f"{DECISIONS}/thresholds.py",
        "def fit_thresholds(",
        "@edited\ndef fit_thresholds(",
        dict.fromkeys(("decided", "explained"), ALL),
    ),
    "a decision that nobody uses": (
        f"{DECISIONS}/bayes.py",
        "def fit_bayes(",
        "@edited\ndef fit_bayes(",
        NOTHING,
    ),
    "the words of a decision's error": ("eval/protocol.py", "maximises no", "does not maximise an", NOTHING),
    "importance": (
        "studies/explaining.py",
        "NUM_PERMUTATIONS = ",
        "NUM_PERMUTATIONS = 1 + ",
        {"explained": ALL},
    ),
    "how clips are grouped": (
        "data/corpora/blemore.py",
        "def level_from_name(",
        "@edited\ndef level_from_name(",
        {"drawn": ALL},
    ),
    "which predictors are permuted": (
        "studies/predictors.py",
        "def named_predictors(",
        "@edited\ndef named_predictors(",
        {"explained": ALL},
    ),
    "the temperature of a pipeline": (
        "studies/pipeline.py",
        "def _temperature(",
        "@edited\ndef _temperature(",
        {"decided": ALL},
    ),
    "a figure": ("eval/figures/confusion.py", "    return", "    return 0 *", {"drawn": ALL}),
    "the report": ("eval/report/render.py", "def render_html(", "@edited\ndef render_html(", NOTHING),
    "a search": ("studies/search/selection.py", "    return", "    return 0 *", NOTHING),
    "an encoder": ("encoders/motion.py", "    return", "    return 0 *", NOTHING),  # Its features say so.
}


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sources")
    for package, original in installed().folders.items():
        target = folder / package.removeprefix("blended.")
        shutil.copytree(original, target, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def versions(sources: Sources) -> dict[tuple[str, str], str]:
    found = {
        (kind, name): code(one, "mixture", sources)
        for kind, code in CODES.items()
        for name, one in CONFIGS.items()
    }
    return found | {("drawn", name): code_of_figures("demo", sources) for name in CONFIGS}


@pytest.fixture(scope="module")
def unedited(copied: Path) -> tuple[Sources, dict[tuple[str, str], str]]:
    sources = Sources({name: copied / name.removeprefix("blended.") for name in installed().folders})
    return sources, versions(sources)


@pytest.mark.parametrize("edit", [*EDITS])
def test_an_edit_makes_stale_what_depends_on_it_and_nothing_else(
    copied: Path, unedited: tuple[Sources, dict[tuple[str, str], str]], edit: str
) -> None:
    path, old, new, expected = EDITS[edit]
    sources, before = unedited
    file = copied / path
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    name = f"blended.{path.removesuffix('.py').replace('/', '.')}"
    after = versions(Sources(sources.folders, {one: m for one, m in sources.read.items() if one != name}))
    file.write_text(text)
    kinds = (*CODES, "drawn")
    stale = {kind: {one for one in CONFIGS if before[kind, one] != after[kind, one]} for kind in kinds}
    assert {kind: names for kind, names in stale.items() if names} == expected
