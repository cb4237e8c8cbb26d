"""The trivial baselines: one answer for every clip."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from blended.data import InputError, Mixture
from blended.eval.decisions.decider import FitOptions
from blended.eval.evidence import Evidence


@dataclass(frozen=True, slots=True)
class Constant:
    """Always the same mixture."""

    mixture: Mixture

    @property
    def parameters(self) -> dict[str, float]:
        """The constant answer is a name, not a number."""
        return {}

    def decide(self, evidence: Evidence) -> list[Mixture]:
        """The mixture, once per clip."""
        return [self.mixture] * len(evidence.logits)


def fit_most_frequent_single(evidence: Evidence, truth: Sequence[Mixture], options: FitOptions) -> Constant:
    """The most frequent single emotion of the clips fitted on."""
    del evidence, options
    return Constant(_most_frequent(truth, blend=False))


def fit_most_frequent_blend(evidence: Evidence, truth: Sequence[Mixture], options: FitOptions) -> Constant:
    """The most frequent blend, shares included, of the clips fitted on."""
    del evidence, options
    return Constant(_most_frequent(truth, blend=True))


def _most_frequent(truth: Sequence[Mixture], *, blend: bool) -> Mixture:
    """Ties go to the first name, so that the result does not depend on the order of clips."""
    counts = Counter(mixture for mixture in truth if mixture.is_blend == blend)
    if not counts:
        raise InputError(
            f"no {'blend' if blend else 'single emotion'} among the {len(truth)} clips fitted on"
        )
    return min(counts, key=lambda mixture: (-counts[mixture], mixture.name))
