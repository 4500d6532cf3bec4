"""When are two replies the same although their bytes differ?

Two servers may order a set differently, read the clock a moment apart, or number their clients from elsewhere. Each
such licence is a named rule; which command has which rule is data (normalise.toml), and a stream may override it line
by line (`#= rule`). A rule turns a reply into a canonical value, and two replies are equal when the values are. Rules
keep the types: an array is never equal to a set, an integer never to a bulk. An error is always compared in full.

    exact               the bytes (what every command has that is not named in the table)
    unordered           the elements of the top level in any order
    deep                elements in any order at every level
    pairs [deep]        a map, or a flat array read as key, value, key, value...: pairs in any order
    shape               the same types all the way down; a scalar's text is not looked at
    type                the same type at the top, nothing else
    within N            integers may differ by at most N when both are positive; all else exact
    seconds             positive integers are seconds on a clock: a difference is doubtful (see below)
    milliseconds        likewise; apart by no more than the two servers were asked apart is no difference
    cursor [pairs]      [cursor, elements]: the cursor is each server's own; elements in any order
    fields NAME...      what follows one of these names, at any level, by shape (~NAME: not at all); all else exact
    config              pairs: values of the directives named in normalise.toml are not looked at
    clients             lines of key=value: values of the fields masked in normalise.toml are not looked at, ids of
                        clients only as far as there is one; `clients NAME ...` does not look at these either
    commands [ordered]  entries of COMMAND in any order (ordered: as they come), subcommands in any order, else exact
    docs                COMMAND DOCS: commands and subcommands in any order, a summary's words not looked at, else exact
    surface [ordered]   every element of the subject's list is in the oracle's (ordered: in the same order)
    info [values]       the same section titles and field names, but for what normalise.toml calls a server's own;
                        with `values` also their values, but for the masked fields; commands in any order
    columns N...        an array of arrays: the elements at these places (from 0) by shape; all else exact
    words NAME...       words of name:value: the named ones' values are not looked at
    monitor             a line of MONITOR: neither its time nor the client's port
    slowlog             entries of SLOWLOG GET: ids from the last one's on, neither times nor the client's port
    histogram           LATENCY HISTOGRAM: commands in any order, calls exact, the histogram's last step is all calls
    dump                the answer of DUMP: bytes, but for the order of tables; of what holds times its form alone
    error               an error with the same first word
    ignore              a reply must come; nothing is compared
    multi-line          lines of a text in any order

`commands`, `docs` and `surface` look at what the subject has: a subject may be unfinished, and a report has its own
place for what it lacks (report.py). What it has beyond the oracle is a difference.

A clock ticks between two servers now and then. So a difference of a clock's reading that is small enough to be that is
doubtful: it counts only if it shows again when the stream is repeated (compare.py).
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

from .wire import Reply

Canonical: TypeAlias = object
InfoSection: TypeAlias = tuple[str, list[tuple[str, Canonical]]]
"""The title, and its lines as (name, value)."""
CONTROL_NAME = b"conformance"
"""Of the tool's own connection."""
OF_CONTROL = frozenset(("cmd", "tot-net-in", "tot-cmds"))
RULE_NAMES = frozenset(
    ("exact", "unordered", "deep", "pairs", "shape", "type", "within", "cursor", "fields", "clients", "info", "words")
    + ("config", "commands", "docs", "error", "ignore", "multi-line", "seconds", "milliseconds", "surface", "columns")
    + ("dump", "monitor", "slowlog", "histogram")
)


@dataclass(frozen=True)
class Rules:
    """The tables of normalise.toml."""

    by_command: dict[str, str]
    masked_fields: frozenset[str]
    id_fields: frozenset[str]
    masked_directives: frozenset[str]
    masked_info: tuple[str, ...]
    own_info: tuple[str, ...]
    reply_per_argument: frozenset[str]

    def for_command(self, argv: tuple[bytes, ...]) -> str:
        """The rule of a command vector: its subcommand's, else its own, else exact."""
        return self.by_command.get(command_name(argv, 2)) or self.by_command.get(command_name(argv, 1)) or "exact"


def command_name(argv: tuple[bytes, ...], words: int = 1) -> str:
    """The first words in capitals, for tables and reports."""
    return " ".join(word.upper().decode("utf-8", "backslashreplace") for word in argv[:words])


@cache
def load_rules() -> Rules:
    data: dict[str, Any] = tomllib.loads((Path(__file__).parent / "normalise.toml").read_text("utf-8"))
    return Rules(
        data["rules"],
        frozenset(data["clients"]["masked"]),
        frozenset(data["clients"]["ids"]),
        frozenset(data["config"]["masked"]),
        tuple(data["info"]["masked"]),
        tuple(data["info"]["own"]),
        frozenset(data["replies"]["per_argument"]),
    )


CLOCK_DOUBT = {"seconds": 2, "milliseconds": 2000}


def doubtful(rule: str, oracle: Reply, subject: Reply) -> bool:
    """Whether replies that differ under a clock's rule are near enough for the clock to be the reason."""
    return rule in CLOCK_DOUBT and _near(oracle, subject, CLOCK_DOUBT[rule])


def equal(rule: str, oracle: Reply, subject: Reply, slack_ms: int = 0) -> bool:
    """Whether the two replies are the same under `rule`. ValueError for a rule that does not exist.

    `slack_ms` is how far apart in time the two servers may have seen their commands.
    """
    name, *arguments = rule.split()
    if name not in RULE_NAMES:
        raise ValueError(f"no such comparison rule: {rule!r}")
    if oracle.raw == subject.raw or name == "ignore":
        return True
    if oracle.is_error or subject.is_error:
        if name == "error":
            return oracle.kind == subject.kind and oracle.text.split()[:1] == subject.text.split()[:1]
        return False
    if name == "surface":
        return _within_surface(oracle, subject, "ordered" in arguments)
    if name in ("commands", "docs") and "ordered" not in arguments:
        oracle = _only_shared(oracle, subject, name)
    if name == "milliseconds":
        return _near(oracle, subject, slack_ms)
    if name == "within":
        return _near(oracle, subject, int(arguments[0]))
    return canonical(name, arguments, oracle) == canonical(name, arguments, subject)


def canonical(name: str, arguments: list[str], reply: Reply) -> Canonical:
    """The reply reduced to what the rule looks at."""
    match name:
        case "unordered":
            return reply.kind, len(reply.children), sorted(child.raw for child in reply.children), reply.value is None
        case "deep":
            return _deep(reply)
        case "pairs":
            inner = _deep if "deep" in arguments else _raw
            return reply.kind, sorted((_pair_key(k), inner(v)) for k, v in _pairs(reply)), len(reply.children) % 2
        case "shape":
            return _shape(reply)
        case "type":
            return reply.kind, reply.value is None
        case "cursor":
            return _cursor(reply, "pairs" in arguments)
        case "fields":
            return _fields(reply, {argument.encode() for argument in arguments})
        case "config":
            masked = load_rules().masked_directives
            pairs = [(k.raw, _shape(v) if k.text.decode() in masked else v.raw) for k, v in _pairs(reply)]
            return reply.kind, sorted(pairs, key=repr)
        case "columns":
            places = {int(argument) for argument in arguments}
            return reply.kind, reply.value is None, [_columns(child, places) for child in reply.children]
        case "clients":
            return reply.kind, reply.format, [_client_line(line, arguments) for line in reply.text.split(b"\n")]
        case "commands":
            entries = [_command_entry(child) for child in reply.children]
            return reply.kind, len(entries), entries if "ordered" in arguments else sorted(entries, key=repr)
        case "docs":
            return _docs(reply)
        case "info":
            return reply.kind, reply.format, info_sections(reply.text, "values" in arguments)
        case "dump":
            return canonical_dump(reply) if len(reply.text) > DUMP_FOOTER else reply.raw
        case "words":
            return reply.kind, [_word(word, arguments) for word in reply.text.split(b" ")]
        case "monitor":
            return reply.kind, _PORT_SHOWN.sub(rb"\1(port)\2", _TIME_SHOWN.sub(b"(time) [", reply.text))
        case "slowlog":
            return reply.kind, [_slowlog_entry(child, reply.children[0]) for child in reply.children]
        case "histogram":
            return reply.kind, sorted((name.raw, _distribution(value)) for name, value in _pairs(reply))
        case "multi-line":
            return reply.kind, reply.format, sorted(reply.text.splitlines())
        case _:
            return reply.raw


def _raw(reply: Reply) -> Canonical:
    return reply.raw


def _pair_key(reply: Reply) -> bytes:
    return reply.raw


def _pairs(reply: Reply) -> list[tuple[Reply, Reply]]:
    """Key and value of a map or flat array, or of an array of two-element arrays."""
    children = reply.children
    if reply.kind == "*" and children and all(len(child.children) == 2 for child in children):
        return [(child.children[0], child.children[1]) for child in children]
    return list(zip(children[::2], children[1::2], strict=False))


def _deep(reply: Reply) -> Canonical:
    """Order-free at every level. repr gives a total order over whatever stands inside."""
    if not reply.children:
        return reply.raw
    if reply.kind == "%":
        return reply.kind, sorted(((_deep(k), _deep(v)) for k, v in _pairs(reply)), key=repr)
    return reply.kind, sorted((_deep(child) for child in reply.children), key=repr)


def _shape(reply: Reply) -> Canonical:
    return reply.kind, reply.format, reply.value is None, tuple(_shape(child) for child in reply.children)


def _cursor(reply: Reply, pairs: bool) -> Canonical:
    if len(reply.children) != 2:
        return reply.raw
    cursor, elements = reply.children
    shape = (reply.kind, cursor.kind, cursor.text == b"0", elements.kind)
    if pairs:
        return shape, sorted((k.raw, v.raw) for k, v in _pairs(elements))
    return shape, sorted(child.raw for child in elements.children)


_TIME_SHOWN = re.compile(rb"^\d+\.\d{6} \[")
_PORT_SHOWN = re.compile(rb"^(\(time\) \[\d+ 127\.0\.0\.1:)\d+(\] )")
_PORT = re.compile(rb":\d+$")


def _slowlog_entry(entry: Reply, last: Reply) -> Canonical:
    if len(entry.children) != 6 or not last.children:
        return entry.raw
    number, at, duration, words, address, name = entry.children
    before_last = int(last.children[0].text) - int(number.text)
    where = _PORT.sub(b":(port)", address.text)
    return entry.kind, before_last, _shape(at), _shape(duration), words.raw, address.kind, where, name.raw


def _distribution(reply: Reply) -> Canonical:
    """How the facts of a command are shaped, how many calls there were, and whether the histogram counts them all."""
    facts = dict(_named(reply))
    calls, steps = facts.get(b"calls"), facts.get(b"histogram_usec")
    if calls is None or steps is None or not steps.children:
        return reply.raw
    last, kinds = steps.children[-1], {step.kind for step in steps.children}
    return reply.kind, sorted(facts), calls.raw, steps.kind, kinds, last.raw


def _columns(reply: Reply, places: set[int]) -> Canonical:
    if not reply.children:
        return reply.raw
    return reply.kind, [_shape(cell) if n in places else cell.raw for n, cell in enumerate(reply.children)]


def _fields(reply: Reply, masked: set[bytes]) -> Canonical:
    """Map or flat pairs alike: only the name in front of a value decides."""
    if not reply.children:
        return reply.raw
    before = b""
    parts: list[Canonical] = []
    for child in reply.children:
        if b"~" + before in masked:
            parts.append(None)
        else:
            parts.append(_shape(child) if before in masked else _fields(child, masked))
        before = child.text
    return reply.kind, parts


def _command_entry(entry: Reply) -> Canonical:
    """An entry of COMMAND: its tenth element, the subcommands, come in the order of a hash table."""
    if len(entry.children) < 10:
        return entry.raw
    *facts, subcommands = entry.children[:10]
    inner = sorted((_command_entry(child) for child in subcommands.children), key=repr)
    return entry.kind, [fact.raw for fact in facts], subcommands.kind, inner, len(entry.children)


def _within_surface(oracle: Reply, subject: Reply, ordered: bool) -> bool:
    if oracle.kind != subject.kind:
        return False
    if not ordered:
        return {child.raw for child in subject.children} <= {child.raw for child in oracle.children}
    rest = iter([child.raw for child in oracle.children])
    return all(child.raw in rest for child in subject.children)


def _only_shared(oracle: Reply, subject: Reply, rule: str) -> Reply:
    """The oracle's table without the commands and subcommands that the subject does not have."""
    if rule == "commands":
        theirs = {entry.children[0].text: entry for entry in subject.children if entry.children}
        entries = [
            _entry_with_shared(entry, theirs[entry.children[0].text])
            for entry in oracle.children
            if entry.children and entry.children[0].text in theirs
        ]
        return replace(oracle, value=tuple(entries), raw=b"")
    known = dict(_named(subject))
    kept: list[Reply] = []
    for (name, documentation), key in zip(_named(oracle), oracle.children[::2], strict=True):
        if name in known:
            kept += (key, _docs_with_shared(documentation, known[name]))
    return replace(oracle, value=tuple(kept), raw=b"")


def _entry_with_shared(oracle: Reply, subject: Reply) -> Reply:
    if len(oracle.children) < 10 or len(subject.children) < 10:
        return oracle
    subcommands = _only_shared(oracle.children[9], subject.children[9], "commands")
    return replace(oracle, value=(*oracle.children[:9], subcommands))


def _docs_with_shared(oracle: Reply, subject: Reply) -> Reply:
    facts, theirs = dict(_named(oracle)), dict(_named(subject))
    if b"subcommands" not in facts or b"subcommands" not in theirs:
        return oracle
    shared = _only_shared(facts[b"subcommands"], theirs[b"subcommands"], "docs")
    children = [shared if child is facts[b"subcommands"] else child for child in oracle.children]
    return replace(oracle, value=tuple(children))


def _named(reply: Reply) -> list[tuple[bytes, Reply]]:
    """The pairs of a map or flat array, by the key's text."""
    children = reply.children
    return [(key.text, value) for key, value in zip(children[::2], children[1::2], strict=False)]


def _docs(reply: Reply) -> Canonical:
    """A map of name to documentation, or such a documentation's `subcommands`."""

    def entry(documentation: Reply) -> Canonical:
        facts: list[Canonical] = [documentation.kind]
        for key, value in _pairs(documentation):
            match key.text:
                case b"summary":
                    facts.append((key.raw, _shape(value)))
                case b"subcommands":
                    facts.append((key.raw, _docs(value)))
                case _:
                    facts.append((key.raw, value.raw))
        return facts

    children = reply.children
    pairs = zip(children[::2], children[1::2], strict=False)
    return reply.kind, len(children), sorted(((name.raw, entry(value)) for name, value in pairs), key=repr)


DUMP_FOOTER = 10  # version and checksum
TABLES = (2, 4)  # set and hash, whose elements come in an order of each server's own
HASHES_WITH_TIMES = (24, 25)  # to live, which two servers count from different moments
STREAM, MODULE, SET_LISTPACK = 21, 7, 20
PACKED = 0xC3  # the first byte of a string that is compressed


def canonical_dump(reply: Reply) -> tuple[int, Canonical]:
    """The version of a dump, and what two servers must have in common: of tables the bytes, in any order."""
    body, footer = reply.text[:-DUMP_FOOTER], reply.text[-DUMP_FOOTER:]
    version, form = int.from_bytes(footer[:2], "little"), body[0]
    if form in TABLES:
        return version, (form, bytes(sorted(body)))
    if form == STREAM:  # its groups hold times, in 8 bytes each
        return version, (form, len(body))
    if form == MODULE or form in HASHES_WITH_TIMES:
        return version, form
    if form == SET_LISTPACK:  # in the order of a table, if SDIFFSTORE and its like have made it of one
        return version, (form, b"" if body[1] == PACKED else bytes(sorted(body)))
    return version, body


def _client_line(line: bytes, more_masked: list[str]) -> list[tuple[bytes, bytes]]:
    masked, ids = load_rules().masked_fields.union(more_masked), load_rules().id_fields
    if b" name=" + CONTROL_NAME + b" " in line:
        masked |= OF_CONTROL
    told: list[tuple[bytes, bytes]] = []
    for key, _, value in (word.partition(b"=") for word in line.split(b" ")):
        name = key.decode("utf-8", "replace")
        hidden = name in masked or (name in ids and value.isdigit() and value != b"0")
        told.append((key, b"*" if hidden else value))
    return told


def info_sections(text: bytes, values: bool) -> list[InfoSection]:
    """Title and lines of each section of INFO, but for what is a server's own."""
    rules = load_rules()
    sections: list[InfoSection] = []
    for line in text.decode("utf-8", "surrogateescape").split("\r\n"):
        name, colon, value = line.partition(":")
        if not line or _is_any(name, rules.own_info):
            continue
        if not colon or not sections:
            sections.append((line, []))
        else:
            sections[-1][1].append((name, _info_value(name, value, rules.masked_info) if values else None))
    for title, lines in sections:
        if title in ("# Commandstats", "# Latencystats"):
            lines.sort(key=repr)
    return sections


def _info_value(name: str, value: str, masked: tuple[str, ...]) -> Canonical:
    if _is_any(name, masked):
        return None
    parts = [part.partition("=") for part in value.split(",")]
    return [(key, sign, None if sign and _is_any(key, masked) else of_it) for key, sign, of_it in parts]


def _is_any(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _word(word: bytes, masked: list[str]) -> Canonical:
    name, colon, value = word.partition(b":")
    return name, colon, b"*" if name.decode("utf-8", "replace") in masked else value


def _near(left: Reply, right: Reply, tolerance: int) -> bool:
    """Equal but for positive integers up to `tolerance` apart, at every level."""
    if left.raw == right.raw:
        return True
    if left.kind != right.kind or len(left.children) != len(right.children):
        return False
    if left.children:
        return all(_near(a, b, tolerance) for a, b in zip(left.children, right.children, strict=True))
    number = re.compile(rb"[0-9]+")
    if left.kind in ":$,+" and number.fullmatch(left.text) and number.fullmatch(right.text):
        return abs(int(left.text) - int(right.text)) <= tolerance
    return False
