"""What commands cost, today's build against an earlier one: processor and wall time, memory, same numbers.

    python benchmarks/commands.py EARLIER PROJECT [--minutes 5] [--repeats 3]

EARLIER is a checkout of the commit to compare with, in which `make install` was run; PROJECT a folder in
which `make repro` was run with it. Both sides take turns in one call, every run is a process of its own, and
the smaller time of each side counts. The long recording is made of the project's clips, one after the other.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import polars as pl

RECIPE = "early-all"
WITHIN = 1e-9
GAP_SECONDS = 0.12
"""Between two clips of the long recording: frames of the second are decoded before they are shown."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a process took."""

    processor_seconds: float
    wall_seconds: float
    peak_mib: float
    """Largest resident memory, pages of library files included."""
    private_mib: float
    """Largest memory of its own, looked at twenty times a second; 0 where the system does not say so."""


def run(command: list[str], folder: Path) -> tuple[Cost, str]:
    """Runs a command by itself; returns its cost and what it printed. RuntimeError if it fails."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        started, private = time.perf_counter(), 0.0
        process = subprocess.Popen(command, stdout=out, stderr=err, cwd=folder, env=kept)
        while True:
            ended, status, used = os.wait4(process.pid, os.WNOHANG)
            if ended:
                break
            private = max(private, _private_mib(process.pid))
            time.sleep(0.05)
        wall = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if process.returncode:
            raise RuntimeError(f"{' '.join(command)}: {err.read().decode()}")
        return Cost(used.ru_utime + used.ru_stime, wall, used.ru_maxrss / 1024, private), out.read().decode()


def _private_mib(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    found = [line.split()[1] for line in lines if line.startswith("RssAnon")]
    return int(found[0]) / 1024 if found else 0.0


def long_recording(path: Path, clips: list[Path], minutes: float) -> None:
    """Packets of the clips, one clip after the other until so much is there; nothing is encoded anew."""
    offset, place = Fraction(0), 0
    with av.open(str(path), "w") as container:
        tracks: dict[str, Any] = {}
        while offset < minutes * 60:
            with av.open(str(clips[place % len(clips)])) as clip:
                tracks = tracks or {s.type: container.add_stream_from_template(s) for s in clip.streams}
                end = Fraction(0)
                for packet in clip.demux():
                    tick = packet.time_base
                    if packet.dts is None or packet.pts is None:
                        continue
                    end = max(end, (packet.pts + (packet.duration or 0)) * tick)
                    packet.pts += round(offset / tick)
                    packet.dts += round(offset / tick)
                    packet.stream = tracks[packet.stream.type]
                    container.mux(packet)
            offset += Fraction(round(end * 25), 25) + Fraction(GAP_SECONDS).limit_denominator(100)
            place += 1


def scores_of(project: Path, path: Path) -> None:
    """The out-of-fold probabilities of a run as anybody's CSV."""
    table = pl.read_parquet(project / "runs" / "demo" / RECIPE / "artifacts" / "predictions.parquet")
    columns = [name for name in table.columns if name.startswith("p_")]
    table.select("filename", "fold", *(pl.col(name).alias(name[2:]) for name in columns)).write_csv(path)


def differences(one: Any, other: Any, where: str = "") -> list[str]:
    """Places in which two JSON documents differ in more than notes on versions."""
    if isinstance(one, dict) and isinstance(other, dict):
        keys = one.keys() & other.keys() - {"notes", "blended_version"}
        return [d for key in sorted(keys) for d in differences(one[key], other[key], f"{where}/{key}")]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        return [d for place, pair in pairs for d in differences(*pair, f"{where}/{place}")]
    if isinstance(one, int | float) and isinstance(other, int | float):
        return [] if math.isclose(one, other, rel_tol=0, abs_tol=WITHIN) else [f"{where}: {one}, {other}"]
    return [] if one == other else [f"{where}: {one}, {other}"]


def commands(project: Path, made: Path, minutes: float) -> dict[str, list[str]]:
    """Name of the row -> arguments after `python`; `OUT` is a file that both sides write."""
    clips = sorted((project / "data" / "corpora" / "demo" / "test").glob("*.mp4"))
    metadata = str(project / "data" / "corpora" / "demo" / "train_metadata.csv")
    long_recording(made / "long.mp4", clips, minutes)
    scores_of(project, made / "scores.csv")
    blended = ["-m", "blended.studies"]
    given = [str(made / "scores.csv"), "--metadata", metadata, "--scores", "probabilities", "--json", "OUT"]
    applied = ["--run", RECIPE, "--json"]
    return {
        "`import torch` alone": ["-c", "import torch"],
        "`blended --help`": [*blended, "--help"],
        "`blended runs`": [*blended, "runs"],
        "`blended features list`": [*blended, "features", "list"],
        "`blended evaluate`, thresholds": [*blended, "evaluate", *given, "--decision", "thresholds"],
        "`blended evaluate`, set-ratio": [*blended, "evaluate", *given, "--decision", "set-ratio"],
        "`blended predict` of one clip": [*blended, "predict", str(clips[0]), *applied],
        f"`blended predict` of {minutes:g} minutes": [*blended, "predict", str(made / "long.mp4"), *applied],
    }


def side_by_side(arguments: list[str], sides: dict[str, str], project: Path, made: Path, times: int) -> Any:
    """Costs by side, the smallest of several, and the documents that both wrote."""
    costs: dict[str, list[Cost]] = {side: [] for side in sides}
    documents: dict[str, Any] = {}
    for _ in range(times):
        for side, python in sides.items():
            out = made / f"{side}.json"
            here = [str(out) if argument == "OUT" else argument for argument in arguments]
            cost, printed = run([python, *here], project)
            costs[side].append(cost)
            if "OUT" in arguments:
                documents[side] = json.loads(out.read_text())
            elif arguments[-1] == "--json":
                documents[side] = json.loads(printed)["predictions"]
    least = {side: min(found, key=lambda one: one.processor_seconds) for side, found in costs.items()}
    return least["before"], least["now"], documents


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("earlier", type=Path)
    parser.add_argument("project", type=Path)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    sides = {"before": str(given.earlier.resolve() / ".venv" / "bin" / "python"), "now": sys.executable}
    print("| | processor, s | wall, s | peak, MiB | private, MiB | numbers |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        project, made = given.project.resolve(), Path(folder)
        for name, arguments in commands(project, made, given.minutes).items():
            times = 1 if "minutes" in name else given.repeats
            before, now, documents = side_by_side(arguments, sides, project, made, times)
            found = differences(documents["before"], documents["now"]) if documents else []
            same = "" if not documents else "same" if not found else f"{len(found)} differ ({found[0]})"
            ratio, wall = (
                now.processor_seconds / before.processor_seconds,
                now.wall_seconds / before.wall_seconds,
            )
            print(
                f"| {name} | {before.processor_seconds:.2f} to {now.processor_seconds:.2f} ({ratio:.2f}) | "
                f"{before.wall_seconds:.1f} to {now.wall_seconds:.1f} ({wall:.2f}) | "
                f"{before.peak_mib:.0f} to {now.peak_mib:.0f} | "
                f"{before.private_mib:.0f} to {now.private_mib:.0f} | {same} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
