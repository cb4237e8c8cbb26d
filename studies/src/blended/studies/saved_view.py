"""The page on which people compare runs: columns, order and charts already right.

MLflow keeps the state of a shared view as an experiment tag. The format is not documented (read off
MLflow 3.17, which the lock pins); nothing else depends on it.
"""

import base64
import json
import time
import zlib
from typing import Any

VIEW_KEY = "blended"
TAG = f"mlflow.sharedViewState.{VIEW_KEY}"


def view_tag(*, created_ms: int | None = None) -> str:
    """The value of the tag: runs by falling score, with interval ends and what distinguishes them."""
    now = created_ms if created_ms is not None else int(time.time() * 1000)
    packed = base64.b64encode(zlib.compress(json.dumps(_state()).encode())).decode()
    return json.dumps(
        {"name": "Ranked by score", "createdAt": now, "updatedAt": now, "state": f"deflate;{packed}"}
    )


def view_address(server: str, experiment_id: str) -> str:
    """Where the server shows the view."""
    query = f"workflowType=machine_learning&viewStateShareKey={VIEW_KEY}"
    return f"{server}/#/experiments/{experiment_id}/runs?{query}"


def _state() -> dict[str, Any]:
    columns = [
        *(f"metrics.`{name}`" for name in ("score", "score_low", "score_high")),
        *(f"metrics.`{name}`" for name in ("presence_accuracy", "salience_accuracy")),
        *(f"tags.`{name}`" for name in ("modalities", "strategy", "features", "protocol", "synthetic")),
    ]
    return {
        "searchFilter": "",
        "orderByKey": "metrics.`score`",
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "selectedColumns": ["attributes.`Run Name`", *columns],
        "runsHidden": [],
        "runsPinned": [],
        "runsExpanded": {},
        "viewMaximized": False,
    }
