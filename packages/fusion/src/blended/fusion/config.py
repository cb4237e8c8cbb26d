"""How networks are trained; part of every strategy's config."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from blended.fusion.network import ScoresKind
from blended.fusion.objective import LossConfig

Positive = Field(gt=0)


def _above_zero(rates: float | tuple[float, ...]) -> float | tuple[float, ...]:
    given = rates if isinstance(rates, tuple) else (rates,)
    if not given or not all(rate > 0 for rate in given):
        raise ValueError("learning rates are above 0: below it models are trained away from their labels")
    return rates


def _once(names: tuple[str, ...]) -> tuple[str, ...]:
    if repeated := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"{repeated[0]!r} is named twice and would count twice: name it once")
    return names


FeatureNames = Annotated[tuple[str, ...], Field(min_length=1), AfterValidator(_once)]
"""Encoders, or layers of them such as `wavlm-large@6-12`, each once."""


class TrainingConfig(BaseModel):
    """Head, optimiser, regularisation and length of training."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hidden: int = Field(default=0, ge=0)
    """Hidden units of the MLP; 0 for a linear head."""
    scores: ScoresKind = "emotions"
    """What the head gives: a column per emotion, or a set of emotions and then the ratio of that pair."""
    loss: LossConfig = LossConfig()

    learning_rate: Annotated[float | tuple[float, ...], AfterValidator(_above_zero)] = 3e-4
    """Several are trained side by side, and the inner fold chooses among them."""
    weight_decay: float = Field(default=1.0, ge=0)
    """Decoupled (AdamW), per step times the learning rate; of matrices, not of biases and norms."""
    beta2: float = Field(default=0.999, gt=0, lt=1)
    """0.95 is usual for pre-training (HiCMAE, arXiv 2401.05698)."""
    schedule: Literal["constant", "cosine"] = "constant"
    """`cosine`: from the learning rate down to 0 at `max_epochs`, whenever training ends."""
    warmup_epochs: float | int = Field(default=0, ge=0)
    """Epochs of linear rise from 0."""
    clip_norm: float | None = Field(default=None, gt=0)
    """Largest norm of a model's whole gradient; None for no limit."""
    batch_size: int = Field(default=128, ge=1)
    max_epochs: int = Field(default=60, ge=1)
    """The number of epochs is chosen up to this on an inner fold."""
    patience: int | None = Field(default=None, ge=1)
    """Epochs without a better inner loss after which no more are tried; None to try all."""

    dropout: float = Field(default=0.0, ge=0, lt=1)
    modality_dropout: float = Field(default=0.0, ge=0, le=1)
    """Share of clips of which one modality is hidden while training; never a clip's only one."""
    mixup: float = Field(default=0.0, ge=0)
    """Alpha of the Beta distribution of shares (arXiv 1710.09412); 0 for none."""
    ema: float = Field(default=0.0, ge=0, lt=1)
    """Decay per step of the average of the weights that predicts instead of them; 0 for none."""
    amp: Literal["none", "bfloat16"] = "none"
    """Precision of the forward pass; weights and losses stay float32."""
    deterministic: bool = False
    """Only algorithms that repeat exactly on a GPU; on a CPU they always do."""

    seeds: int = Field(default=1, ge=1)
    """Models per fold, from seeds of their own; their probabilities are averaged."""
    final: Literal["refit", "folds"] = "refit"
    """What predicts new clips: one model refitted on all clips, or the mean of the models of the folds."""

    @property
    def rates(self) -> tuple[float, ...]:
        """The learning rates to try."""
        given = self.learning_rate
        return given if isinstance(given, tuple) else (given,)
