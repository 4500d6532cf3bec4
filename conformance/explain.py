"""Where do two replies part? For replies too long to compare by eye, in the terms of the rule that compared them."""

from __future__ import annotations

from collections.abc import Iterator

from .normalise import Canonical, InfoSection, equal, info_sections, load_rules
from .outcome import Outcome
from .wire import Reply

SHOWN = 160
MOST = 6


def explain(rule: str, oracle: Outcome, subject: Outcome, inner: tuple[str, ...] = ()) -> list[str]:
    """A few lines; none where the replies themselves say it all. `inner`: the rules of an EXEC's elements."""
    if len(oracle.frames) != 1 or len(subject.frames) != 1:
        return []
    left, right = oracle.frames[0], subject.frames[0]
    if left.kind != right.kind or left.is_error:
        return []
    if inner and len(inner) == len(left.children) == len(right.children):
        lines = []
        for n, (each, a, b) in enumerate(zip(inner, left.children, right.children, strict=True)):
            if not equal(each, a, b):
                found = explain(each, Outcome((a,)), Outcome((b,)))
                lines += [f"reply {n + 1}, {line}" for line in found or ["see above"]]
        return lines[:MOST]
    match rule.split()[0]:
        case "clients":
            lines = list(_fields_of_lines(left.text, right.text))
        case "info":
            lines = list(_facts(left.text, right.text, "values" in rule))
        case "unordered" | "surface":
            lines = list(_only([c.raw for c in left.children], [c.raw for c in right.children]))
        case "commands":
            lines = list(_by_name(_entries(left), _entries(right)))
        case "docs" | "config" | "pairs":
            lines = list(_by_name(_pairs(left), _pairs(right)))
        case "fields":
            lines = list(_paths(left, right, "", {word.lstrip("~").encode() for word in rule.split()[1:]}))
        case _:
            lines = list(_paths(left, right, "", set()))
    return lines[:MOST] + ([f"... {len(lines) - MOST} more"] if len(lines) > MOST else [])


def _short(data: bytes) -> str:
    shown = repr(data)
    return shown if len(shown) <= SHOWN else f"{shown[: SHOWN - 40]} ... {shown[-30:]}"


def _paths(left: Reply, right: Reply, path: str, masked: set[bytes]) -> Iterator[str]:
    """The path to every leaf that differs, `[index]` or `[key]` by level."""
    if left.raw == right.raw and left.raw:
        return
    if left.kind != right.kind or not left.children or not right.children:
        if path:
            yield f"at {path}: oracle {_short(left.raw)}, subject {_short(right.raw)}"
        return
    for index, (a, b) in enumerate(zip(left.children, right.children, strict=False)):
        before = left.children[index - 1].text if index else b""
        if before in masked:
            continue
        name = before.decode("utf-8", "replace") if left.kind == "%" and index % 2 else str(index)
        yield from _paths(a, b, f"{path}[{name}]", masked)
    if len(left.children) != len(right.children):
        yield f"at {path or 'top'}: oracle has {len(left.children)} elements, subject {len(right.children)}"


def _by_name(left: dict[bytes, Reply], right: dict[bytes, Reply]) -> Iterator[str]:
    for name in right:
        if name not in left:
            yield f"only the subject has {_short(name)}"
    for name, value in left.items():
        if name in right:
            here = f"[{name.decode('utf-8', 'replace')}]"
            yield from _paths(value, right[name], here, {b"summary", *_masked_directives(name)})
        elif not value.children:
            yield f"only the oracle has {_short(name)}"


def _masked_directives(name: bytes) -> set[bytes]:
    return {name} if name.decode("utf-8", "replace") in load_rules().masked_directives else set()


def _entries(reply: Reply) -> dict[bytes, Reply]:
    return {entry.children[0].text: entry for entry in reply.children if entry.children}


def _pairs(reply: Reply) -> dict[bytes, Reply]:
    return {key.text: value for key, value in zip(reply.children[::2], reply.children[1::2], strict=False)}


def _fields_of_lines(left: bytes, right: bytes) -> Iterator[str]:
    """Fields of `key=value` lines whose values differ and are not masked."""
    masked = load_rules().masked_fields
    for number, (a, b) in enumerate(zip(left.splitlines(), right.splitlines(), strict=False), 1):
        ours, theirs = (dict(word.partition(b"=")[::2] for word in line.split(b" ")) for line in (a, b))
        for name, value in ours.items():
            if name not in theirs:
                yield f"line {number}: only the oracle has {name.decode()}"
            elif value != theirs[name] and name.decode("utf-8", "replace") not in masked:
                shown = name.decode("utf-8", "replace")
                yield f"line {number}, {shown}: oracle {_short(value)}, subject {_short(theirs[name])}"
        yield from (f"line {number}: only the subject has {name.decode()}" for name in theirs if name not in ours)
    if left.count(b"\n") != right.count(b"\n"):
        yield f"oracle has {left.count(bytes([10]))} lines, subject {right.count(bytes([10]))}"


def _facts(left: bytes, right: bytes, values: bool) -> Iterator[str]:
    """Titles and lines of INFO that one side alone has, and lines whose values differ and are not masked."""
    ours, theirs = _values(info_sections(left, values)), _values(info_sections(right, values))
    yield from _only(list(ours), list(theirs))
    shown, shown_there = (dict(line.partition(b":")[::2] for line in text.split(b"\r\n")) for text in (left, right))
    for name, value in ours.items():
        if name in theirs and theirs[name] != value:
            named = name.decode("utf-8", "replace")
            yield f"{named}: oracle {_short(shown[name])}, subject {_short(shown_there[name])}"


def _values(sections: list[InfoSection]) -> dict[bytes, Canonical]:
    """What INFO tells by name; a section's title comes before its lines, and has no value."""
    told: dict[bytes, Canonical] = {}
    for title, lines in sections:
        for name, value in ((title, None), *lines):
            told[name.encode("utf-8", "surrogateescape")] = value
    return told


def _only(left: list[bytes], right: list[bytes]) -> Iterator[str]:
    for title, here, there in (("oracle", left, set(right)), ("subject", right, set(left))):
        missing = [name for name in here if name not in there]
        if missing:
            yield f"only the {title} has: {b', '.join(missing[:20]).decode('utf-8', 'replace')}"
    if sorted(left) == sorted(right) and left != right:
        yield "the order differs"
