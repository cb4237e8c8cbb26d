"""The MLflow page on which a study's trials are compared: columns, order and charts already right.

Like `saved_view`, written in MLflow's undocumented format for shared views (3.17, which the lock pins);
nothing else depends on it, and a browser test looks at it.
"""

import base64
import json
import time
import zlib
from typing import Any

from blended.data.labels import Task
from blended.eval.measures.blends import SALIENCE
from blended.eval.tasks import TASKS
from blended.studies.saved_view import measure_columns
from blended.studies.search.plan import Plan
from blended.studies.search.study_file import RECIPE

MAX_CHOICES = 6
"""Settings of the study shown as columns and axes."""


def view_key(study: str) -> str:
    """Of the shared view of a study."""
    return f"study-{study}"


def view_address(server: str, experiment_id: str, study: str, *, charts: bool = True) -> str:
    """Where a server shows the view, as charts or as a table."""
    mode = "&compareRunsMode=CHART" if charts else ""
    query = f"workflowType=machine_learning&viewStateShareKey={view_key(study)}{mode}"
    return f"{server}/#/experiments/{experiment_id}/runs?{query}"


def provision(client: Any, experiment_id: str, plan: Plan, task: Task = "mixture") -> None:
    """Writes the view into the experiment, replacing an older one of this study."""
    tag = view_tag(plan, task)
    client.set_experiment_tag(experiment_id, f"mlflow.sharedViewState.{view_key(plan.name)}", tag)


def view_tag(plan: Plan, task: Task = "mixture", *, created_ms: int | None = None) -> str:
    """The value of the tag."""
    now = created_ms if created_ms is not None else int(time.time() * 1000)
    packed = base64.b64encode(zlib.compress(json.dumps(view_state(plan, task)).encode())).decode()
    name = f"Study {plan.name}: trials by score on inner folds"
    return json.dumps({"name": name, "createdAt": now, "updatedAt": now, "state": f"deflate;{packed}"})


def view_state(plan: Plan, task: Task = "mixture") -> dict[str, Any]:
    """Finished trials by falling inner score, which is what the study chose by; outer scores beside it."""
    chosen = [f"tags.`choice.{path}`" for path in _settings(plan)]
    tags = [f"tags.`{name}`" for name in ("state", "phase", "synthetic")]
    return {
        "searchFilter": f"tags.study = '{plan.name}' and tags.kind = 'trial'",
        "orderByKey": "metrics.`inner/score`",
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "selectedColumns": [
            "attributes.`Run Name`",
            "metrics.`inner/score`",
            *measure_columns(task),
            *chosen,
            *tags,
        ],
        "runsHidden": [],
        "runsHiddenMode": "FIRST_20_RUNS",
        "runsPinned": [],
        "runsExpanded": {},
        "viewMaximized": False,
        "compareRunSections": [
            _section("parallel", "Settings against scores", 1),
            _section("scores", "Scores", 3),
        ],
        "compareRunCharts": _charts(plan, task),
        "isAccordionReordered": True,
        "hideEmptyCharts": True,
    }


def _charts(plan: Plan, task: Task) -> list[dict[str, Any]]:
    """Parallel coordinates of settings; of blends, presence against salience; inner against outer scores."""
    # MLflow leaves out of this chart every run that lacks one of its settings, so conditional ones stay out.
    dimensions, headline = plan.study.dimensions, TASKS[task].headline
    axes = _axes("inner/presence", "inner/salience")
    two = [_chart("SCATTER", "scores", "Presence and salience, inner folds", axes)]
    parallel = {
        "selectedParams": [p for p in _settings(plan) if p != RECIPE and not dimensions[p].when],
        "selectedMetrics": ["inner/score", headline.key],
        "showAllRuns": True,
    }
    return [
        _chart("PARALLEL", "parallel", "Settings, score on inner folds, score", parallel),
        *(two if SALIENCE in TASKS[task].measures else []),
        _chart("SCATTER", "scores", "Chosen by, and reported", _axes("inner/score", headline.key)),
        _chart(
            "BAR",
            "scores",
            f"{headline.title} on outer folds",
            {"metricKey": headline.key, "selectedMetricKeys": [headline.key]},
        ),
    ]


def _settings(plan: Plan) -> list[str]:
    return list(plan.study.dimensions)[:MAX_CHOICES]


def _section(uuid: str, name: str, columns: int) -> dict[str, Any]:
    flags = {"display": True, "isReordered": False, "deleted": False, "isGenerated": False}
    return {"uuid": uuid, "name": name, "columns": columns, **flags}


def _chart(kind: str, section: str, title: str, settings: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": kind,
        "uuid": f"{section}-{title}",
        "metricSectionId": section,
        "displayName": title,
        "isGenerated": False,
        "deleted": False,
        "runsCountToCompare": 100,
        **settings,
    }


def _axes(x: str, y: str) -> dict[str, Any]:
    return {"xaxis": {"key": x, "type": "METRIC"}, "yaxis": {"key": y, "type": "METRIC"}}
