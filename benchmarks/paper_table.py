"""How long the study of the published table takes: all 35 trainings of studies/paper_table.yaml.

    python benchmarks/paper_table.py               everything, two workers of one thread each
    python benchmarks/paper_table.py --part        some of every size; the others scaled by columns

Settings come from the study file. Features are planted, at the encoders' real dimensions: synthetic, scores
say nothing about people. Lengths of clips are assumed: 7 windows on average, 47 (30 s) at most.
"""

import argparse
import resource
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from planted import planted_features, planted_labels
from pydantic import TypeAdapter

from blended.encoders.device import one_thread
from blended.fusion.run import Surroundings
from blended.fusion.sequences import Sequences
from blended.fusion.strategies import FUSIONS, FusionConfig, fit
from blended.studies.params import read_params
from blended.studies.search.plan import Plan
from blended.studies.search.space import all_points
from blended.studies.search.study_file import Study

ROOT = Path(__file__).parents[1]
STATISTICS = 7
DIMS = {
    "clip": 512,
    "imagebind-vision": 1024,
    "openface": 31,
    "videomae2": 1408,
    "videoswin": 1024,
    "hubert-large": 1024,
    "wavlm-large": 1024,
}
AUDIO = ("hubert-large", "wavlm-large")
WINDOWS_HZ = 25 / 16
MEAN_WINDOWS, MOST_WINDOWS = 7, 47
PART = ("OpenFace", "CLIP", "VideoMAEv2 + WavLM", "Video Swin, subsampled")


@dataclass(frozen=True, slots=True)
class Cell:
    """One row of the table with one head."""

    name: str
    config: FusionConfig

    @property
    def columns(self) -> int:
        """Of all its features; windows have no statistics."""
        width = sum(DIMS[name] for name in self.config.features)
        return width if self.config.name == "subsampled" else width * STATISTICS

    @property
    def kind(self) -> tuple[str, int]:
        """Cells of one kind differ in columns only."""
        return self.config.name, self.config.training.hidden


@dataclass(frozen=True, slots=True)
class Measured:
    """What a cell took."""

    cell: Cell
    wall: float
    cpu: float
    score: str
    peak_gib: float


def cells() -> list[Cell]:
    """All of the study file."""
    study = Study.model_validate(yaml.safe_load((ROOT / "studies" / "paper_table.yaml").read_text()))
    plan = Plan(name="paper_table", study=study, params=read_params(ROOT / "params.yaml"))
    adapter: TypeAdapter[Any] = TypeAdapter(FusionConfig)
    made: list[Cell] = []
    for point in all_points(study.dimensions):
        config = adapter.validate_python(plan.recipe(point, 42)["fusion"])
        made.append(Cell(f"{point['recipe']}, hidden {config.training.hidden}", config))
    return made


@cache
def pooled(name: str) -> torch.Tensor:
    """Planted statistics of one encoder."""
    return planted_features(planted_labels(), DIMS[name] * STATISTICS, list(DIMS).index(name))


@cache
def windows(name: str) -> Sequences:
    """Planted windows: those of a clip are its planted vector, and noise of their own."""
    rng = np.random.default_rng(7)
    x = planted_features(planted_labels(), DIMS[name], list(DIMS).index(name))
    lengths = torch.from_numpy(np.clip(rng.geometric(1 / MEAN_WINDOWS, len(x)), 1, MOST_WINDOWS))
    values = x.repeat_interleave(lengths, dim=0)
    noise = torch.from_numpy(rng.standard_normal(values.shape, dtype=np.float32))
    return Sequences(values + noise * x.std(dim=0), lengths.cumsum(0) - lengths, lengths, WINDOWS_HZ)


def measure(cell: Cell) -> Measured:
    """Trains a cell on one thread."""
    labels = planted_labels()
    modality_of = {name: "audio" if name in AUDIO else "video" for name in cell.config.features}
    if FUSIONS[cell.config.name].reads.name == "vectors":
        inputs = labels.inputs({name: pooled(name) for name in modality_of}, modality_of)
    else:
        inputs = labels.inputs({}, modality_of)
        inputs = replace(inputs, sequences={name: windows(name) for name in modality_of})
    with one_thread():
        wall, cpu = time.perf_counter(), time.process_time()
        fused = fit(cell.config, inputs, 42, Surroundings(lambda _: None))
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    score = str(labels.evaluation(fused.out_of_fold, "cross-fold").measured["score"])
    return Measured(cell, wall, cpu, score, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)


def processor_seconds(measured: Sequence[Measured], cell: Cell) -> float:
    """Of any cell: measured, or on the line over columns through cells of its kind."""
    for one in measured:
        if one.cell == cell:
            return one.cpu
    alike = sorted((one for one in measured if one.cell.kind == cell.kind), key=lambda one: one.cell.columns)
    columns, seconds = [one.cell.columns for one in alike], [one.cpu for one in alike]
    if len(alike) == 1:
        return seconds[0] * cell.columns / columns[0]
    return float(np.interp(cell.columns, columns, seconds))


def main() -> None:
    """Every cell as it is done, then the sum."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--part", action="store_true")
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    every = cells()
    chosen = [
        cell for cell in every if not asked.part or cell.name.startswith(tuple(f"{n}, h" for n in PART))
    ]
    # The largest first, so that no worker ends long after the others.
    chosen = sorted(chosen, key=lambda cell: -cell.columns)
    measured: list[Measured] = []
    started = time.perf_counter()
    with ProcessPoolExecutor(asked.workers, mp_context=get_context("spawn")) as pool:
        for one in pool.map(measure, chosen):
            measured.append(one)
            print(
                f"{one.cell.name}: {one.cell.columns} columns, "
                f"{one.wall:.0f} s ({one.cpu:.0f} s of processor), score {one.score}, "
                f"peak {one.peak_gib:.1f} GiB",
                flush=True,
            )
    print(
        f"{len(measured)} of {len(every)} trainings: {(time.perf_counter() - started) / 60:.1f} minutes with "
        f"{asked.workers} workers, planting included; largest peak of a worker "
        f"{max(one.peak_gib for one in measured):.1f} GiB"
    )
    total = sum(processor_seconds(measured, cell) for cell in every) / 60
    print(f"all {len(every)}: {total:.1f} minutes of processor, {total / 2:.1f} on two cores of one's own")


if __name__ == "__main__":
    main()
