"""Losses: pure functions of predictions and targets, every one safe under `torch.func.vmap` over models.

Per-item losses take any leading dimensions and are averaged by `weighted_mean`; the losses over a whole
batch (contrastive, correlation) take the clips' weights themselves. A weight is >= 0, and 0 is a clip that is
not there: padding, or a clip that the loss must ignore.

Compute them in float32: under automatic mixed precision, hand over `logits.float()`.
"""

from blended.fusion.losses.distributions import (
    POLARITY,
    clip_weights,
    ep_ce,
    kl_to_soft_labels,
    polarity_of,
    polarity_weights,
    symmetric_kl,
    weighted_mean,
)
from blended.fusion.losses.relations import (
    one_minus_ccc,
    one_minus_pearson,
    pairwise_contrastive,
    salience_ranking,
)
from blended.fusion.losses.states import (
    StateLayout,
    emotion_shares,
    set_ratio_nll,
    state_layout,
    state_log_probabilities,
    state_of_targets,
)

__all__ = [
    "POLARITY",
    "StateLayout",
    "clip_weights",
    "emotion_shares",
    "ep_ce",
    "kl_to_soft_labels",
    "one_minus_ccc",
    "one_minus_pearson",
    "pairwise_contrastive",
    "polarity_of",
    "polarity_weights",
    "salience_ranking",
    "set_ratio_nll",
    "state_layout",
    "state_log_probabilities",
    "state_of_targets",
    "symmetric_kl",
    "weighted_mean",
]
