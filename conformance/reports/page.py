"""The HTML report: one file that holds everything, so that it can be mailed, kept by CI and opened from a disk.

A matrix (command x server x protocol) and, below it, every difference: what was sent, both answers readable and raw,
their bytes side by side, and lines that show it again. Differences of one kind are told once, the others listed with
their places. It is all plain HTML: without JavaScript the page is complete, with it (page.js) it can be filtered and
searched. States are told by a sign and a word, not by colour alone; colours follow the reader's light or dark setting.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path

from .bytediff import Line, diff, escaped, first_difference
from .result import STATES, Answer, Cell, Difference, Played, Result, Subject, percent, summary

FOLDER = Path(__file__).parent
# Class and sign of a state; the sign is drawn by the style sheet, the word stands in the page.
CLASSES = {"same": "s", "differs": "d", "known": "k", "unsupported": "u", "not exercised": "n"}
MEANINGS = {
    "same": "every reply compared is the same",
    "differs": "a reply differs",
    "known": "differs, and we know why that is right",
    "unsupported": "the server does not know the command",
    "not exercised": "no stream sends it yet",
}
ROWS = {
    "(state)": "keys, types, values, encodings and times to live after each stream",
    "(raw)": "bytes sent as they stand",
    "(await)": "replies that came later: of blocked clients, or pushed",
    "(wait)": "conditions that were awaited",
    "(unknown)": "commands that the oracle does not know either",
}
MOST_ALIKE, SCRIPT = 12, 2500


@dataclass(frozen=True)
class Detail:
    """How much is told: kinds for each command and server, places alike, lines of bytes, characters of replies.

    `script` bounds those that could not be shrunk.

    `extras`: identifiers, and what each stream teaches. `idle`: a row in the matrix also for what no stream exercises.
    """

    kinds: int = 10_000
    places: int = 10_000
    lines: int = 40
    shown: int = 900
    raw: int = 500
    script: int = 20_000
    extras: bool = True
    idle: bool = True


FULL = Detail()
BRIEF = Detail(kinds=2, places=1, lines=6, shown=200, raw=120, script=400, extras=False, idle=False)


def to_html(result: Result, detail: Detail = FULL) -> str:
    """The page. BRIEF is for a site: of each kind of difference an example, and few of each command."""
    title = "Conformance with " + result.oracle.title
    return "\n".join(
        (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f"<title>{escape(title)}</title>\n<style>\n{(FOLDER / 'page.css').read_text('utf-8')}</style>",
            "</head>\n<body>",
            '<a class="skip" href="#matrix">To the matrix</a>',
            *_head(result, title),
            '<main>\n<section aria-labelledby="matrix">\n<h2 id="matrix">Matrix</h2>',
            *_controls(result, detail),
            *_matrix(result, detail),
            '</section>\n<section aria-labelledby="differences">\n<h2 id="differences">Differences</h2>',
            *_differences(result, detail),
            "</section>\n</main>",
            f"<script>\n{(FOLDER / 'page.js').read_text('utf-8')}</script>\n</body>\n</html>\n",
        )
    )


def anchor(*words: str) -> str:
    """An id for the words; names of commands may hold anything."""
    return "-".join(re.sub(r"[^a-z0-9]+", "_", word.lower()).strip("_") or f"x{word.encode().hex()}" for word in words)


# ---- head --------------------------------------------------------------------------------------------------------


def _head(result: Result, title: str) -> Iterator[str]:
    when = f' <time datetime="{escape(result.created)}">{escape(result.created[:10])}</time>' if result.created else ""
    yield f"<header>\n<h1>{escape(title)}</h1>"
    yield (
        "<p>The same bytes went to each server and to the oracle, under RESP2 and RESP3; whatever came back "
        f"differently is below.{when}</p>\n"
        '<ul class="cards">'
    )
    for subject in result.subjects:
        yield from _card(subject)
    for name, why in result.missing.items():
        yield f'<li class="card absent"><h2>{escape(name)}</h2><p>{escape(why)}</p></li>'
    yield "</ul>\n</header>"


def _card(subject: Subject) -> Iterator[str]:
    facts = summary(subject)
    counts = subject.commands
    bar = "".join(
        f'<span class="{CLASSES[state]}" style="flex:{count}"></span>' for state, count in counts.items() if count
    )
    words = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    yield f'<li class="card"><h2>{escape(subject.server.title)}</h2>'
    yield f'<p class="score">{percent(subject.score)} <span>the same</span></p>'
    alike = f" of {facts['kinds']} kinds" if facts["kinds"] else ""
    tolerated = f", {facts['in_baseline']} in the baseline" if facts["in_baseline"] else ""
    known = f", {facts['known']} known" if facts["known"] else ""
    yield f"<p>{facts['compared']:,} replies compared, {facts['failing']:,} differ{alike}{known}{tolerated}</p>"
    yield f'<div class="bar" aria-hidden="true">{bar}</div><p class="small">Commands: {words}.</p>'
    if subject.aborted:
        yield f'<p class="bad">Could not go on: {escape(subject.aborted)}</p>'
    for entry in subject.obsolete:
        yield f'<p class="bad">Known difference that no longer differs: {escape(entry)}</p>'
    yield "</li>"


# ---- matrix ------------------------------------------------------------------------------------------------------


def _controls(result: Result, detail: Detail) -> Iterator[str]:
    groups = sorted(set(result.groups.values()))
    yield '<form class="controls" role="search" hidden>'
    yield '<label>Search <input type="search" id="q" placeholder="command, reply, stream"></label>'
    yield _select("state", "State", "any", [(CLASSES[state], state) for state in STATES])
    servers = [(str(n), subject.server.title) for n, subject in enumerate(result.subjects)]
    if len(servers) > 1:
        yield _select("server", "Server", "all", servers)
    if groups:
        yield _select("group", "Group", "all", [(group, group) for group in groups])
    if detail.idle:
        yield '<label class="check"><input type="checkbox" id="idle"> also what was not exercised</label>'
    yield '<output id="count" aria-live="polite"></output></form>'
    yield '<ul class="legend">'
    for state in STATES:
        yield f'<li><span class="cell {CLASSES[state]}"></span><b>{state}</b> {MEANINGS[state]}</li>'
    yield "</ul>"


def _select(name: str, label: str, every: str, options: list[tuple[str, str]]) -> str:
    inner = "".join(f'<option value="{escape(value)}">{escape(text)}</option>' for value, text in options)
    return f'<label>{label} <select id="{name}"><option value="">{every}</option>{inner}</select></label>'


def _matrix(result: Result, detail: Detail) -> Iterator[str]:
    yield '<div class="scroll" tabindex="0" role="region" aria-labelledby="matrix">\n<table id="grid">\n<thead>'
    heads = "".join(f'<th colspan="2" scope="colgroup">{escape(one.server.title)}</th>' for one in result.subjects)
    yield f'<tr><th rowspan="2" scope="col">command</th>{heads}</tr>'
    protocols = '<th scope="col"><abbr title="RESP2">2</abbr></th><th scope="col"><abbr title="RESP3">3</abbr></th>'
    yield f"<tr>{protocols * len(result.subjects)}</tr>\n</thead>\n<tbody>"
    names = sorted({name for subject in result.subjects for name in subject.cells})
    idle = [name for name in names if not detail.idle and not _exercised(name, result)]
    for name in names:
        if name in idle:
            continue
        group = escape(result.groups.get(name.split(" ")[0], ""))
        hint = f' title="{escape(ROWS[name])}"' if name in ROWS else ""
        cells = "".join(_cells(name, subject) for subject in result.subjects)
        yield f'<tr data-g="{group}"><th scope="row"{hint}>{escape(name)}</th>{cells}</tr>'
    yield "</tbody>\n</table>\n</div>"
    if idle:
        yield f'<details class="idle"><summary>{len(idle)} commands that no stream exercises yet</summary>'
        yield f"<p>{escape(', '.join(idle))}</p></details>"


def _exercised(name: str, result: Result) -> bool:
    return any(cell.compared for subject in result.subjects for cell in subject.cells.get(name, {}).values())


def _cells(name: str, subject: Subject) -> str:
    both = subject.cells.get(name, {})
    one, other = (both.get(protocol, Cell()) for protocol in ("2", "3"))
    if one.state == other.state and not one.compared and not other.compared:
        return f'<td class="{CLASSES[one.state]} f" colspan="2"><b>{one.state}</b></td>'
    return _cell(name, subject, "2") + _cell(name, subject, "3")


def _cell(name: str, subject: Subject, protocol: str) -> str:
    cell = subject.cells.get(name, {}).get(protocol, Cell())
    word = f"<b>{cell.state}</b>"
    kind = CLASSES[cell.state] + " f" * (protocol == "2")
    if not cell.compared:
        return f'<td class="{kind}">{word}</td>'
    told = [f"{cell.compared} compared"]
    told += [f"{cell.differing} differ"] if cell.differing else []
    told += [f"{cell.known} known"] if cell.known else []
    hint = f' title="{", ".join(told)}"'
    if cell.differing or cell.known:
        place = anchor(name, subject.server.name)
        return f'<td class="{kind}"{hint}><a href="#{place}">{word}</a></td>'
    return f'<td class="{kind}"{hint}>{word}</td>'


# ---- differences -------------------------------------------------------------------------------------------------


def _differences(result: Result, detail: Detail) -> Iterator[str]:
    by_command: dict[str, dict[int, list[Difference]]] = {}
    for number, subject in enumerate(result.subjects):
        for one in subject.differences:
            by_command.setdefault(one.command, {}).setdefault(number, []).append(one)
    if not by_command:
        yield "<p>None.</p>"
    streams = [played for subject in result.subjects for played in subject.streams if detail.extras]
    lessons = {played.stream: played for played in streams}
    for command, by_server in sorted(by_command.items()):
        group = escape(result.groups.get(command.split(" ")[0], ""))
        yield f'<section class="command" data-g="{group}" id="{anchor(command)}"><h3>{escape(command)}</h3>'
        for number, differences in by_server.items():
            subject = result.subjects[number]
            place = anchor(command, subject.server.name)
            title = escape(subject.server.title)
            yield f'<div class="server" data-s="{number}" id="{place}"><h4>{title} <span>{len(differences)}</span></h4>'
            kinds: dict[tuple[str, str, bool], list[Difference]] = {}
            for one in differences:
                kinds.setdefault((one.kind, one.known, one.baseline), []).append(one)
            told = sorted(kinds.values(), key=lambda some: (not some[0].shrunk, -len(some)))
            for first, *others in told[: detail.kinds]:
                yield from _difference(result, subject, first, others, lessons, detail)
            if rest := told[detail.kinds :]:
                yield f"<h5>{len(rest)} other kind{'s' * (len(rest) > 1)}</h5>"
                yield from _places(subject.server.name, [some[0] for some in rest], detail)
            yield "</div>"
        yield "</section>"


def _difference(
    result: Result,
    subject: Subject,
    one: Difference,
    others: list[Difference],
    lessons: dict[str, Played],
    detail: Detail,
) -> Iterator[str]:
    state = "known" if one.known else "unsupported" if one.unsupported else "differs"
    name = subject.server.name
    also = f' <span class="also">and {len(others)} alike</span>' if others else ""
    tolerated = ' <span class="also">in the baseline</span>' if one.baseline else ""
    yield f'<details class="diff" id="{_own(name, one)}" data-k="{CLASSES[state]}">'
    yield (
        f'<summary><span class="cell {CLASSES[state]}"><b>{state}</b></span> '
        f"<code>{escape(_cut(one.sent, 160))}</code> "
        f'<span class="place">{escape(one.place)} RESP{one.protocol}</span>{also}{tolerated}</summary>'
    )
    if one.known:
        yield f'<p class="why"><b>{escape(one.known)}.</b> {escape(one.reason)}</p>'
    if one.note:
        yield f"<p>{escape(one.note)}</p>"
    yield '<div class="both">'
    compared = diff(one.oracle.raw, one.subject.raw, detail.lines) if one.oracle.raw and one.subject.raw else []
    whole = bool(compared) and not any(line.sign == "~" for line in compared)  # the diff shows all of both
    yield from _answer(result.oracle.title, one.oracle, whole, detail)
    yield from _answer(subject.server.title, one.subject, whole, detail)
    yield "</div>"
    for line in one.explained:
        yield f'<p class="explained">{escape(_cut(line, 400))}</p>'
    if one.compared_by != "exact":
        yield f'<p class="small">Compared by the rule <code>{escape(one.compared_by)}</code>.</p>'
    if compared:
        yield from _bytes(one, compared)
    if one.script and (one.shrunk or len(one.script) <= detail.script):
        yield from _again(one, lessons)
    yield from _alike(name, others, detail)
    if detail.extras:
        yield f'<p class="small">Identifier: <code>{escape(one.id)}</code></p>'
    yield "</details>"


def _answer(title: str, answer: Answer, bytes_follow: bool, detail: Detail) -> Iterator[str]:
    yield f"<div><h5>{escape(title)}</h5><pre>{escape(_cut(answer.shown, detail.shown))}</pre>"
    if answer.raw and not bytes_follow:
        more = f" ... ({answer.size:,} bytes)" if answer.size > detail.raw else ""
        yield f'<pre class="raw">{escape(escaped(answer.raw[: detail.raw]))}{more}</pre>'
    yield "</div>"


def _bytes(one: Difference, compared: list[Line]) -> Iterator[str]:
    at = first_difference(one.oracle.raw, one.subject.raw)
    yield f"<h5>Bytes: {one.oracle.size:,} and {one.subject.size:,}, the first difference at {at:,}</h5>"
    lines = []
    for line in compared:
        inner = escape(_cut(line.before, 200))
        inner += f"<mark>{escape(_cut(line.differs, 200))}</mark>" if line.differs else ""
        inner += escape(_cut(line.after, 100))
        kind = {"-": "minus", "+": "plus", "~": "gap", " ": "both-sides"}[line.sign]
        sign = "…" if line.sign == "~" else line.sign
        lines.append(f'<span class="{kind}">{sign} {inner}</span>')
    yield '<pre class="bytes">' + "\n".join(lines) + "</pre>"


def _again(one: Difference, lessons: dict[str, Played]) -> Iterator[str]:
    what = "the shortest that still differs" if one.shrunk else "the stream up to here"
    how = "paste it into a shell" if one.paste_able else "save it as x.stream and run it with --streams x.stream"
    yield f'<h5>Again ({what}; {how})</h5><div class="again"><pre>{escape(_cut(one.script, SCRIPT))}</pre></div>'
    played = lessons.get(one.stream)
    if played is not None and played.teaches:
        teaches = escape(_first_sentence(played.teaches))
        yield f'<p class="small">The stream <code>{escape(one.stream)}</code>: {teaches}</p>'


def _alike(name: str, others: list[Difference], detail: Detail) -> Iterator[str]:
    if not others:
        return
    yield "<h5>Alike</h5>"
    yield from _places(name, others, detail)


def _places(name: str, differences: list[Difference], detail: Detail) -> Iterator[str]:
    yield '<ul class="alike">'
    for number, one in enumerate(differences[: detail.places]):
        sent = f" <code>{escape(_cut(one.sent, 60))}</code>" if number < MOST_ALIKE else ""
        own = f' id="{_own(name, one)}"' if detail.extras else ""
        yield f"<li{own}>{escape(one.place)} RESP{one.protocol}{sent}</li>"
    if len(differences) > detail.places:
        yield f"<li>and {len(differences) - detail.places} more</li>"
    yield "</ul>"


def _first_sentence(text: str) -> str:
    return _cut(" ".join(text.split()).split(". ")[0], 200)


def _own(server: str, one: Difference) -> str:
    return f"{anchor(server)}-{one.id}"


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[:limit]} ... ({len(text):,} characters)"
