"""Losses: pure functions of predictions and targets, every one safe under `torch.func.vmap` over models.

Per-item losses take any leading dimensions and are averaged by `weighted_mean`; the losses over a whole
batch (contrastive, correlation) take the clips' weights themselves. A weight is >= 0, and 0 is a clip that is
not there: padding, or a clip that the loss must ignore.

Compute them in float32: under automatic mixed precision, hand over `logits.float()`.
"""

from blended.fusion.losses.consistency import symmetric_kl
from blended.fusion.losses.contrastive import pairwise_contrastive
from blended.fusion.losses.correlation import one_minus_ccc, one_minus_pearson
from blended.fusion.losses.polarity import POLARITY, ep_ce, polarity_of, polarity_weights
from blended.fusion.losses.ranking import salience_ranking
from blended.fusion.losses.set_ratio import emotion_shares, set_ratio_nll, state_log_probabilities
from blended.fusion.losses.soft_labels import kl_to_soft_labels
from blended.fusion.losses.states import StateLayout, state_layout, state_of_targets
from blended.fusion.losses.weights import clip_weights, weighted_mean

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
