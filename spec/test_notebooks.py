"""Notebooks run from top to bottom, without Jupyter, and give what is stored in them."""

from __future__ import annotations

import ast
import io
import json
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook(path: Path) -> None:
    notebook = json.loads(path.read_text())
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    namespace: dict[str, Any] = {"__name__": "notebook"}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            printed, value = run_cell("".join(cell["source"]), f"{path.name}, {cell['id']}", namespace)
            assert printed + ("" if value is None else repr(value)) == stored(cell), cell["id"]


def run_cell(code: str, name: str, namespace: dict[str, Any]) -> tuple[str, object]:
    """What the cell prints, and the value of its last line if that is an expression."""
    tree = ast.parse(code, name)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    printed = io.StringIO()
    with redirect_stdout(printed):
        exec(compile(tree, name, "exec"), namespace)
        value = (
            eval(compile(ast.Expression(last.value), name, "eval"), namespace) if isinstance(last, ast.Expr) else None
        )
    return printed.getvalue(), value


def stored(cell: dict[str, Any]) -> str:
    """The outputs that the notebook shows, as text."""
    texts = (
        output["text"] if output["output_type"] == "stream" else output["data"]["text/plain"]
        for output in cell["outputs"]
    )
    return "".join("".join(text) for text in texts)


def test_there_are_notebooks() -> None:
    assert NOTEBOOKS
