"""Losses of a clip's distribution over emotions: KL to soft labels, R-Drop, EP-CE, and clips' weights.

EP-CE is cross-entropy that costs more when the polarity of the emotion is mistaken (eMotions), published
(arXiv 2311.17335) for one label per clip: with three polarities and a factor lambda,
`(1 + lambda [polarity(argmax p) != polarity(y)]) * CE`. Here in a soft form, for blends and for rater
distributions, that is the published one where both target and prediction are sure of one emotion.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import torch
from jaxtyping import Float, Int
from torch import Tensor

from blended.data import InputError


def kl_to_soft_labels(
    logits: Float[Tensor, "*batch emotion"], targets: Float[Tensor, "*batch emotion"]
) -> Float[Tensor, "*batch"]:
    """KL(target || softmax(logits)) per item, in nats, >= 0; the loss of the BLEMORE baseline.

    >>> target = torch.tensor([[0.7, 0.3, 0.0]])
    >>> bool(kl_to_soft_labels(target.log(), target).abs().max() < 1e-6)
    True
    """
    log_p = torch.log_softmax(logits, dim=-1)
    return (torch.xlogy(targets, targets) - torch.where(targets > 0, targets * log_p, 0)).sum(dim=-1)


def symmetric_kl(
    logits_a: Float[Tensor, "*batch E"], logits_b: Float[Tensor, "*batch E"]
) -> Float[Tensor, "*batch"]:
    """(KL(a || b) + KL(b || a)) / 2 of two softmax distributions per item, in nats, >= 0.

    The regulariser of R-Drop (arXiv 2106.14448). Gradients flow into both.

    >>> a, b = torch.tensor([2.0, 0.0]), torch.tensor([0.0, 2.0])
    >>> round(symmetric_kl(a, b).item(), 4), symmetric_kl(a, a + 5).item()
    (1.5232, 0.0)
    """
    log_a, log_b = torch.log_softmax(logits_a, dim=-1), torch.log_softmax(logits_b, dim=-1)
    # Both directions in one sum whose every term is >= 0.
    return ((log_a.exp() - log_b.exp()) * (log_a - log_b)).sum(dim=-1) / 2


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


def clip_weights(targets: Float[Tensor, "N E"], balance: float | None) -> Float[Tensor, "N"]:
    """Weight of every clip of a training part, so that the blends together weigh `balance` of the total.

    Computed once on a whole training part, not per batch. A blend has two or more emotions with a positive
    target. Weights are >= 0 with mean 1. `balance` None, or a part without blends or without singles: all 1.
    Given a balance, a row of zeros (padding, withheld label) weighs 0 and is not counted.
    Why explicit: the public HiCMAE fine-tuning on BLEMORE weighed blends about 100 times more by its choice
    of targets, and called most of the singles blends.
    Raises InputError for a balance outside (0, 1).

    >>> three_singles_one_blend = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.7, 0.3]])
    >>> clip_weights(three_singles_one_blend, 0.5).tolist()
    [0.6666..., 0.6666..., 0.6666..., 2.0]
    """
    if balance is None:
        return torch.ones_like(targets[..., 0])
    if not 0 < balance < 1:
        raise InputError(
            f"the balance of blends is {balance:g}, expected a number between 0 and 1, both excluded: the "
            "share of the loss that the blends get, such as 0.5; leave it out to weigh all clips alike"
        )
    num_present = (targets > 0).sum(dim=-1)
    blend = (num_present >= 2).to(targets.dtype)
    single = (num_present == 1).to(targets.dtype)
    num_blends, num_singles = blend.sum(), single.sum()
    total = num_blends + num_singles
    per_blend = balance * total / num_blends.clamp(min=1)
    per_single = (1 - balance) * total / num_singles.clamp(min=1)
    both_kinds = (num_blends > 0) & (num_singles > 0)
    return torch.where(both_kinds, blend * per_blend + single * per_single, blend + single)


def weighted_mean(
    losses: Float[Tensor, "*batch item"], weights: Float[Tensor, "*batch item"]
) -> Float[Tensor, "*batch"]:
    """Mean of losses over items with weights >= 0; 0 where all weights are 0.

    Items of weight 0 are not there, even when their loss is NaN.

    >>> weighted_mean(torch.tensor([1.0, 4.0, torch.nan]), torch.tensor([2.0, 1.0, 0.0])).item()
    2.0
    """
    total = weights.sum(dim=-1)
    summed = (torch.where(weights > 0, losses, 0) * weights).sum(dim=-1)
    return summed / torch.where(total > 0, total, 1)
