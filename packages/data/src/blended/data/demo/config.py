"""What a rendered demo corpus depends on, and nothing else."""

from pydantic import BaseModel, ConfigDict, Field, model_validator

GENERATOR = "demo-v1"
"""Name and version of the generator. Any change to what is rendered or labelled is a new version."""

CLIPS_OF_COMPLETE_ACTOR = 54
"""24 single (5 emotions x 4 intensities, 4 neutral situations) and 30 blended (10 pairs x 3 shares)."""


class DemoConfig(BaseModel):
    """The identity of a demo corpus; the defaults are the measuring device."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(default=0, ge=0)
    """Everything random follows from it."""
    num_train_actors: int = Field(default=20, ge=1, le=99)
    """Actors with published labels, one to 99."""
    num_test_actors: int = Field(default=4, ge=0, le=99)
    """Actors whose labels are kept apart."""
    num_folds: int = Field(default=5, ge=1)
    """Actor-disjoint folds of the training partition, numbered from 0."""
    clips_per_actor: int = Field(default=CLIPS_OF_COMPLETE_ACTOR, ge=16, le=CLIPS_OF_COMPLETE_ACTOR)
    """Clips of every actor; any number from 16 on still covers all 16 emotion sets."""
    min_seconds: float = Field(default=1.0, ge=0.4)
    """Shortest clip, in seconds."""
    max_seconds: float = Field(default=3.0, le=30.0)
    """Longest clip, in seconds; the mean lies at two fifths of the range."""
    frame_px: int = Field(default=144, ge=64, le=512, multiple_of=2)
    """Width and height of the square picture, in pixels."""

    @model_validator(mode="after")
    def _check(self) -> "DemoConfig":
        if self.num_folds > self.num_train_actors:
            raise ValueError(
                f"{self.num_folds} actor-disjoint folds need at least as many training actors, "
                f"got num_train_actors={self.num_train_actors}"
            )
        if self.min_seconds > self.max_seconds:
            raise ValueError(f"min_seconds={self.min_seconds:g} is above max_seconds={self.max_seconds:g}")
        return self


TINY = DemoConfig(
    num_train_actors=5, num_test_actors=1, clips_per_actor=18, min_seconds=0.6, max_seconds=1.0, frame_px=96
)
"""Every kind of label, fold and partition in 108 short clips: for tests."""
