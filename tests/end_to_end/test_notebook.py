"""The notebook of the documentation runs as it stands, and says nothing but what it shows."""

import shutil
from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).resolve().parents[2] / "docs" / "notebook.ipynb"


def test_the_notebook_runs_in_a_project(project: Path) -> None:
    (project / "docs").mkdir()
    shutil.copy(NOTEBOOK, project / "docs")
    notebook = nbformat.read(project / "docs" / NOTEBOOK.name, as_version=4)
    NotebookClient(notebook, timeout=500, resources={"metadata": {"path": str(project / "docs")}}).execute()
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    shown = [output for cell in cells for output in cell.outputs if output.output_type == "execute_result"]
    assert sum("image/png" in output.data for output in shown) == 4, "every figure is a picture"
    text = "\n".join(output.data.get("text/plain", "") for output in shown)
    assert "notebook-motion" in text and "below the top" in text and "clip" in text


def test_the_committed_notebook_was_run_and_is_as_it_stands() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.outputs for cell in cells), "`make notebook` runs it"
    assert not [output for cell in cells for output in cell.outputs if output.output_type == "error"]
    assert "/home/" not in NOTEBOOK.read_text() and "/tmp/" not in NOTEBOOK.read_text()
