"""Records, media, corpora and the feature store of `blended`: everything below a neural network.

The vocabulary is `LabelSpace`, `Mixture`, `SoftLabel`, `Clip`, `Corpus`, `Features` and `Scores`; read
`labels.py`, `clip.py`, `features.py` and `scores.py` in that order. Importing this package does nothing.
"""

from blended.data.clip import Clip, Corpus
from blended.data.errors import InputError
from blended.data.features import Features
from blended.data.labels import LabelSpace, Mixture, SoftLabel
from blended.data.scores import Scores

__all__ = ["Clip", "Corpus", "Features", "InputError", "LabelSpace", "Mixture", "Scores", "SoftLabel"]
