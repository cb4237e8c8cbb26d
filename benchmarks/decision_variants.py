"""The decisions and normalisations that were tried; `decisions.py` compares them.

Each fits on evidence and truth of other folds, with its knob chosen on inner folds, as the shipped ones do.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy import ndarray
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from scipy.stats import norm, rankdata
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis as Lda
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis as Qda
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from blended.data import Mixture
from blended.data.corpora import blemore
from blended.eval.decisions import Decider, Fit, FitOptions, bayes, plain, set_ratio, thresholds
from blended.eval.decisions.decider import choose, maximise_expected_score, set_of_state, state_numbers
from blended.eval.decisions.multinomial import INVERSE_PENALTIES as PENALTIES
from blended.eval.decisions.multinomial import fit_multinomial
from blended.eval.evidence import Evidence
from blended.eval.normalisation import Populations, none, standardise_per_actor

SPACE = blemore.SPACE
SETS, PAIRS = set_of_state(SPACE), set_ratio.pairs_of(SPACE)
SHARES = [30, 50, 70]
TARGETS = np.array([SPACE.target(state) for state in SPACE.states]).T
Predict = Callable[..., ndarray]
Model = Callable[[float, Evidence, ndarray], Predict]
"""(knob, evidence, state of every clip) -> predict(evidence) -> [clip, state]; a ratio also takes a pair."""


@dataclass(frozen=True)
class Fitted:
    """A decider with the knob that inner folds preferred and the score it had there."""

    answer: Callable[[Evidence], list[Mixture]]
    parameters: dict[str, float]

    def decide(self, evidence: Evidence) -> list[Mixture]:
        """One mixture per clip."""
        return self.answer(evidence)


FitKnob = Callable[[float, Evidence, Sequence[Mixture]], Decider | Fitted]


def tuned(knobs: Sequence[float], fit: FitKnob) -> Fit:
    """Fits with the knob that inner folds prefer."""

    def fit_tuned(evidence: Evidence, truth: Sequence[Mixture], options: FitOptions) -> Fitted:
        del options
        best, totals = choose(
            knobs, lambda e, t: lambda knob, held: fit(knob, e, t).decide(held), evidence, truth
        )
        inner = max(totals) / len(np.unique(evidence.folds))
        return Fitted(fit(best, evidence, truth).decide, {"knob": best, "inner": inner})

    return fit_tuned


def variant(knobs: Sequence[float], model: Model, *, weight_is_knob: bool = False) -> Fit:
    """A model of P(state), decoded as the shipped ones are."""

    def fit(knob: float, evidence: Evidence, truth: Sequence[Mixture]) -> Fitted:
        predict = model(knob, evidence, state_numbers(truth, SPACE))
        share, weight = float(np.mean([m.is_blend for m in truth])), knob if weight_is_knob else 0.5
        return Fitted(lambda held: maximise_expected_score(
            predict(held), SPACE, blend_share=share, presence_weight=weight), {})  # fmt: skip

    return tuned(knobs, fit)


def mean_logits(evidence: Evidence) -> ndarray:
    """Six inputs instead of six per model."""
    return evidence.logits.mean(axis=1)


def classifier(
    make: Callable[[float], Any], features: Callable[[Evidence], ndarray] = Evidence.inputs
) -> Model:
    """Any scikit-learn classifier over the 36 states."""

    def fit(knob: float, evidence: Evidence, states: ndarray) -> Predict:
        model = make_pipeline(StandardScaler(), make(knob)).fit(features(evidence), states)
        return lambda held: model.predict_proba(features(held))

    return fit


def logistic(knob: float, **settings: Any) -> LogisticRegression:
    """What `bayes` fits."""
    return LogisticRegression(C=knob, max_iter=500, **settings)


def quadratic(knob: float) -> Any:
    """The same on inputs, their squares and products."""
    return make_pipeline(PolynomialFeatures(2, include_bias=False), StandardScaler(), logistic(knob))


def set_model(knob: float, evidence: Evidence, states: ndarray) -> Predict:
    """P(set): what `set-ratio` fits."""
    model = fit_multinomial(evidence.inputs(), SETS[states], inverse_penalty=knob)
    return lambda held: model.posterior(held.inputs(), 16)


def emotions_first(knob: float, evidence: Evidence, states: ndarray) -> Predict:
    """Presence first: a yes-or-no model per emotion, multiplied over the 16 sets."""
    member = np.array([[emotion in one for emotion in SPACE.emotions] for one in SPACE.emotion_sets])
    x, present = evidence.inputs(), member[SETS[states]].astype(int)
    models = [fit_multinomial(x, column, inverse_penalty=knob) for column in present.T]

    def predict(held: Evidence) -> ndarray:
        yes = np.stack([model.posterior(held.inputs(), 2)[:, 1] for model in models], axis=1)
        return softmax(np.log(yes + 1e-9) @ member.T + np.log(1 - yes + 1e-9) @ ~member.T, axis=1)

    return predict


def ratio(kind: str) -> Model:
    """P(30, 50, 70 | pair). `shared` is shipped; `own` is a model per pair; `ordinal` regresses the share,
    with normal noise around the line."""

    def fit(knob: float, evidence: Evidence, states: ndarray) -> Predict:
        def difference_of(one: Evidence, number: int) -> ndarray:
            x = set_ratio.ratio_inputs(one, PAIRS[number], number, len(PAIRS))
            return x[:, : -len(PAIRS)] if kind == "own" else x

        rows = [np.isin(states, list(pair.states.values())) for pair in PAIRS]
        xs = [difference_of(evidence.take(r), number) for number, r in enumerate(rows)]
        # States of a pair are in the order 50/50, 70/30, 30/70.
        ys = [np.array([50, 70, 30])[(states[r] - 6) % 3] for r in rows]
        x, y = np.concatenate(xs), np.concatenate(ys)
        if kind == "ordinal":
            line = make_pipeline(StandardScaler(), Ridge(alpha=1 / knob)).fit(x, y)
            noise = float(np.std(y - line.predict(x)))
            return lambda held, number: softmax(
                norm.logpdf(SHARES, line.predict(difference_of(held, number))[:, None], noise), axis=1
            )
        if kind == "own":
            models = [fit_multinomial(*one, inverse_penalty=knob) for one in zip(xs, ys, strict=True)]
        else:
            models = [fit_multinomial(x, y, inverse_penalty=knob)] * len(PAIRS)
        return lambda held, number: models[number].posterior(difference_of(held, number), 101)[:, SHARES]

    return fit


def set_times(kind: str, sets: Model = set_model) -> Model:
    """P(set) P(ratio | pair)."""

    def fit(knob: float, evidence: Evidence, states: ndarray) -> Predict:
        p_set, p_ratio = sets(knob, evidence, states), ratio(kind)(knob, evidence, states)

        def predict(held: Evidence) -> ndarray:
            full = p_set(held)[:, SETS]
            for number, pair in enumerate(PAIRS):
                full[:, [pair.states[share] for share in SHARES]] *= p_ratio(held, number)
            return full

        return predict

    return fit


def tied(knob: float, evidence: Evidence, states: ndarray) -> Predict:
    """Templates with weights: log-linear in the scores of the named emotions, one weight per model and role
    (alone, even, larger, smaller) for all emotions alike, and a bias per kind of state."""
    roles = np.stack([share == TARGETS for share in (1, 0.5, 0.7, 0.3)]).astype(float)
    kinds = np.stack([roles[1].any(axis=0), roles[2].any(axis=0)]).astype(float)
    scale = evidence.logits.std(axis=(0, 2), keepdims=True)
    num_weights = 4 * evidence.logits.shape[1]

    def centred(one: Evidence) -> ndarray:
        return (one.logits - one.logits.mean(axis=-1, keepdims=True)) / scale

    def log_p(theta: ndarray, x: ndarray) -> ndarray:
        weights = np.einsum("mr,res->mes", theta[:num_weights].reshape(-1, 4), roles)
        return log_softmax(np.tensordot(x, weights, 2) + theta[num_weights:] @ kinds, axis=1)

    def loss(theta: ndarray, x: ndarray, true: ndarray) -> tuple[float, ndarray]:
        current = log_p(theta, x)
        gap = np.exp(current) - true
        by_role = np.einsum("mes,res->mr", np.tensordot(x, gap, (0, 0)), roles)
        gradient = np.concatenate([by_role.ravel(), kinds @ gap.sum(axis=0)]) + theta / knob
        return float(theta @ theta / knob / 2 - (current * true).sum()), gradient

    fixed = (centred(evidence), np.eye(len(SPACE.states))[states])
    theta = minimize(loss, np.zeros(num_weights + 2), fixed, jac=True, method="L-BFGS-B").x
    return lambda held: np.exp(log_p(theta, centred(held)))


def mean_of(*members: Model) -> Model:
    """The mean posterior of models fitted with one knob."""

    def fit(knob: float, evidence: Evidence, states: ndarray) -> Predict:
        predicts = [member(knob, evidence, states) for member in members]
        return lambda held: np.mean([predict(held) for predict in predicts], axis=0)

    return fit


def per_actor(change: Callable[[ndarray, ndarray], ndarray]) -> Callable[..., Evidence]:
    """A normalisation from (an actor's scores, everybody's scores)."""

    def normalise(evidence: Evidence, known: Populations | None = None) -> Evidence:
        del known
        logits = evidence.logits.copy()
        for actor in np.unique(evidence.actors):
            logits[evidence.actors == actor] = change(logits[evidence.actors == actor], evidence.logits)
        return replace(evidence, logits=logits, given_probabilities=None)

    return normalise


def shrunk(own: ndarray, everybody: ndarray, strength: float) -> ndarray:
    """Mean and variance pulled towards everybody's, as if by `strength` more clips."""
    share = len(own) / (len(own) + strength)
    centre = share * own.mean(axis=0) + (1 - share) * everybody.mean(axis=0)
    return (own - centre) / np.sqrt(share * own.var(axis=0) + (1 - share) * everybody.var(axis=0))


TRIED_NORMALISATIONS = {
    "none": none,
    "actor": standardise_per_actor,
    "actor mean only": per_actor(lambda own, _: own - own.mean(axis=0)),
    "actor, shrunk by 5 clips": per_actor(lambda own, all_: shrunk(own, all_, 5)),
    "actor, shrunk by 20 clips": per_actor(lambda own, all_: shrunk(own, all_, 20)),
    "actor ranks": per_actor(lambda own, _: norm.ppf((rankdata(own, axis=0) - 0.5) / len(own))),
    "actor, log-probabilities": lambda one, known=None: standardise_per_actor(
        replace(one, logits=log_softmax(one.logits, axis=-1)), known
    ),
}
TRIED = {
    "thresholds": tuned([0], lambda _, e, t: thresholds.fit_thresholds(e, t, FitOptions())),
    "templates": tuned([0], lambda *_: plain.Templates()),
    "bayes": tuned(PENALTIES, bayes.fit_once),
    "set-ratio": tuned(PENALTIES, set_ratio.fit_once),
    "bayes on mean logits": variant(PENALTIES, classifier(logistic, mean_logits)),
    "bayes, balanced classes": variant(PENALTIES, classifier(lambda k: logistic(k, class_weight="balanced"))),
    "bayes, presence weight is the knob": variant(
        (0.3, 0.4, 0.5, 0.6, 0.7), lambda _, e, s: classifier(logistic)(0.1, e, s), weight_is_knob=True
    ),
    "bayes on squares and products": variant((0.003, 0.01, 0.03), classifier(quadratic, mean_logits)),
    "LDA": variant((0.8, 0.5, 0.2, 0.05), classifier(lambda k: Lda(solver="lsqr", shrinkage=k))),
    "QDA": variant((0.9, 0.6, 0.3), classifier(lambda k: Qda(reg_param=k))),
    "set x ratio, own per pair": variant(PENALTIES, set_times("own")),
    "set x ratio, ordinal": variant(PENALTIES, set_times("ordinal")),
    "emotions x ratio": variant(PENALTIES, set_times("shared", emotions_first)),
    "tied templates": variant((0.01, 0.1, 1, 10), tied),
    "mean of bayes, set x ratio": variant(PENALTIES, mean_of(classifier(logistic), set_times("shared"))),
    "mean of bayes, set x ratio, tied": variant(
        PENALTIES, mean_of(classifier(logistic), set_times("shared"), tied)
    ),
}  # fmt: skip
