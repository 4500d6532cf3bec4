"""A comment for a pull request: the figures in a table, then what is new, folded, the shortest replay first.

GitHub refuses a comment of more than 65,536 characters, so differences are left out from the end, and counted.
"""

from __future__ import annotations

from .junit import as_text
from .result import Difference, Result, Subject, percent, summary

MOST = 60_000
MOST_KINDS = 20


def to_markdown(result: Result) -> str:
    """The comment."""
    parts = [f"## Conformance with {result.oracle.title}", _table(result)]
    left = MOST - sum(len(part) for part in parts)
    for subject in result.subjects:
        for part in _subject(result, subject):
            if len(part) > left:
                parts.append("More than a comment can hold: see the HTML report.")
                return "\n\n".join(parts) + "\n"
            left -= len(part) + 2
            parts.append(part)
    return "\n\n".join(parts) + "\n"


def _table(result: Result) -> str:
    lines = [
        "| server | same | compared | differ | kinds | known | in baseline | gone |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for subject in result.subjects:
        facts = summary(subject)
        mark = {0: "✅", 1: "❌", 2: "⚠️"}[subject.exit_code]
        lines.append(
            f"| {mark} {_cell(subject.server.title)} | {percent(subject.score)} | {facts['compared']:,} "
            f"| {facts['failing']:,} | {facts['kinds']} | {facts['known']} | {facts['in_baseline']} "
            f"| {len(subject.gone)} |"
        )
    return "\n".join(lines)


def _subject(result: Result, subject: Subject) -> list[str]:
    parts: list[str] = []
    if subject.aborted:
        parts.append(f"⚠️ could not go on: {subject.aborted}")
    if subject.obsolete:
        parts.append("Known differences that no longer differ: " + "; ".join(subject.obsolete))
    if subject.gone:
        shown = ", ".join(f"`{key}`" for key in subject.gone[:20])
        parts.append(f"Gone since the baseline ({len(subject.gone)}): {shown}")
    kinds: dict[str, list[Difference]] = {}
    for one in subject.failing:
        kinds.setdefault(one.kind, []).append(one)
    for first, *others in sorted(kinds.values(), key=lambda some: -len(some))[:MOST_KINDS]:
        more = f", and {len(others)} alike" if others else ""
        summary_line = f"<code>{_html(first.sent[:120])}</code> · {first.place} RESP{first.protocol}{more}"
        fence = "`" * max(3, _longest_run(as_text(first)) + 1)
        body = f"{fence}text\n{as_text(first)}\n{fence}"
        parts.append(f"<details><summary>{summary_line}</summary>\n\n{body}\n\n</details>")
    if len(kinds) > MOST_KINDS:
        parts.append(f"... and {len(kinds) - MOST_KINDS} more kinds of difference.")
    if parts and len(result.subjects) > 1:
        parts.insert(0, f"### {subject.server.title}")
    return parts


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _html(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _longest_run(text: str) -> int:
    longest = run = 0
    for char in text:
        run = run + 1 if char == "`" else 0
        longest = max(longest, run)
    return longest
