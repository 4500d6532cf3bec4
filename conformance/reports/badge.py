"""A badge, drawn here: no service is asked, so it also works inside a company and offline."""

from __future__ import annotations

from html import escape

from .result import Result, percent

# Advance widths of a sans-serif at 11 px, in tenths of a pixel; the text is then fitted by `textLength`.
_NARROW, _WIDE = "iljtfrI.,:;|!'()[] ", "mwMW%@"


def to_badge(result: Result) -> str:
    """`conformance 98.7 % | redis 8.2.3` as SVG: of the replies compared. What is unsupported is said beside it.

    Green from 99 %, amber from 90 %, else red; the figure says it too.
    """
    subject = result.subjects[0]
    left, right = f"conformance {percent(subject.score)}", result.oracle.title
    commands = subject.commands
    if commands["unsupported"]:
        there = sum(commands.values())
        right += f", {there - commands['unsupported']} of {there} commands"
    colour = "#1a7f37" if subject.score >= 99 else "#8a6100" if subject.score >= 90 else "#b3261e"
    a, b = width(left) + 16, width(right) + 16
    label = escape(f"{left} compared with {right}")
    return f"""<svg xmlns="http://www.w3.org/2000/svg" width="{a + b}" height="20" role="img" aria-label="{label}">
<title>{label}</title>
<clipPath id="r"><rect width="{a + b}" height="20" rx="3"/></clipPath>
<g clip-path="url(#r)"><rect width="{a}" height="20" fill="{colour}"/>
<rect x="{a}" width="{b}" height="20" fill="#3b3b3b"/></g>
<g fill="#fff" font-family="Verdana,DejaVu Sans,Geneva,sans-serif" font-size="11" text-anchor="middle">
<text x="{a / 2:g}" y="14" textLength="{a - 16}">{escape(left)}</text>
<text x="{a + b / 2:g}" y="14" textLength="{b - 16}">{escape(right)}</text>
</g>
</svg>
"""


def width(text: str) -> int:
    """About how wide the text is at 11 px."""
    return round(sum(4.0 if char in _NARROW else 10.2 if char in _WIDE else 6.9 for char in text))
