"""The page on which people compare runs: columns, order and charts already right.

MLflow keeps the state of a shared view as an experiment tag. The format is not documented (read off
MLflow 3.17, which the lock pins); nothing else depends on it.
"""

import base64
import json
import time
import zlib
from typing import Any

from blended.data.labels import Task
from blended.eval.tasks import TASKS

VIEW_KEY = "blended"
TAG = f"mlflow.sharedViewState.{VIEW_KEY}"


def view_tag(task: Task = "mixture", *, created_ms: int | None = None) -> str:
    """The value of the tag: runs by falling headline, with interval ends and what distinguishes them."""
    now = created_ms if created_ms is not None else int(time.time() * 1000)
    packed = base64.b64encode(zlib.compress(json.dumps(_state(task)).encode())).decode()
    return json.dumps(
        {
            "name": f"Ranked by {TASKS[task].headline.words}",
            "createdAt": now,
            "updatedAt": now,
            "state": f"deflate;{packed}",
        }
    )


def view_address(server: str, experiment_id: str) -> str:
    """Where the server shows the view."""
    query = f"workflowType=machine_learning&viewStateShareKey={VIEW_KEY}"
    return f"{server}/#/experiments/{experiment_id}/runs?{query}"


def measure_columns(task: Task) -> list[str]:
    """The headline of a task with its interval, then its other measures: what its runs have, and no more."""
    headline, others = (
        TASKS[task].headline,
        [one for one in TASKS[task].measures if one != TASKS[task].headline],
    )
    ends = [f"{headline.key}{end}" for end in ("", "_low", "_high")]
    return [f"metrics.`{name}`" for name in (*ends, *(one.key for one in others))]


def _state(task: Task) -> dict[str, Any]:
    columns = [
        *measure_columns(task),
        *(
            f"tags.`{name}`"
            for name in ("modalities", "strategy", "features", "protocol", "synthetic", "code", "stale")
        ),
    ]
    return {
        "searchFilter": "",
        "orderByKey": f"metrics.`{TASKS[task].headline.key}`",
        "orderByAsc": not TASKS[task].headline.larger_is_better,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "selectedColumns": ["attributes.`Run Name`", *columns],
        "runsHidden": [],
        "runsPinned": [],
        "runsExpanded": {},
        "viewMaximized": False,
    }
