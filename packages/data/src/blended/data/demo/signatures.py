"""Which emotion moves what: the design of the demo corpus.

An emotion is a pattern of facial movement, a kind of voice, and a lag of the voice behind the face:

| emotion | face     | voice | lag of voice | told apart from its neighbour ...               |
|---------|----------|-------|--------------|-------------------------------------------------|
| ang     | scowl    | growl | +0.26 s      | ang / disg: ONLY by the timing                  |
| disg    | scowl    | growl | -0.26 s      | disg / ang: ONLY by the timing                  |
| fea     | distress | gasp  | 0            | fea / sad: ONLY in the voice                    |
| sad     | distress | sob   | 0            | sad / fea: only in the voice; sad / hap: face   |
| hap     | smile    | sob   | 0            | hap / sad: ONLY in the face (laughs and sobs    |
|         |          |       |              | share their rhythm)                             |
| neu     | at rest  | breath| 0            | all others: by being still and more often       |
|         |          |       |              | unvoiced                                        |

A clip is performed with a strength (its intensity level for singles) and the shares of its label. Shares
weigh the patterns of the face, the kinds of voice and the lag alike, so that salience is carried too:

- a blend of neighbours has its ratio in the one channel that tells them apart (fea+sad 70/30: the voice
  is 70 % gasp and 30 % sob while the face is all distress; ang+disg 70/30: 0.4 of ang's lag);
- a blend with a third emotion inherits the ambiguity (ang+hap and disg+hap differ by their lag only,
  fea+hap and fea+sad in the face only, ang+fea and ang+sad in the voice only).

Without noise, the best guess from the face alone or the voice alone finds 25/54 of the emotion sets, from
both without timing 38/54, and from everything all of them.

All patterns are linear: the movement of the face is a weighted sum of patterns, and the log spectrum of
the voice is a weighted sum of spectral patterns, whether the clip is voiced or whispered.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from blended.data.labels import LabelSpace, Mixture

EMOTIONS = ("ang", "disg", "fea", "hap", "sad", "neu")
"""BLEMORE's order."""

SHARES = ((30.0, 70.0), (50.0, 50.0), (70.0, 30.0))
"""Percent of the first and of the second emotion of a blend, in the order of BLEMORE's file names."""

LAG_SECONDS = 0.26
"""The voice of ang follows the face by this much, the voice of disg precedes it by as much."""

FACES: Mapping[str, Mapping[str, float]] = {
    "scowl": {
        "brow_inner": -1.0,
        "brow_outer": -0.25,
        "brow_squeeze": 1.0,
        "lid": -0.45,
        "cheek": 0.3,
        "nose": 1.0,
        "upper_lip": 0.9,
        "lip_corner": -0.35,
        "jaw": 0.25,
        "pitch": 0.6,
    },
    "distress": {
        "brow_inner": 1.1,
        "brow_outer": 0.05,
        "brow_squeeze": 0.45,
        "lid": 0.65,
        "upper_lip": 0.1,
        "lip_corner": -0.95,
        "lip_stretch": 0.25,
        "jaw": 0.4,
        "roll": 0.6,
    },
    "smile": {
        "brow_outer": 0.35,
        "brow_inner": 0.2,
        "lid": -0.2,
        "cheek": 1.0,
        "upper_lip": 0.35,
        "lip_corner": 1.1,
        "lip_stretch": 0.75,
        "jaw": 0.4,
        "pitch": -0.5,
    },
}
"""Pattern -> movement -> amount; 1 is a full movement."""

VOICES = ("growl", "gasp", "sob")
"""Kinds of voice; `voice.py` says how each sounds. Breathing is what is left without any of them."""

MOVEMENTS = (
    "brow_inner",
    "brow_outer",
    "brow_squeeze",
    "lid",
    "cheek",
    "nose",
    "upper_lip",
    "lip_corner",
    "lip_stretch",
    "jaw",
    "pitch",
    "yaw",
    "roll",
)
"""Up, wide, open, down (pitch), right (yaw) and clockwise (roll) are positive."""

FACE_OF = {"ang": "scowl", "disg": "scowl", "fea": "distress", "sad": "distress", "hap": "smile"}
VOICE_OF = {"ang": "growl", "disg": "growl", "fea": "gasp", "sad": "sob", "hap": "sob"}
LAG_OF = {"ang": LAG_SECONDS, "disg": -LAG_SECONDS}

Array = NDArray[np.float64]


def _one_hot(names: tuple[str, ...], name_of: Mapping[str, str]) -> Array:
    return np.array([[float(name_of.get(emotion) == name) for emotion in EMOTIONS] for name in names])


FACE_BY_EMOTION = _one_hot(tuple(FACES), FACE_OF)
"""[pattern, emotion]: which face an emotion shows."""
VOICE_BY_EMOTION = _one_hot(VOICES, VOICE_OF)
"""[kind, emotion]: which voice an emotion has."""
LAG_SECONDS_BY_EMOTION = np.array([LAG_OF.get(emotion, 0.0) for emotion in EMOTIONS])
"""[emotion]: lag of the voice behind the face."""
MOVEMENT_BY_FACE = np.array([[face.get(move, 0.0) for face in FACES.values()] for move in MOVEMENTS])
"""[movement, pattern]: amounts of `FACES`."""


def label_space() -> LabelSpace:
    """BLEMORE's emotions and its 36 label states: 6 singles, then 10 pairs x 3 shares."""
    singles = [Mixture.single(emotion) for emotion in EMOTIONS]
    spoken = EMOTIONS[:-1]
    pairs = [(a, b) for i, a in enumerate(spoken) for b in spoken[i + 1 :]]
    blends = [Mixture({a: p, b: q}) for a, b in pairs for p, q in SHARES]
    return LabelSpace(EMOTIONS, "mixture", (*singles, *blends))
