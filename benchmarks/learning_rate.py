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
from blended.encoders.pooling import pool_store
from blended.fusion.inputs import Inputs
from blended.fusion.losses import kl_to_soft_labels
from blended.fusion.nested import train_nested
from blended.fusion.training import TrainingConfig
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
    """All features of the chosen corpus, side by side, under the name `all`."""
    params = read_params(folders.params)
    corpus = read_index(folders.index(params.corpus)).corpus
    ids = [clip.id for clip in corpus.train]
    stores = [FeatureStore(folders.features(params.corpus) / name) for name in params.encoders]
    return Inputs(
        features={"all": torch.from_numpy(np.concatenate([pool_store(s, ids) for s in stores], axis=1))},
        targets=torch.tensor([corpus.target(clip) for clip in corpus.train]),
        folds=np.array([clip.fold for clip in corpus.train]),
        actors=tuple(clip.actor for clip in corpus.train),
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
        nested = train_nested(given.features["all"], given, config, 0, lambda _: None)
        epochs = [*nested.epochs.values()]
        print(f"{hidden:>6} {rate:>8g} {decay:>6g} {loss(nested.inner, given.targets):>9.4f}  {epochs}")


if __name__ == "__main__":
    main()
