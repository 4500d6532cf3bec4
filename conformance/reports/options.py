"""The options that ask for reports, and the one place that writes them."""

from __future__ import annotations

import argparse
from pathlib import Path

from .badge import to_badge
from .baseline import ratchet
from .junit import to_junit
from .markdown import to_markdown
from .page import BRIEF, to_html
from .result import Result, to_json

FACES = {
    "json": (to_json, "the whole run as data (schema: conformance/reports/result.py)"),
    "junit": (to_junit, "JUnit XML, for CI: one testcase for each stream and protocol"),
    "html": (to_html, "one page with the matrix and every difference; needs nothing else"),
    "markdown": (to_markdown, "a comment for a pull request"),
    "badge": (to_badge, "an SVG badge"),
}


def add_reports(parser: argparse.ArgumentParser, baseline: bool = True) -> None:
    """--json, --junit, --html, --markdown, --badge, and the ratchet where it makes sense."""
    group = parser.add_argument_group("reports")
    for face, (_, text) in FACES.items():
        group.add_argument(f"--{face}", type=Path, metavar="FILE", help=f"write {text}")
    group.add_argument("--brief", action="store_true", help="HTML: few of each kind, as the site shows it")
    if baseline:
        group.add_argument("--baseline", type=Path, metavar="FILE", help="fail only for what is not in this file")
        group.add_argument("--update-baseline", action="store_true", help="write the differences into --baseline")


def write_reports(result: Result, options: argparse.Namespace) -> int:
    """Apply the baseline, write every file that was asked for, and return the exit code."""
    if getattr(options, "baseline", None) is not None:
        print(ratchet(result, options.baseline, options.update_baseline))
    elif getattr(options, "update_baseline", False):
        raise ValueError("--update-baseline needs --baseline FILE")
    for face, (draw, _) in FACES.items():
        path: Path | None = getattr(options, face, None)
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            brief = face == "html" and options.brief
            path.write_text(to_html(result, BRIEF) if brief else draw(result), "utf-8")
    return result.exit_code
