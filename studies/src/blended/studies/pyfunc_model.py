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
        from blended.studies.enrolment import enrolled

        enrol_from = (params or {}).get("enrol_from", "")
        record = self.predictor.pipeline.record
        enrolment = enrolled(record, self.predictor.features, Path(enrol_from) if enrol_from else None)
        return pd.DataFrame([self._row(Path(path), enrolment) for path in model_input["path"]])

    def _row(self, path: Path, enrolment: Any) -> dict[str, Any]:
        """A file without an answer has a `problem` and NaN."""
        from blended.data import InputError
        from blended.studies.answers import column_names, file_values

        emotions = self.predictor.pipeline.space.emotions
        try:
            return file_values(self.predictor.predict(path, enrolment=enrolment), emotions)
        except InputError as error:
            empty: dict[str, Any] = dict.fromkeys(column_names(emotions), float("nan"))
            return {**empty, "path": str(path), "state": "", "notes": "", "problem": str(error)}


set_model(PipelineModel())
