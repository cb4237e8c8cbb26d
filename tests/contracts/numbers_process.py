"""Run by `test_reproducibility.py` under a kernel of the matrix library: numbers, as JSON on standard output.

Arguments: a file of stored decisions, which is written where it is not there yet.
"""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy import ndarray
from threadpoolctl import threadpool_info

from blended.data.corpora.blemore import SPACE
from blended.encoders.device import one_thread
from blended.eval.decisions import DECISIONS, FitOptions
from blended.eval.evidence import Evidence
from blended.eval.frozen import freeze, thaw
from blended.fusion.config import TrainingConfig
from blended.fusion.strategies import fit
from toys.problems import QUIET, toy_config, toy_inputs

LEARNED = ("bayes", "set-ratio")
TRAINED = ("early", "cross-attention")
NUM_CLIPS = 360


def evidence(seed: int) -> Evidence:
    """Logits that know the truth of every clip, and noise."""
    rng = np.random.default_rng(seed)
    numbers = np.arange(NUM_CLIPS)
    known = np.array([SPACE.target(SPACE.states[number % 36]) for number in numbers])
    logits = rng.normal(size=(NUM_CLIPS, 2, 6)) + 2 * known[:, None]
    return Evidence(logits, numbers % 20, numbers % 20 % 5, SPACE)


def digest(values: ndarray) -> str:
    """Of every bit."""
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()


def decisions(stored: Path) -> dict[str, Any]:
    """Posteriors of decisions fitted here and of those stored; a clip must not know of the others."""
    truth, clips = [SPACE.states[number % 36] for number in range(NUM_CLIPS)], evidence(1)
    fitted: dict[str, Any] = {name: DECISIONS[name](evidence(0), truth, FitOptions()) for name in LEARNED}
    if not stored.exists():
        stored.write_text(json.dumps({name: freeze(one) for name, one in fitted.items()}))
    read = {name: thaw(one) for name, one in json.loads(stored.read_text()).items()}
    found: dict[str, Any] = {}
    for name, decider in fitted.items():
        posterior = decider.posterior(clips)
        again = thaw(json.loads(json.dumps(freeze(decider)))).posterior(clips)
        alone = np.concatenate([decider.posterior(clips.take(np.array([row]))) for row in range(20)])
        found[name] = {
            "stored": digest(read[name].posterior(clips)),
            "fitted": posterior[:5].tolist(),
            "survives": digest(again) == digest(posterior),
            "alone": digest(alone) == digest(posterior[:20]),
        }
    return found


def trainings() -> dict[str, Any]:
    """Out-of-fold predictions of small networks, as a trial trains them on a processor."""
    config = TrainingConfig(max_epochs=4, hidden=8, learning_rate=0.01)
    found: dict[str, Any] = {}
    for name in TRAINED:
        with one_thread():
            predicted = fit(toy_config(name, config), toy_inputs(), 0, QUIET).out_of_fold
        found[name] = {"digest": digest(predicted), "values": predicted[:5].tolist()}
    return found


def main() -> None:
    """Prints the numbers and what computed them."""
    kernels = sorted({str(one.get("architecture")) for one in threadpool_info() if "openblas" in str(one)})
    numbers = {"decisions": decisions(Path(sys.argv[1])), "trainings": trainings()}
    sys.stdout.write(json.dumps({"kernels": kernels, "threads": torch.get_num_threads(), **numbers}))


if __name__ == "__main__":
    main()
