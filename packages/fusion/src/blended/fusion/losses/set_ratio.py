"""First the set of emotions, then the ratio of that pair: log p(state) = log p(set) + log p(ratio | pair)."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from blended.fusion.losses.states import StateLayout


def state_log_probabilities(
    set_logits: Float[Tensor, "*batch sets"],
    ratio_logits: Float[Tensor, "*batch pairs ratios"],
    layout: StateLayout,
) -> Float[Tensor, "*batch states"]:
    """Log-probability of every label state, in nats, <= 0; their exponentials add up to 1.

    The organisers of BLEMORE ask for multi-task set-ups in place of thresholds on one softmax; this is the
    one with a head for the set and a head for the ratio conditioned on the pair. Ratios that a pair does not
    have take no probability, whatever their logit.

    >>> from blended.data import LabelSpace, Mixture
    >>> from blended.fusion.losses import state_layout
    >>> names = ("ang", "hap", "ang+hap:30/70", "ang+hap:70/30")
    >>> layout = state_layout(LabelSpace(("ang", "hap"), states=tuple(map(Mixture.from_name, names))))
    >>> sets, ratios = torch.tensor([0.25, 0.25, 0.5]).log(), torch.tensor([[0.9, 0.1]]).log()
    >>> [round(p, 4) for p in state_log_probabilities(sets, ratios, layout).exp().tolist()]
    [0.25, 0.25, 0.45, 0.05]
    """
    log_set = torch.log_softmax(set_logits, dim=-1)
    log_ratio = torch.log_softmax(torch.where(layout.absent_ratio, -torch.inf, ratio_logits), dim=-1)
    flat = log_ratio.flatten(start_dim=-2)
    # A single has no ratio: log 1, one past the end.
    flat = torch.cat([flat, torch.zeros_like(log_set[..., :1])], dim=-1)
    return log_set[..., layout.set_of_state] + flat[..., layout.ratio_of_state]


def emotion_shares(
    log_p_states: Float[Tensor, "*batch states"], layout: StateLayout
) -> Float[Tensor, "*batch E"]:
    """Expected share of every emotion, in [0, 1]; they add up to 1.

    >>> from blended.data import LabelSpace, Mixture
    >>> from blended.fusion.losses import state_layout
    >>> space = LabelSpace(("ang", "hap"), states=(Mixture.single("ang"), Mixture({"ang": 30, "hap": 70})))
    >>> emotion_shares(torch.tensor([0.5, 0.5]).log(), state_layout(space))
    tensor([0.6500, 0.3500])
    """
    return log_p_states.exp() @ layout.shares.to(log_p_states.dtype)


def set_ratio_nll(
    log_p_states: Float[Tensor, "*batch states"], state_index: Int[Tensor, "*batch"]
) -> Float[Tensor, "*batch"]:
    """Negative log-likelihood of the true label state per item, in nats, >= 0.

    0 for an item of `state_index` -1, whose target is no state: leave it out of the mean, too, by
    `weighted_mean(nll, weights * (state_index >= 0))`.

    >>> set_ratio_nll(torch.tensor([[0.2, 0.8], [0.2, 0.8]]).log(), torch.tensor([1, -1]))
    tensor([0.2231, 0.0000])
    """
    chosen = log_p_states.gather(-1, state_index.clamp(min=0)[..., None])[..., 0]
    return torch.where(state_index >= 0, -chosen, 0)
