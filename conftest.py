"""Set before anything imports torch or NumPy: tests run one process per core, one thread each."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import settings

TRACKING = "MLFLOW_TRACKING_URI"
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.pop(TRACKING, None)  # Nobody's own server hears of tests.
# Processes that tests start find `toys`, as the tests do by pyproject.toml.
_FOLDERS = (str(Path(__file__).parent / "tests"), os.environ.get("PYTHONPATH", ""))
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, _FOLDERS))
# A busy machine is no fault of an example's.
settings.register_profile("blended", deadline=None)
settings.load_profile("blended")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first, so that no process is left alone with them at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(autouse=True)
def no_tracking_address_left() -> Iterator[None]:
    """MLflow's server, run in a process of tests, leaves the address of its store to whoever comes next."""
    yield
    os.environ.pop(TRACKING, None)
    if (left := sys.modules.get("mlflow.tracking._tracking_service.utils")) is not None:
        left._tracking_uri = None  # pyright: ignore[reportAttributeAccessIssue]


@pytest.fixture(scope="module")
def only_ray(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One file with Ray clusters at a time: a cluster that starts or ends would disturb another."""
    base = tmp_path_factory.getbasetemp()
    with FileLock((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "ray.lock"):
        yield
