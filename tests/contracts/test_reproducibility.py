"""What `docs/reproducibility.md` promises, under several kernels of matrix libraries and thread counts."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

SCRIPT = Path(__file__).parent / "numbers_process.py"
NEEDS = {"Haswell": "avx2", "SkylakeX": "avx512dq", "Sandybridge": "avx"}
"""Kernel of OpenBLAS -> what the processor must have."""
TORCH = {"Haswell": "avx2", "SkylakeX": "avx512", "Sandybridge": "default"}
"""The likewise vectorised kernels of torch."""
SETTINGS = [("Haswell", 1), ("Haswell", 2), ("SkylakeX", 2), ("Sandybridge", 1)]
SAME_DECISION, SAME_TRAINING = 1e-9, 1e-4
"""Largest differences of probabilities between kernels."""

pytestmark = pytest.mark.slow


def flags() -> set[str]:
    """Of the processor; empty where the system does not tell."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.is_file() else []
    return {flag for line in lines if line.startswith("flags") for flag in line.split()}


def numbers(kernel: str, threads: int, stored: Path) -> dict[str, Any]:
    """From a process of its own: libraries choose their kernel when they are loaded."""
    surroundings = {
        "OPENBLAS_CORETYPE": kernel,
        "ATEN_CPU_CAPABILITY": TORCH[kernel],
        "OMP_NUM_THREADS": str(threads),
        "OPENBLAS_NUM_THREADS": str(threads),
    }
    ran = subprocess.run(
        [sys.executable, SCRIPT, stored],
        env=os.environ | surroundings,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, int], dict[str, Any]]:
    """Setting -> numbers, of those settings that this processor has; all read one stored decision."""
    stored, known = tmp_path_factory.mktemp("stored") / "decisions.json", flags()
    usable = [one for one in SETTINGS if NEEDS[one[0]] in known]
    ran = {one: numbers(*one, stored) for one in usable}
    ran = {one: given for one, given in ran.items() if given["kernels"] == [one[0]]}
    if len({kernel for kernel, _ in ran}) < 2:
        pytest.skip(f"needs two kernels of OpenBLAS, this processor and library run {sorted(ran)} only")
    return ran


def test_a_stored_decision_gives_the_same_bits_on_every_kernel(found: dict[Any, Any]) -> None:
    for name in ("bayes", "set-ratio"):
        assert len({given["decisions"][name]["stored"] for given in found.values()}) == 1, name


def test_a_decision_survives_being_stored_and_decides_a_clip_by_itself(found: dict[Any, Any]) -> None:
    for setting, given in found.items():
        for name, one in given["decisions"].items():
            assert one["survives"] and one["alone"], (setting, name)


def test_a_decision_fitted_on_another_kernel_has_nine_digits_in_common(found: dict[Any, Any]) -> None:
    for name in ("bayes", "set-ratio"):
        fitted = [np.array(given["decisions"][name]["fitted"]) for given in found.values()]
        for other in fitted[1:]:
            np.testing.assert_allclose(other, fitted[0], rtol=0, atol=SAME_DECISION)


def test_threads_change_no_bit_of_a_training(found: dict[Any, Any]) -> None:
    for kernel in {kernel for kernel, _ in found}:
        given = [one["trainings"] for (name, _), one in found.items() if name == kernel]
        for strategy in given[0]:
            assert len({one[strategy]["digest"] for one in given}) == 1, (kernel, strategy)


def test_a_training_on_another_kernel_has_four_digits_in_common(found: dict[Any, Any]) -> None:
    given = [one["trainings"] for one in found.values()]
    for strategy in given[0]:
        for other in given[1:]:
            first, second = (np.array(one[strategy]["values"]) for one in (given[0], other))
            np.testing.assert_allclose(second, first, rtol=0, atol=SAME_TRAINING, err_msg=strategy)
