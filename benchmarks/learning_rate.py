"""Loss on inner folds for some learning rates and heads, on the features of a finished `make repro`.

    python benchmarks/learning_rate.py

Nothing here looks at the fold that is reported: the probe of fold k is judged on the fold after it.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from blended.data.index import read_index
from blended.data.store import FeatureStore
from blended.fusion.config import TrainingConfig
from blended.fusion.inputs import Inputs
from blended.fusion.losses import kl_to_soft_labels
from blended.fusion.nested import train_nested
from blended.fusion.reading import gather_vectors
from blended.fusion.run import Surroundings
from blended.fusion.strategies.pooled import Concatenation, pooled_problem
from blended.fusion.strategy import Gathering
from blended.studies.folders import Folders
from blended.studies.params import read_params

SETTINGS = (
    (0, 1e-3, 0.01),
    (0, 1e-3, 1.0),
    (0, 3e-4, 1.0),
    (0, 1e-4, 1.0),
    (256, 1e-3, 0.01),
    (256, 1e-4, 1.0),
)
"""(hidden units, learning rate, weight decay)"""


def inputs(folders: Folders) -> Inputs:
    """The features of all encoders of the chosen corpus."""
    params = read_params(folders.params)
    index = read_index(folders.index(params.corpus))
    stores = {name: FeatureStore(folders.features(params.corpus) / name) for name in params.encoders}
    modality_of = dict.fromkeys(stores, "any")
    return gather_vectors(
        None, Gathering(index, index.corpus, stores, modality_of, "cpu", folders.cache, print)
    )


def loss(probabilities: np.ndarray, targets: Tensor) -> float:
    """Mean KL(target || prediction) in nats."""
    return float(kl_to_soft_labels(torch.as_tensor(probabilities).log(), targets.double()).mean())


def main() -> None:
    """Prints one line per setting."""
    torch.set_num_threads(1)
    given = inputs(Folders(Path()))
    print(f"{'hidden':>6} {'rate':>8} {'decay':>6} {'inner KL':>9}  epochs")
    for hidden, rate, decay in SETTINGS:
        config = TrainingConfig(hidden=hidden, learning_rate=rate, weight_decay=decay, max_epochs=40)
        problem = pooled_problem(given, [*given.features], "training", config, None, Concatenation)
        nested = train_nested(problem, given.folds, len(given.clips), config, 0, Surroundings(lambda _: None))
        epochs = [choice.epochs for choice in nested.choices.values()]
        inner = loss(nested.inner["emotions"], given.targets)
        print(f"{hidden:>6} {rate:>8g} {decay:>6g} {inner:>9.4f}  {epochs}")


if __name__ == "__main__":
    main()
