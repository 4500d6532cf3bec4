"""What the pages say is so: their transcripts, their code and its output, what they quote, where they link."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from pages import ROOT, Block, blocks, examples, run_pytest
from transcript import parse, run

import mini_redis

sys.path.insert(0, str(ROOT / "docs"))
import hooks  # noqa: E402

PAGES = sorted((ROOT / "docs").glob("*.md")) + [ROOT / "README.md"]
EVERY_BLOCK = [block for page in PAGES for block in blocks(page)]


def marked(*classes: str) -> list[Any]:
    """The blocks that bear these classes, as parameters of a test."""
    return [pytest.param(block, id=block.where) for block in EVERY_BLOCK if set(classes) <= block.classes]


def imported(code: str) -> set[str]:
    """The packages that code imports."""
    found = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = [
        name
        for node in found
        for name in ([a.name for a in node.names] if isinstance(node, ast.Import) else [node.module or ""])
    ]
    return {name.split(".")[0] for name in names}


@pytest.mark.parametrize("block", marked("transcript"))
def test_transcript(block: Block) -> None:
    transcript = parse(block.code, block.name, block.line)
    run(transcript)
    run(transcript, byte_by_byte=True)


@pytest.mark.parametrize("page", [page for page in PAGES if examples(page)], ids=lambda page: page.stem)
def test_code_prints_what_the_page_says(page: Path) -> None:
    namespace: dict[str, Any] = {"__name__": "page"}
    for example in examples(page):
        printed = example.run(namespace, small=True)
        assert example.expects(printed), f"{example.block.where} printed\n{printed}"


@pytest.mark.parametrize("block", marked("pytest"))
def test_tests_pass(block: Block, tmp_path: Path) -> None:
    for library in sorted(imported(block.code)):
        pytest.importorskip(library, reason=f"{library} is not installed: make install-test")
    assert run_pytest(block, tmp_path) == ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_page_quotes_exists(page: Path) -> None:
    expanded = hooks.expand(page.read_text())
    assert "{{" not in re.sub(r"~~~.*?\n~~~+$", "", expanded, flags=re.DOTALL | re.MULTILINE), (
        "a reference that nobody expands"
    )


def test_quoting() -> None:
    quoted = hooks.source("mini_redis.server.execute:send")
    assert 'title="mini_redis/server/execute.py"' in quoted
    assert '    """Queue a reply for the end of this turn."""' in quoted
    assert hooks.source("mini_redis.commands.counter:incr").count('@command(\n    "INCR key",') == 1
    with pytest.raises(LookupError, match="there is no nothing"):
        hooks.source("mini_redis.server.execute:nothing")
    with pytest.raises(LookupError, match="no module"):
        hooks.source("mini_redis.nowhere:send")
    with pytest.raises(LookupError, match="no picture"):
        hooks.expand('{{ picture("nothing") }}')


def test_transcripts_are_shown_as_text() -> None:
    shown = hooks.transcript('a> SET <k> "v"\na< OK\nlog> DEL k\nadvance 5s\n# note')
    assert "&lt;k&gt;" in shown
    assert (
        re.sub(r"<[^>]+>", "", shown)
        == "a&gt; SET &lt;k&gt; &quot;v&quot;\na&lt; OK\nlog&gt; DEL k\nadvance 5s\n# note"
    )


def test_the_map_knows_every_folder() -> None:
    map_of_questions = mini_redis.__doc__ or ""
    folders = {path.parent.name for path in (ROOT / "mini_redis").glob("*/__init__.py")}
    assert {folder for folder in folders if f" {folder}/ " not in map_of_questions} == set()
    for page in re.findall(r"docs/\S+\.md", map_of_questions):
        assert (ROOT / page).is_file(), page


def test_the_version_is_that_of_the_distribution() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert mini_redis.__version__ == project["version"]


def test_links_inside_of_the_repository_lead_somewhere() -> None:
    for page in PAGES:
        text = re.sub(r"^([ ]*)(```|~~~).*?^\1\2[ ]*$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
            if not target.startswith(("http:", "https:", "mailto:")):
                assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_site_builds_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    build = pytest.importorskip("mkdocs.commands.build", reason="mkdocs is not installed: make install-test")
    config = pytest.importorskip("mkdocs.config")
    settings = config.load_config(str(ROOT / "mkdocs.yml"), site_dir=str(tmp_path / "site"), strict=True)
    build.build(settings)
    pages = list((tmp_path / "site").rglob("*.html"))
    assert len(pages) > len(PAGES) - 2
    for page in pages:
        assert hooks.loads_from_outside(page.read_text()) is None, page.name
    for style in (tmp_path / "site").rglob("*.css"):
        assert not re.search(r"url\(['\"]?(?:https?:)?//", style.read_text()), style.name
