"""What decides the values of imported features, beside the files that they come from."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class ImportedConfig(BaseModel):
    """How a source of features is read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[A-Za-z0-9][\w.-]*$")
    """Of the store's folder, and in recipes."""
    kind: Literal["imported"] = "imported"
    modality: Literal["audio", "video"]
    """What the extractor listened to or looked at."""
    columns: tuple[str, ...] = ()
    """Columns to keep, `*` and `?` allowed; empty for those that are usual for the layout (see `layouts`)."""
    clip_column: str = ""
    """Of a table with a row per clip: the column that names them; empty for the one that fits best."""
    min_confidence: float | int = Field(default=0.5, ge=0, le=1)
    """OpenFace: frames tracked with less are left out, as are those without success."""
    rate_hz: float | int | None = Field(default=None, gt=0)
    """Time steps per second; None for what timestamps say, or else steps over the length of the clip."""
    dtype: Literal["float16", "float32"] = "float32"
    """On disk; single precision keeps what was given."""
    licence: str = "unknown"
    """Of the features."""
