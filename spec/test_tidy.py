"""What the architecture lives on: the direction of imports, the purity of the lower layers, documented commands.

Names that are imported for annotations only (`if TYPE_CHECKING:`) do not exist at run time and are no dependency.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from mini_redis.commands import COMMANDS
from mini_redis.commands.registry import Command

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "mini_redis"

LAYERS = [
    {"resp"},
    {"structures"},
    {"keyspace"},
    {"commands"},
    {"persistence", "replication", "sentinel", "cluster", "scripting", "security", "modules"},
    {"server"},
    {"drivers", "simulation", "cli", "client", "testing"},
]
LAYER_OF = {name: number for number, names in enumerate(LAYERS) for name in names}
# Two pure leaves that the layers below theirs share: what a number looks like on the wire, and which version this is.
LEAVES = {"mini_redis.structures.numbers", "mini_redis.structures.grisu", "mini_redis.server.version"}
PURE = [PACKAGE / name for layer in LAYERS[:6] for name in sorted(layer) if (PACKAGE / name).is_dir()]
FORBIDDEN_MODULES = {
    "asyncio",
    "multiprocessing",
    "os",
    "select",
    "selectors",
    "signal",
    "socket",
    "subprocess",
    "sys",
    "tempfile",
    "threading",
    "time",
}
FORBIDDEN_CALLS = {"open", "print", "input", "set.pop"}
MODULES = sorted(PACKAGE.rglob("*.py"))


def imports(tree: ast.AST) -> Iterator[tuple[str, str | None]]:
    """Every (module, name) imported at run time."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, None
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute"
            for alias in node.names:
                yield node.module or "", alias.name
        yield from imports(node)


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_only_go_down(path: Path) -> None:
    parts = path.relative_to(PACKAGE).parts
    if parts[0] not in LAYER_OF:
        return  # the package's own __init__ and __main__
    for module, _ in imports(parsed(path)):
        if module.startswith("mini_redis.") and module not in LEAVES:
            target = module.split(".")[1]
            assert LAYER_OF[target] <= LAYER_OF[parts[0]], (
                f"{path.relative_to(ROOT)} imports {module}, which is above it"
            )


@pytest.mark.parametrize(
    "path", [p for folder in PURE for p in sorted(folder.rglob("*.py"))], ids=lambda p: str(p.relative_to(ROOT))
)
def test_the_core_touches_nothing_but_its_arguments(path: Path) -> None:
    tree = parsed(path)
    for module, name in imports(tree):
        assert module.split(".")[0] not in FORBIDDEN_MODULES, f"{path.name} imports {module}"
        assert module != "random" or name == "Random", f"{path.name} uses the random module; `ctx.rng` is seeded"
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in FORBIDDEN_CALLS, f"{path.name}:{node.lineno} calls {node.func.id}()"


@pytest.mark.parametrize(
    "path", [p for folder in PURE for p in sorted(folder.rglob("*.py"))], ids=lambda p: str(p.relative_to(ROOT))
)
def test_nobody_iterates_a_set(path: Path) -> None:
    """The order of a set of bytes differs between processes, and with it would the replies."""
    for node in ast.walk(parsed(path)):
        iterated = [node.iter] if isinstance(node, ast.For | ast.comprehension) else []
        for expression in iterated:
            assert not isinstance(expression, ast.Set | ast.SetComp), f"{path.name} iterates a set"
            if isinstance(expression, ast.Call) and isinstance(expression.func, ast.Name):
                assert expression.func.id not in ("set", "frozenset"), f"{path.name} iterates a set"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_says_what_it_is_for(path: Path) -> None:
    tree = parsed(path)
    assert ast.get_docstring(tree) or not tree.body, f"{path.relative_to(ROOT)} has no docstring"


def all_commands() -> list[Command]:
    return [one for top in COMMANDS.values() for one in (top, *top.subcommands.values()) if one.handler]


def streamed_commands() -> set[bytes]:
    """Every command, with its subcommand if it has one, that a conformance stream sends."""
    sent: set[bytes] = set()
    for stream in (ROOT / "conformance" / "streams").rglob("*.stream"):
        for line in stream.read_text(encoding="utf-8").splitlines():
            _, arrow, words = line.partition(">")
            split = words.removeprefix("raw").removeprefix("!").lower().split()
            if arrow and split:
                sent.add(split[0].encode())
                sent.add("|".join(split[:2]).encode())
    return sent


@pytest.mark.parametrize("command", all_commands(), ids=lambda command: command.name.decode())
def test_every_command_is_documented(command: Command) -> None:
    assert command.summary.endswith((".", "?")), "the docstring's first line is a sentence"
    assert command.since and command.group
    unpriced = (b"lolwut", b"monitor", b"xread")
    assert command.complexity or command.name in unpriced, "of these, Redis does not say what they cost"


@pytest.mark.parametrize("command", all_commands(), ids=lambda command: command.name.decode())
def test_every_command_has_a_conformance_stream(command: Command) -> None:
    assert command.name.lower() in streamed_commands()
