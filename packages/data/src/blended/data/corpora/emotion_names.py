"""The words for the short names of emotions that the corpora share."""

EMOTION_NAMES = {
    "ang": "anger",
    "calm": "calm",
    "disg": "disgust",
    "fea": "fear",
    "hap": "happiness",
    "neu": "neutral",
    "sad": "sadness",
    "sur": "surprise",
}
