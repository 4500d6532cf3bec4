"""Layer 1 is built to be read: every structure says what it is for and what it costs, checks itself, and has a model.

What cannot be tested is whether the essays are good. That they are there can, and so can that nobody added a method
without saying what it costs.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
STRUCTURES = sorted(path for path in (ROOT / "mini_redis" / "structures").glob("*.py") if path.stem != "__init__")
SPECS = sorted((ROOT / "spec").glob("test_*.py"))

SHORTEST_ESSAY = 550
"""Characters: some six lines."""
CHECKED_BY_ANOTHER = {
    "Node": "a part of a list or a stream",
    "Pending": "a part of a group",
    "Consumer": "a part of a group",
    "Point": "a part of a vector set",
    "Filter": "never changes",
}
MODELLED_ELSEWHERE = {
    "grisu": "through numbers, against repr()",
    "sparkline": "a drawing",
    "strings": "through the string commands",
}
OF_STREAMS = {"consumer_group", "radix_tree", "stream", "stream_id"}


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def public(nodes: list[ast.stmt]) -> Iterator[ast.FunctionDef]:
    """The functions that are there for others, overloads left out."""
    for node in nodes:
        if not isinstance(node, ast.FunctionDef) or node.name.startswith("_"):
            continue
        if not any(isinstance(mark, ast.Name) and mark.id == "overload" for mark in node.decorator_list):
            yield node


def classes_of(path: Path) -> list[ast.ClassDef]:
    return [node for node in tree_of(path).body if isinstance(node, ast.ClassDef) and not node.name.startswith("_")]


@pytest.mark.parametrize("path", STRUCTURES, ids=lambda path: path.stem)
def test_it_opens_with_an_essay(path: Path) -> None:
    essay = ast.get_docstring(tree_of(path)) or ""
    assert len(essay) >= SHORTEST_ESSAY
    assert "Redis" in essay, "what real Redis does"
    assert "?" in essay, "the question that it answers"


@pytest.mark.parametrize("path", STRUCTURES, ids=lambda path: path.stem)
def test_every_public_function_says_what_it_costs(path: Path) -> None:
    functions = list(public(tree_of(path).body))
    for each in classes_of(path):
        if "Protocol" not in ast.unparse(ast.Module([ast.Expr(base) for base in each.bases], [])):
            functions += public(each.body)
    silent = [function.name for function in functions if "O(" not in (ast.get_docstring(function) or "")]
    assert not silent


@pytest.mark.parametrize("path", STRUCTURES, ids=lambda path: path.stem)
def test_what_has_state_can_check_it(path: Path) -> None:
    for each in classes_of(path):
        names = {node.name for node in each.body if isinstance(node, ast.FunctionDef)}
        if "__init__" in names and each.name not in CHECKED_BY_ANOTHER:
            assert "check" in names, each.name


@pytest.mark.parametrize("path", STRUCTURES, ids=lambda path: path.stem)
def test_it_has_a_model(path: Path) -> None:
    """Some spec with properties imports it."""
    if path.stem in MODELLED_ELSEWHERE:
        return
    if path.stem in OF_STREAMS and not (ROOT / "spec" / "test_stream.py").exists():
        pytest.skip("spec/test_stream.py is being written")
    module = f"mini_redis.structures.{path.stem} "
    alone = f"from mini_redis.structures import {path.stem}"
    for spec in SPECS:
        text = spec.read_text(encoding="utf-8")
        if "@given" in text or "RuleBasedStateMachine" in text:
            imports = [line for line in text.splitlines() if line.startswith("from mini_redis.structures")]
            if any(module in line or line == alone or line.startswith(alone + " ") for line in imports):
                return
    pytest.fail(f"no spec has properties of {path.stem}")
