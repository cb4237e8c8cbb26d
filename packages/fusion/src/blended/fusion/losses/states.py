"""Label states as indices, and a head of two parts: first the set of emotions, then the ratio of that pair.

log p(state) = log p(set) + log p(ratio | pair). S label states, E emotions; BLEMORE: 36 states = 6 singles +
10 pairs x 3 ratios, in 16 sets.
"""

from dataclasses import dataclass, fields, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from blended.data import InputError, LabelSpace, Mixture

# A target further than this from every state is none; float32 rounding of a share is far below it.
SAME_SHARES = 1e-4


@dataclass(frozen=True, slots=True, eq=False)
class StateLayout:
    """Where each state is found in the outputs of a set head and a ratio head."""

    set_of_state: Int[Tensor, "S"]
    """Column of the set head: sets in the order of `LabelSpace.emotion_sets`."""
    ratio_of_state: Int[Tensor, "S"]
    """Position in the ratio head's outputs laid flat, pair after pair; one past the end for a single."""
    absent_ratio: Bool[Tensor, "pairs ratios"]
    """Ratios that the corpus does not have for that pair: never predicted."""
    shares: Float[Tensor, "S E"]
    """Share of every emotion in every state, in [0, 1]; rows add up to 1."""
    first_share: Float[Tensor, "ratios"]
    """What a column of the ratio head means, for every pair alike: the share, in (0, 1), of the emotion that
    comes first in the label space."""
    num_sets: int
    """Width of the set head."""

    @property
    def num_pairs(self) -> int:
        """Sets of two emotions, in the order of the sets."""
        return self.absent_ratio.shape[0]

    @property
    def num_ratios(self) -> int:
        """Distinct ratios over all pairs; the ratio head has `num_pairs` x `num_ratios` outputs."""
        return self.absent_ratio.shape[1]

    def to(self, device: torch.device | str) -> "StateLayout":
        """The layout on another device."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(
            self, **{name: value.to(device) for name, value in values.items() if isinstance(value, Tensor)}
        )


def state_layout(space: LabelSpace) -> StateLayout:
    """The layout of a label space's states, in their order.

    Pairs may have different ratios: every distinct one is a column, absent where a pair lacks it.
    Raises InputError for a space without states, or with one of them twice.

    >>> states = [Mixture.from_name(name) for name in ("ang", "hap", "ang+hap:30/70", "ang+hap:70/30")]
    >>> layout = state_layout(LabelSpace(("ang", "hap"), states=tuple(states)))
    >>> layout.num_sets, layout.num_pairs, layout.num_ratios, layout.set_of_state.tolist()
    (3, 1, 2, [0, 1, 2, 2])
    """
    if not space.states:
        raise InputError(
            "the label space lists no states, which a set-and-ratio model predicts: name them in the corpus, "
            "or choose another strategy"
        )
    if len(set(space.states)) != len(space.states):
        twice = next(state for state in space.states if space.states.count(state) > 1)
        raise InputError(f"the label state {twice.name} is listed twice: expected every state once")
    sets = space.emotion_sets
    pairs = [emotions for emotions in sets if len(emotions) == 2]
    ratios = sorted({_first_share(space, state) for state in space.states if state.is_blend})
    absent = torch.ones(len(pairs), len(ratios), dtype=torch.bool)
    flat = torch.full((len(space.states),), absent.numel())
    for number, state in enumerate(space.states):
        if state.is_blend:
            pair, ratio = pairs.index(state.emotions), ratios.index(_first_share(space, state))
            absent[pair, ratio] = False
            flat[number] = pair * len(ratios) + ratio
    return StateLayout(
        set_of_state=torch.tensor([sets.index(state.emotions) for state in space.states]),
        ratio_of_state=flat,
        absent_ratio=absent,
        shares=torch.tensor([space.target(state) for state in space.states]),
        first_share=torch.tensor(ratios) / 100,
        num_sets=len(sets),
    )


def _first_share(space: LabelSpace, state: Mixture) -> float:
    """Percent of the emotion that comes first in the label space."""
    return dict(state.shares)[min(state.emotions, key=space.emotions.index)]


def state_of_targets(targets: Float[Tensor, "*batch E"], layout: StateLayout) -> Int[Tensor, "*batch"]:
    """The state that a target is, or -1 for a target that is none (a distribution over raters, padding).

    >>> space = LabelSpace(("ang", "hap"), states=(Mixture.single("ang"), Mixture({"ang": 30, "hap": 70})))
    >>> state_of_targets(torch.tensor([[0.3, 0.7], [1.0, 0.0], [0.4, 0.6]]), state_layout(space)).tolist()
    [1, 0, -1]
    """
    distance = (targets[..., None, :] - layout.shares.to(targets.dtype)).abs().amax(dim=-1)
    nearest = distance.min(dim=-1)
    return torch.where(nearest.values <= SAME_SHARES, nearest.indices, -1)


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
