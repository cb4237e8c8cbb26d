"""What `make repro` costs after installation, today's build against an earlier one, both in one call.

    python benchmarks/repro.py EARLIER [--only now]

EARLIER is a checkout of the commit to compare with, in which `make install` was run. Each side is reproduced
in a fresh clone with an environment and a home of its own; the machine should be idle, as wall time is told.
The scores of both sides are printed beside each other: they differ where a method has changed (LOG.md).
"""

import argparse
import json
import os
import resource
import subprocess
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]


def reproduced(checkout: Path, folder: Path) -> tuple[float, float, dict[str, float]]:
    """Processor and wall seconds of `make repro`, and recipe -> score; RuntimeError if it fails."""
    clone = folder / "clone"
    subprocess.run(["git", "clone", "--quiet", str(checkout), str(clone)], check=True)
    # Its own environment: editable installations would lead back to the checkout otherwise.
    quiet = {"env": {**_environment(folder)}, "cwd": clone, "capture_output": True, "text": True}
    _run(["make", "install"], quiet)
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    _run(["make", "repro"], quiet)
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    scores = {
        path.parent.name: json.loads(path.read_text())["cross_fold"]["score"]
        for path in sorted(clone.glob("runs/demo/*/metrics.json"))
    }
    return processor, wall, scores


def _environment(folder: Path) -> dict[str, str]:
    """An empty home, and bytecode cached as on anybody's machine."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    home = folder / "home"
    home.mkdir()
    return kept | {"HOME": str(home)}


def _run(command: list[str], options: dict) -> None:
    done = subprocess.run(command, check=False, **options)
    if done.returncode:
        raise RuntimeError(f"{command} failed:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")


def main() -> None:
    """Prints a table of both sides."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("earlier", type=Path)
    parser.add_argument("--only", choices=["then", "now"], help="one side alone")
    given = parser.parse_args()
    found = {}
    for side, checkout in (("then", given.earlier.resolve()), ("now", HERE)):
        if given.only in (None, side):
            with tempfile.TemporaryDirectory() as folder:
                found[side] = reproduced(checkout, Path(folder))
            print(f"{side}: {found[side][0]:.0f} s of processor time, {found[side][1]:.0f} s", flush=True)
    if len(found) == 2:
        then, now = found["then"], found["now"]
        print("| make repro | then | now | ratio |\n|---|---:|---:|---:|")
        for name, place in (("processor, s", 0), ("wall, s", 1)):
            print(f"| {name} | {then[place]:.0f} | {now[place]:.0f} | {then[place] / now[place]:.2f} |")
        for recipe, score in now[2].items():
            print(f"{recipe}: {then[2].get(recipe, float('nan')):.4f} then, {score:.4f} now")


if __name__ == "__main__":
    main()
