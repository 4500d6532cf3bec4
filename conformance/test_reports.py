"""The faces of a run: each says all of what the result holds, in a form that its reader can take."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest

from .__main__ import main
from .compare import Comparison, compare_streams
from .divergences import Divergence
from .endpoints import Endpoint
from .report import Run
from .reports import baseline as ratchets
from .reports.badge import to_badge
from .reports.bytediff import diff, first_difference
from .reports.junit import to_junit
from .reports.markdown import to_markdown
from .reports.page import BRIEF, CLASSES, FULL, Detail, anchor, to_html
from .reports.progress import Lines, OneLine, Rich, open_progress
from .reports.result import Result, from_json, from_runs, percent, to_json
from .runner import Duel
from .streams import parse

# CLIENT ID and the port differ between two servers that are otherwise the same. The markup tries to escape.
STREAM = b"""# Teaches <b>nothing</b> & differs.

a> SET k v
a> CLIENT ID #= exact
a> GET k
a> CONFIG GET port #= exact
a> CONFIG GET port #= exact
a> ECHO "</script><script>alert(1)</script>\\x00"
a> TIME #= exact
"""
KNOWN = Divergence("time flies", "two clocks are two clocks", "TIME")


@pytest.fixture(scope="module")
def run(oracle: Endpoint, second_oracle: Endpoint) -> Run:
    """One stream, several differences, one of them known."""
    for endpoint, times in ((oracle, 1), (second_oracle, 3)):
        for _ in range(times):  # client ids must not happen to be the same
            endpoint.connect().close()
    comparison = Comparison(Duel(oracle, second_oracle), divergences=[KNOWN], shrinks=5)
    return compare_streams(comparison, [parse(STREAM, "group/some", "group/some.stream")])


@pytest.fixture
def result(run: Run) -> Result:
    return from_runs([run])


class Page(HTMLParser):
    """What a browser would see of a page: ids, links, cells, and whether every tag is closed."""

    VOID = frozenset(("meta", "input", "link", "br", "img"))

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append((tag, given))
        self.ids += [given["id"] or ""] if "id" in given else []
        self.links += [given["href"] or ""] if "href" in given else []
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, (tag, self.getpos())


# ---- the model ---------------------------------------------------------------------------------------------------


def test_the_model_holds_the_run(result: Result) -> None:
    subject = result.subjects[0]
    commands = {one.command for one in subject.differences}
    assert {"CONFIG GET", "TIME"} <= commands <= {"CONFIG GET", "TIME", "CLIENT ID"}
    cells = subject.cells
    assert [cells[name]["2"].state for name in ("SET", "CONFIG GET", "TIME", "ZADD")] == [
        "same",
        "differs",
        "known",
        "not exercised",
    ]
    assert cells["CONFIG GET"]["3"].compared == cells["CONFIG GET"]["3"].differing == 2
    assert result.groups["ZADD"] == "sorted-set"
    assert 0 < subject.score < 100 and result.exit_code == 1
    assert sum(subject.commands.values()) == len([name for name in cells if not name.startswith("(")])


def test_json_is_read_back_whole(result: Result) -> None:
    text = to_json(result)
    again = from_json(text)
    assert again == result
    document = json.loads(text)
    assert document["schema"] == "conformance-result/1"
    assert document["subjects"][0]["summary"]["failing"] == len(result.subjects[0].failing)
    with pytest.raises(ValueError, match="not a conformance-result/1 file"):
        from_json('{"schema": "conformance-result/0"}')


def test_identifiers_are_distinct_and_survive_another_run(
    run: Run, result: Result, oracle: Endpoint, second_oracle: Endpoint
) -> None:
    ids = [one.id for one in result.subjects[0].differences]
    assert len(set(ids)) == len(ids)
    moved = parse(b"# Another line.\n\n\n" + STREAM, "group/some", "elsewhere/some.stream")
    comparison = Comparison(Duel(oracle, second_oracle), divergences=[KNOWN], shrinks=0)
    again = from_runs([compare_streams(comparison, [moved])]).subjects[0].differences
    assert {one.id for one in again if one.command != "CLIENT ID"} == {
        one.id for one in result.subjects[0].differences if one.command != "CLIENT ID"
    }


def test_a_server_without_a_command_is_unsupported_not_different(run: Run) -> None:
    everything = run.subject_commands
    run.subject_commands = everything - {"GET", "ZADD"}
    try:
        cells = from_runs([run]).subjects[0].cells
        assert {cells[name][protocol].state for name in ("GET", "ZADD") for protocol in "23"} == {"unsupported"}
    finally:
        run.subject_commands = everything


def test_a_percentage_is_never_rounded_up() -> None:
    assert [percent(score) for score in (100.0, 99.99, 98.76, 0.0)] == ["100.0 %", "99.9 %", "98.7 %", "0.0 %"]


# ---- the page ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("detail", (FULL, Detail(kinds=1), BRIEF))
def test_every_difference_is_on_the_page_and_linked(result: Result, detail: Detail) -> None:
    page = Page(to_html(result, detail))
    assert page.open == []
    assert len(set(page.ids)) == len(page.ids)
    name = anchor(result.subjects[0].server.name)
    for one in result.subjects[0].differences:
        assert f"{name}-{one.id}" in page.ids or detail != FULL
        assert "#" + anchor(one.command, result.subjects[0].server.name) in page.links
    for link in page.links:
        assert link.startswith("#") and link[1:] in page.ids, link


def test_the_page_asks_nobody_for_anything(result: Result) -> None:
    text = to_html(result)
    assert not re.search(r"https?:|//[a-z]|@import|url\(", text)
    loading = [tag for tag, given in Page(text).tags if "src" in given or tag in ("link", "img", "iframe")]
    assert loading == []
    assert "<script>alert" not in text and "<b>nothing" not in text


def test_the_matrix_says_the_states_in_words(result: Result) -> None:
    text = to_html(result)
    rows = dict(re.findall(r'<tr data-g="[^"]*"><th scope="row"[^>]*>([^<]*)</th>(.*?)</tr>', text))
    for name, cells in result.subjects[0].cells.items():
        for state in {cell.state for cell in cells.values()}:
            assert f"<b>{state}</b>" in rows[name] and f'class="{CLASSES[state]}' in rows[name], name
    assert "<a href" in rows["CONFIG GET"] and "<a href" not in rows["GET"]


def test_the_page_shows_how_to_see_it_again(result: Result) -> None:
    text = to_html(result)
    assert "redis-cli -p PORT &lt;&lt;&#x27;EOF&#x27;\nCONFIG GET port\nEOF" in text
    assert "two clocks are two clocks" in text


def test_bytes_are_set_against_each_other() -> None:
    lines = diff("*3\r\n:1\r\n$5\r\nhello\r\n+x\r\n", "*3\r\n:1\r\n$5\r\nhullo\r\n+x\r\n")
    assert [(line.sign, line.before, line.differs, line.after) for line in lines] == [
        (" ", "*3\\r\\n", "", ""),
        (" ", ":1\\r\\n", "", ""),
        (" ", "$5\\r\\n", "", ""),
        ("-", "h", "e", "llo\\r\\n"),
        ("+", "h", "u", "llo\\r\\n"),
        (" ", "+x\\r\\n", "", ""),
    ]
    long = ":1\r\n" * 9
    assert [line.sign for line in diff(long + ":2\r\n", long + ":3\r\n")] == ["~", " ", " ", "-", "+"]
    assert [(line.sign, line.differs) for line in diff(":1\r\n", ":1\r\n:2\r\n")] == [(" ", ""), ("+", ":2\\r\\n")]
    assert first_difference("abc", "abd") == 2
    assert first_difference("ab", "abc") == 2


# ---- for CI ------------------------------------------------------------------------------------------------------


def test_junit_has_a_case_for_each_stream_and_protocol(result: Result) -> None:
    root = Xml.fromstring(to_junit(result))
    cases = list(root.iter("testcase"))
    assert [case.get("name") for case in cases] == ["group/some RESP2", "group/some RESP3"]
    assert root.get("failures") == "2" and root.get("tests") == "2"
    failure = cases[0].find("failure")
    assert failure is not None and "CONFIG GET port" in (failure.text or "")


def test_junit_skips_what_is_known_with_its_reason(result: Result) -> None:
    subject = result.subjects[0]
    subject.differences = [one for one in subject.differences if one.known]
    cases = list(Xml.fromstring(to_junit(result)).iter("testcase"))
    messages = [found.get("message") for case in cases for found in case.findall("skipped")]
    assert messages == ["known: time flies: two clocks are two clocks"] * 2


def test_markdown_folds_each_kind_and_fits_into_a_comment(result: Result) -> None:
    text = to_markdown(result)
    assert text.startswith(f"## Conformance with {result.oracle.title}")
    kinds = {one.kind for one in result.subjects[0].failing}
    assert text.count("<details>") == text.count("</details>") == len(kinds)
    subject = result.subjects[0]
    for number in range(3000):
        subject.gone.append(f"gone-{number}" * 3)
    subject.obsolete = ["x" * 70_000]
    assert len(to_markdown(result)) < 65_536


def test_the_badge_is_a_picture_that_says_what_it_shows(result: Result) -> None:
    root = Xml.fromstring(to_badge(result))
    said = root.get("aria-label") or ""
    assert said.startswith(f"conformance {percent(result.subjects[0].score)} compared with ")
    result.subjects[0].cells["ZADD"]["2"].state = "unsupported"
    assert re.search(r", \d+ of \d+ commands", to_badge(result))


# ---- the ratchet -------------------------------------------------------------------------------------------------


def test_a_baseline_tolerates_what_it_holds_and_nothing_else(result: Result, tmp_path: Path) -> None:
    path = tmp_path / "known.json"
    with pytest.raises(ValueError, match="--update-baseline writes one"):
        ratchets.ratchet(result, path, rewrite=False)
    ratchets.ratchet(result, path, rewrite=True)
    assert result.exit_code == 0
    held = ratchets.load(path)
    assert len(held.tolerated) == sum(not one.known for one in result.subjects[0].differences)
    fixed, *_ = result.subjects[0].differences
    result.subjects[0].differences.remove(fixed)
    said = ratchets.ratchet(result, path, rewrite=False)
    assert result.subjects[0].gone == [fixed.id] and fixed.id in said and result.exit_code == 0
    result.subjects[0].differences.append(fixed)
    path.write_text(ratchets.to_text(ratchets.Baseline({k: v for k, v in held.tolerated.items() if k != fixed.id})))
    said = ratchets.ratchet(result, path, rewrite=False)
    assert "1 new" in said and result.exit_code == 1
    assert [one.id for one in result.subjects[0].failing] == [fixed.id]


def test_what_was_not_run_is_not_gone(result: Result, tmp_path: Path) -> None:
    path = tmp_path / "known.json"
    other = ratchets.Tolerated("get-0123456789", "string/other", 2, "a> GET k")
    path.write_text(ratchets.to_text(ratchets.Baseline({other.id: other})))
    ratchets.ratchet(result, path, rewrite=True)
    assert result.subjects[0].gone == []
    assert other.id in ratchets.load(path).tolerated
    path.write_text("[]")
    with pytest.raises(ValueError, match="not a conformance-baseline/1 file"):
        ratchets.load(path)


# ---- the command line --------------------------------------------------------------------------------------------


@pytest.fixture
def stream(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "some.stream"
    path.write_bytes(STREAM)
    yield path


def test_every_face_by_the_command_line(
    oracle: Endpoint, second_oracle: Endpoint, stream: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ("json", "junit", "html", "markdown", "badge")
    faces = [word for name in names for word in (f"--{name}", f"{tmp_path}/{name}")]
    servers = ["--oracle", oracle.where, "--subject", second_oracle.where, "--flush"]
    arguments = ["run", *servers, "--streams", str(stream), "--no-shrink", "--quiet"]
    held = ["--baseline", str(tmp_path / "known.json")]
    assert main([*arguments, *faces]) == 1
    assert main([*arguments, *held]) == 2
    assert main([*arguments, "--update-baseline"]) == 2
    assert main([*arguments, *held, "--update-baseline"]) == 0
    assert main([*arguments, *held]) in (0, 1)  # client ids move on, and may by chance be the same
    assert "as before" in capsys.readouterr().out
    before = (tmp_path / "html").read_text()
    assert main(["report", str(tmp_path / "json"), "--html", str(tmp_path / "again.html")]) == 1
    assert (tmp_path / "again.html").read_text() == before


def test_a_matrix_of_all_the_servers_that_are_here(
    second_oracle: Endpoint, stream: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "deep" / "matrix.html"
    servers = ["--servers", second_oracle.where, "nosuch:x", "--oracle", second_oracle.name, "--flush"]
    assert main(["matrix", *servers, "--streams", str(stream), "--html", str(page), "--brief"]) == 0
    assert "nosuch:x" in capsys.readouterr().out
    assert Page(page.read_text()).open == []


# ---- progress ----------------------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_log_gets_lines_and_a_terminal_a_bar() -> None:
    log = io.StringIO()
    progress = open_progress(20, out=log)
    assert isinstance(progress, Lines)
    for number in range(20):
        progress.step(f"s{number}", 3 if number == 4 else 0)
    progress.close()
    assert log.getvalue().splitlines()[:3] == ["2 of 20 (10 %)", "4 of 20 (20 %)", "s4: 3 differ"]
    assert len(log.getvalue().splitlines()) == 11
    plain = open_progress(2, out=Terminal(), fancy=False)
    assert isinstance(plain, OneLine)
    plain.step("s", 1)
    assert "1/2  1 differ  s" in plain.out.getvalue()  # type: ignore[attr-defined]


def test_the_bar_of_rich() -> None:
    pytest.importorskip("rich", reason="the extra `conformance` is not installed")
    out = Terminal()
    progress = open_progress(2, out=out, fancy=True)
    assert isinstance(progress, Rich)
    progress.step("some/stream", 2)
    progress.close()
    assert "some/stream: 2 differ" in out.getvalue()
