"""EP-CE: cross-entropy that costs more when the polarity of the emotion is mistaken (eMotions).

Published (arXiv 2311.17335) for one label per clip: with three polarities and a factor lambda,
`(1 + lambda [polarity(argmax p) != polarity(y)]) * CE`. Here in a soft form, for blends and for rater
distributions, that is the published one where both target and prediction are sure of one emotion.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import torch
from jaxtyping import Float, Int
from torch import Tensor

from blended.data import InputError

POLARITIES = (-1, 0, 1)

POSITIVE = (
    *("hap", "happiness", "joy"),
    *("adoration", "amusement"),  # Hume-Reaction
    *("excitation", "relaxation"),  # eMotions; its polarities are those of its authors
)
NEUTRAL = (
    *("neu", "neutral"),
    # RAVDESS has calm as its second baseline, beside neutral.
    *("calm", "calmness"),
    # Pleasant or unpleasant, depending on what surprises.
    *("sur", "surprise"),
)
NEGATIVE = (
    *("ang", "anger", "disg", "disgust", "fea", "fear", "sad", "sadness"),
    *("anxiety", "empathic pain", "empathic_pain"),  # Hume-Reaction
    "tension",  # eMotions
)

POLARITY: Mapping[str, int] = MappingProxyType(
    dict.fromkeys(POSITIVE, 1) | dict.fromkeys(NEUTRAL, 0) | dict.fromkeys(NEGATIVE, -1)
)
"""Emotion -> 1 (positive), 0 (neutral) or -1 (negative), for short names and words of the known corpora."""


def polarity_of(emotions: Sequence[str], given: Mapping[str, int] | None = None) -> Int[Tensor, "E"]:
    """The polarity of every emotion, in the order of `emotions`.

    `given` adds to `POLARITY` and overrides it. Capitals do not matter in names that are looked up there.
    Raises InputError for an emotion without a polarity, or for a polarity that is not -1, 0 or 1.

    >>> polarity_of(["ang", "hap", "neu"]).tolist()
    [-1, 1, 0]
    """
    given = given or {}
    for emotion, polarity in given.items():
        if polarity not in POLARITIES:
            raise InputError(f"the polarity of {emotion!r} is {polarity}, expected -1, 0 or 1")
    found = [given.get(emotion, POLARITY.get(emotion.lower())) for emotion in emotions]
    for emotion, polarity in zip(emotions, found, strict=True):
        if polarity is None:
            raise InputError(
                f"no polarity is known for the emotion {emotion!r}: give it one (-1 negative, 0 neutral, "
                f"1 positive), or choose another loss than EP-CE. Known: {', '.join(POLARITY)}."
            )
    return torch.tensor(found, dtype=torch.long)


def polarity_weights(
    logits: Float[Tensor, "*batch E"],
    targets: Float[Tensor, "*batch E"],
    polarity: Int[Tensor, "E"],
    strength: float = 0.5,
) -> Float[Tensor, "*batch"]:
    """1 + strength * half the L1 distance between target and predicted polarity mass, per item.

    In [1, 1 + strength] for targets that are distributions and `strength` >= 0; without gradient, since a
    weight that could be lowered would let the model trade the polarity against the loss itself.

    >>> polarity = polarity_of(["ang", "sad", "hap"])
    >>> sure_of_sad, truth = torch.tensor([[-99.0, 99.0, -99.0]]), torch.tensor([[1.0, 0.0, 0.0]])
    >>> polarity_weights(sure_of_sad, truth, polarity), polarity_weights(-sure_of_sad, truth, polarity)
    (tensor([1.]), tensor([1.2500]))
    """
    columns = torch.tensor(POLARITIES, device=polarity.device)
    member = (polarity[..., None] == columns).to(targets.dtype)
    predicted = torch.softmax(logits.detach(), dim=-1)
    mistaken = ((targets.detach() - predicted) @ member).abs().sum(dim=-1) / 2
    return 1 + strength * mistaken


def ep_ce(
    logits: Float[Tensor, "*batch E"],
    targets: Float[Tensor, "*batch E"],
    polarity: Int[Tensor, "E"],
    strength: float = 0.5,
) -> Float[Tensor, "*batch"]:
    """`polarity_weights` times the cross-entropy to soft labels per item, in nats, >= 0 (arXiv 2311.17335).

    The gradient is that of `polarity_weights` times `kl_to_soft_labels`: both differ by the entropy of the
    target, which is 0 for one emotion.

    >>> truth, polarity = torch.tensor([1.0, 0.0, 0.0]), polarity_of(["ang", "sad", "hap"])
    >>> logits = torch.tensor([0.0, 2.0, -99.0]), torch.tensor([0.0, -99.0, 2.0])
    >>> [round(ep_ce(one, truth, polarity).item(), 4) for one in logits]
    [2.1269, 3.0636]
    """
    log_p = torch.log_softmax(logits, dim=-1)
    cross_entropy = -torch.where(targets > 0, targets * log_p, 0).sum(dim=-1)
    return polarity_weights(logits, targets, polarity, strength) * cross_entropy
