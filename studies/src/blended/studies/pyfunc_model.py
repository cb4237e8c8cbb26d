"""A trained pipeline as an MLflow model: the code that MLflow stores beside its files and runs to load it.

Columns in: `path` of a file that the process can read. Served over a network it opens whatever path it
is asked for: serve it on loopback, to people who may read those files anyway.
"""

from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel


class PipelineModel(PythonModel):
    """One row per file: emotions, shares, probabilities, and the problem where there is no answer."""

    def load_context(self, context: Any) -> None:
        """Reads the pipeline and builds its encoders."""
        from blended.studies.prediction import open_predictor

        self.predictor = open_predictor(Path(context.artifacts["pipeline"]).parent)

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> Any:
        """Decides every file; `enrol_from` names a folder of the person's clips for runs that need one."""
        from blended.studies.prediction_table import rows

        enrol_from = (params or {}).get("enrol_from", "")
        paths = [Path(path) for path in model_input["path"]]
        return pd.DataFrame(rows(self.predictor, paths, Path(enrol_from) if enrol_from else None))


set_model(PipelineModel())
