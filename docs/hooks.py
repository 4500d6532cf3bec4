"""What the pages can do beyond Markdown: show live code, show transcripts, pictures, and load nothing from outside.

    {{ source("mini_redis.server.execute:process") }}    a function or class as it stands in the package today
    {{ essay("mini_redis.keyspace.active_expire") }}     a module's docstring, as text
    {{ picture("turn") }}                                docs/pictures/turn.svg, inline, in the page's own colours
    {{ transcript("lists") }}                            spec/transcripts/lists.txt, which is a test as well
    {{ streams("list") }}                                the curated streams of a group and what they teach
    {{ growth("list") }}                                 what operations cost by size (docs/measured, `make growth`)
    {{ edges("hash") }}                                  what encodings take at their thresholds (`make choices`)
    {{ choices("ranking") }}                             one problem in several structures (`make choices`)
    ```transcript ... ```                                a conversation (spec/transcript.py), coloured by who speaks

mkdocs calls the `on_...` functions; spec/test_docs.py calls `expand` to see that every reference resolves.
"""

from __future__ import annotations

import ast
import html
import json
import re
import textwrap
from collections.abc import Callable
from itertools import groupby, takewhile
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
ROOT = DOCS.parent

_MACRO = re.compile(r'^([ ]*)\{\{ ([a-z]+)\("([^"]+)"\) \}\}$', re.MULTILINE)
_LOADS = re.compile(r'<(?:script|img|iframe|source|link(?![^>]*rel="(?:canonical|alternate|next|prev)"))\b[^>]*'
                    r'(?:src|href)="(?:https?:)?//[^"]*"')  # fmt: skip


# --- References ------------------------------------------------------------------------------------------------------


def expand(markdown: str) -> str:
    """Replace every reference by what it refers to. Raises LookupError for one that refers to nothing."""

    def replace(found: re.Match[str]) -> str:
        indent, macro, argument = found.groups()
        if macro not in MACROS:
            raise LookupError(f"nobody expands {macro}")
        return textwrap.indent(MACROS[macro](argument), indent)

    return _MACRO.sub(replace, markdown)


def source(reference: str) -> str:
    """`package.module:name` or `package.module:Class.name` as a code block with its place and its line numbers."""
    module, _, name = reference.partition(":")
    path, text = _read_module(module)
    node: ast.AST = ast.parse(text)
    for part in name.split("."):
        node = _member(node, part, reference)
    assert isinstance(node, ast.FunctionDef | ast.ClassDef)
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    code = textwrap.dedent("\n".join(text.splitlines()[first - 1 : node.end_lineno]))
    place = path.relative_to(ROOT).as_posix()
    return f'~~~~~~{{ .python .live title="{place}" linenums="{first}" }}\n{code}\n~~~~~~'


def essay(module: str) -> str:
    """A module's docstring: its paragraphs as text of the page, what is indented as it stands."""
    path, text = _read_module(module)
    docstring = ast.get_docstring(ast.parse(text))
    if docstring is None:
        raise LookupError(f"{module} has no docstring")
    parts = [f"**{path.relative_to(ROOT).as_posix()}**"]
    for indented, lines in groupby(docstring.split("\n"), lambda line: line.startswith("    ")):
        part = "\n".join(lines).strip("\n")
        parts.append(f"~~~~~~text\n{textwrap.dedent(part)}\n~~~~~~" if indented else part)
    return '<div class="essay" markdown>\n\n' + "\n\n".join(parts) + "\n\n</div>"


def picture(name: str) -> str:
    """An SVG of docs/pictures, inside the page so that it follows the page's colours."""
    path = DOCS / "pictures" / f"{name}.svg"
    if not path.is_file():
        raise LookupError(f"there is no picture {path}")
    svg = re.sub(r"\n\s*", "\n", path.read_text().strip())  # an indented line would be code to Markdown
    return f'<div class="picture" markdown="0">\n{svg}\n</div>'


def conversation(name: str) -> str:
    """A transcript of spec/transcripts as a block of this page."""
    path = ROOT / "spec" / "transcripts" / f"{name}.txt"
    if not path.is_file():
        raise LookupError(f"there is no transcript {path}")
    return f"```transcript\n{path.read_text('utf-8').strip()}\n```"


def streams(group: str) -> str:
    """A table of the streams in a folder of conformance/streams: name and what it teaches."""
    rows = ["| stream | what it teaches |", "| --- | --- |"]
    for path in sorted((ROOT / "conformance" / "streams" / group).glob("*.stream")):
        lines = path.read_text("utf-8").split("\n")
        teaches = " ".join(line.lstrip("# ") for line in takewhile(lambda line: line.startswith("#"), lines))
        rows.append(f"| `{group}/{path.stem}` | {teaches.replace('|', chr(92) + '|')} |")
    assert len(rows) > 2, f"no streams in {group}"
    return "\n".join(rows)


def growth(kind: str) -> str:
    """What operations on one kind of value cost, by its size, on both servers."""
    document = _measured("growth")
    sizes = [f"{size // 1000:,} k" if size < 10**6 else f"{size // 10**6} M" for size in document["sizes"]]
    heads = [*sizes, f"Redis {sizes[0]}", f"Redis {sizes[-1]}"]
    rows = [
        (each["operation"], each["complexity"], *map(_micros, (*each["subject"], *each["oracle"][:: len(sizes) - 1])))
        for each in document["operations"]
        if each["value"] == kind
    ]
    told = (
        f"Microseconds a call, in batches, by the number of elements (columns without a name: mini_redis); "
        f"{document['machine']}. Again: `make growth`."
    )
    return _table(("operation", "documented", *heads), rows, 2, told)


def edges(kind: str) -> str:
    """Encoding and size on Redis of values at a threshold, and of the same values one step beyond."""
    rows = [
        (one["directive"], f"{one['elements']:,} of {one['length']} bytes", f"`{one['encoding']}`", f"{one['bytes']:,}")
        for one in _measured("choices")["edges"]
        if one["kind"] == kind
    ]
    told = "Bytes in Redis 8.2.3 (`MEMORY USAGE`, key included). Again: `make choices`."
    return _table(("threshold", "value", "encoding", "bytes"), rows, 3, told)


def choices(problem: str) -> str:
    """One problem in several structures: bytes a thing on Redis, microseconds by operation on both servers."""
    document = _measured("choices")
    ways = [each for each in document["costs"] if each["problem"] == problem]
    if not ways:
        raise LookupError(f"nothing was measured for {problem}")
    names = list(dict.fromkeys(name for each in ways for name in each["oracle"]))
    rows = [
        (each["way"], f"{each['bytes']:.1f}", *(
            f"{_micros(each['subject'][name])} / {_micros(each['oracle'][name])}" if name in each["oracle"] else "-"
            for name in names
        ))
        for each in ways
    ]  # fmt: skip
    told = (
        f"{ways[0]['things']:,} {ways[0]['thing']}s. Bytes: in Redis 8.2.3. Microseconds a call: mini_redis / Redis; "
        f"{document['machine']}. Again: `make choices`."
    )
    return _table(("structure", "bytes each", *names), rows, 1, told)


def _measured(name: str) -> Any:
    return json.loads((DOCS / "measured" / f"{name}.json").read_text("utf-8"))


def _micros(value: float) -> str:
    return f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def _table(heads: tuple[str, ...], rows: list[tuple[str, ...]], texts: int, told: str) -> str:
    """A table whose first columns are texts, the others numbers; below it, what they are."""
    if not rows:
        raise LookupError(f"nothing was measured for this table: {told}")
    lines = [heads, ("---",) * texts + ("--:",) * (len(heads) - texts), *rows]
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return f'<div class="figures" markdown>\n\n{table}\n\n{told}\n\n</div>'


MACROS: dict[str, Callable[[str], str]] = {
    "source": source,
    "essay": essay,
    "picture": picture,
    "transcript": conversation,
    "streams": streams,
    "growth": growth,
    "edges": edges,
    "choices": choices,
}


def _read_module(module: str) -> tuple[Path, str]:
    path = ROOT.joinpath(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    if not path.is_file():
        raise LookupError(f"there is no module {module}")
    return path, path.read_text()


def _member(node: ast.AST, name: str, reference: str) -> ast.AST:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.ClassDef) and child.name == name:
            return child
    raise LookupError(f"{reference}: there is no {name}")


# --- Transcripts -----------------------------------------------------------------------------------------------------

_SPOKEN = re.compile(r"([A-Za-z][A-Za-z0-9_]*|)(>raw|<raw|>|<)(\s.*|)$")


def transcript(code: str, *ignored: Any, **also_ignored: Any) -> str:
    """A transcript as HTML; the signature is that of a custom fence of pymdownx."""
    colours: dict[str, int] = {}
    lines = "\n".join(_transcript_line(line.rstrip(), colours) for line in code.strip("\n").split("\n"))
    return f'<div class="transcript"><pre><code>{lines}</code></pre></div>'


def _transcript_line(line: str, colours: dict[str, int]) -> str:
    def span(kind: str, text: str) -> str:
        return f'<span class="{kind}">{html.escape(text)}</span>'

    if not line or line.startswith("#"):
        return span("t-note", line)
    if line.startswith(("advance ", "close ", "config ", "resp3")):
        return span("t-event", line)
    spoken = _SPOKEN.match(line)
    if spoken is None:
        return span("t-got", line)
    name, mark, rest = spoken.groups()
    if name == "log":
        return span("t-log", line)
    colour = colours.setdefault(name, len(colours) % 4)
    return span(f"t-who t-{colour}", name + mark) + span("t-sent" if ">" in mark else "t-got", rest)


# --- mkdocs ----------------------------------------------------------------------------------------------------------


def on_config(config: Any) -> Any:
    fences = config["mdx_configs"].setdefault("pymdownx.superfences", {}).setdefault("custom_fences", [])
    fences.append({"name": "transcript", "class": "transcript", "format": transcript})
    return config


def on_page_markdown(markdown: str, page: Any, **also: Any) -> str:
    try:
        return expand(markdown)
    except LookupError as error:
        raise LookupError(f"{page.file.src_path}: {error}") from None


def on_post_page(output: str, page: Any, **also: Any) -> str:
    """The site works without a network: nothing on a page may be loaded from elsewhere."""
    if (outside := loads_from_outside(output)) is not None:
        raise ValueError(f"{page.file.src_path} loads something from outside: {outside}")
    return output


def loads_from_outside(page: str) -> str | None:
    """The first tag of a page of HTML that makes a browser ask another server."""
    found = _LOADS.search(page)
    return found[0] if found is not None else None
