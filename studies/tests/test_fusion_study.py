"""The study that asks which way of fusing is best has every strategy in it, and its settings are valid."""

from pathlib import Path

from blended.fusion.strategies import FUSIONS
from blended.studies.params import read_params
from blended.studies.search.reading import read_study

ROOT = Path(__file__).parents[2]


def test_every_strategy_is_searched() -> None:
    plan = read_study(ROOT / "studies" / "fusion.yaml", read_params(ROOT / "params.yaml"))
    choices = plan.study.dimensions["fusion"].choice or ()
    names = [plan.config({"fusion": choice}, 0).fusion.name for choice in choices]
    # `subsampled` is a way to train on stretches of time, not a way to fuse.
    assert {*names} == {*FUSIONS} - {"subsampled"}
    for choice in choices:
        training = plan.config({"fusion": choice, "fusion.training.hidden": 256}, 0).fusion.training
        assert (training.batch_size, training.clip_norm, training.hidden) == (64, 1.0, 256)
