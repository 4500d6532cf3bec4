"""JUnit's XML, as CI systems read it: one testcase for each stream under each protocol.

Unknown to the format, and so put where people look: a testcase whose only differences are known ones, or ones that the
baseline holds, is skipped, with the reason; a stream that does not apply to the pair of servers too. An entry of
divergences.toml that no longer differs is a failed testcase of its own.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree as Xml

from .result import Difference, Played, Result, Subject

# XML 1.0 has no way to write these, escaped or not.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
MOST_SHOWN = 20


def to_junit(result: Result) -> str:
    """The file: one testsuite for each subject and group of streams."""
    root = Xml.Element("testsuites", name="conformance")
    for subject in result.subjects:
        groups: dict[str, list[Played]] = {}
        for played in subject.streams:
            groups.setdefault(played.group, []).append(played)
        for group, streams in groups.items():
            _suite(root, result, subject, group, streams)
        if subject.obsolete or subject.aborted:
            suite = Xml.SubElement(root, "testsuite", name=f"{subject.server.name}: the run")
            for title in subject.obsolete:
                case = Xml.SubElement(suite, "testcase", classname="conformance.divergences", name=_text(title))
                Xml.SubElement(case, "failure", message="this known difference no longer differs")
            if subject.aborted:
                case = Xml.SubElement(suite, "testcase", classname="conformance", name="the run")
                Xml.SubElement(case, "error", message=_text(subject.aborted))
            _count(suite)
    _count(root)
    Xml.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + Xml.tostring(root, encoding="unicode") + "\n"


def _suite(root: Xml.Element, result: Result, subject: Subject, group: str, streams: list[Played]) -> None:
    suite = Xml.SubElement(root, "testsuite", name=f"{subject.server.name}: {group}", timestamp=result.created)
    properties = Xml.SubElement(suite, "properties")
    for name, server in (("oracle", result.oracle), ("subject", subject.server)):
        Xml.SubElement(properties, "property", name=name, value=server.title)
    by_stream: dict[tuple[str, int], list[Difference]] = {}
    for one in subject.differences:
        by_stream.setdefault((one.stream, one.protocol), []).append(one)
    for played in streams:
        case = Xml.SubElement(
            suite,
            "testcase",
            classname=f"conformance.{group}",
            name=f"{played.stream} RESP{played.protocol}",
            time=f"{played.seconds:.3f}",
        )
        if played.skipped:
            Xml.SubElement(case, "skipped", message=_text(played.skipped))
            continue
        differences = by_stream.get((played.stream, played.protocol), [])
        failing = [one for one in differences if one.fails]
        if failing:
            first = failing[0]
            title = f"{len(failing)} of {played.compared} replies differ; first: line {first.line}, {first.sent}"
            failure = Xml.SubElement(case, "failure", message=_text(title), type="difference")
            failure.text = _text("\n\n".join(as_text(one) for one in failing[:MOST_SHOWN]))
            if len(failing) > MOST_SHOWN:
                failure.text += f"\n\n... and {len(failing) - MOST_SHOWN} more"
        elif differences:
            reasons = {f"known: {one.known}: {one.reason}" if one.known else "in the baseline" for one in differences}
            Xml.SubElement(case, "skipped", message=_text("; ".join(sorted(reasons))))
    _count(suite)


def as_text(one: Difference) -> str:
    """One difference in plain text: both answers, where they part, and how to see it again."""
    note = f" ({one.note})" if one.note else ""
    lines = [f"{one.id}  {one.file or one.stream}:{one.line} RESP{one.protocol}{note}", f"  sent:    {one.sent}"]
    lines += [f"  oracle:  {_inset(one.oracle.shown)}", f"  subject: {_inset(one.subject.shown)}"]
    lines += [f"  difference: {line}" for line in one.explained]
    if one.script:
        lines += ["  again:", *(f"    {line}" for line in one.script.splitlines())]
    return "\n".join(lines)


def _inset(text: str) -> str:
    return text[:1000].replace("\n", "\n           ")


def _count(node: Xml.Element) -> None:
    cases = list(node.iter("testcase"))
    node.set("tests", str(len(cases)))
    for word, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        node.set(word, str(sum(case.find(tag) is not None for case in cases)))
    node.set("time", f"{sum(float(case.get('time', 0)) for case in cases):.3f}")


def _text(text: str) -> str:
    return _FORBIDDEN.sub(lambda found: f"\\x{ord(found[0]):02x}", text)
