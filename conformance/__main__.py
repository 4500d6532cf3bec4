"""The command line: `python -m conformance run | fuzz | matrix | report | show | list`.

Exit code: 0 the servers are the same, 1 they differ, 2 the comparison could not run.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from . import streams as stream_files
from . import trace
from .artefacts import write_artefacts
from .compare import Comparison, compare_streams
from .coverage import Coverage
from .endpoints import EndpointError, open_endpoint, open_wish
from .fuzz import FuzzRun, fuzz, fuzz_by_hypothesis, render_fuzz
from .generate import Generator
from .grammar import read_grammar
from .hints import choose_commands
from .matrix import compare_servers
from .redis_suite import add_redis_suite
from .report import Finding, Run, render
from .reports.options import add_reports, write_reports
from .reports.progress import open_progress
from .reports.result import from_json, from_runs, percent, summary
from .runner import Duel, play
from .servers import add_servers, epilog, guide, open_live, open_servers, wish
from .streams import Stream, StreamError

SAME, DIFFERENT, COULD_NOT_RUN = 0, 1, 2


def main(arguments: list[str] | None = None) -> int:
    parser = build_parser()
    options = parser.parse_args(arguments)
    given = vars(options)
    if "subject" in given and given["subject"] is None and given.get("record") is None:
        print(guide(parser.prog))
        return COULD_NOT_RUN
    try:
        return int(options.action(options))
    except (EndpointError, StreamError, OSError, ValueError) as error:
        print(f"could not run: {error}", file=sys.stderr)
        return COULD_NOT_RUN
    except KeyboardInterrupt:
        return COULD_NOT_RUN


def build_parser() -> argparse.ArgumentParser:
    program = Path(sys.argv[0]).name
    parser = argparse.ArgumentParser(
        prog=program if program == "redis-conformance" else "python -m conformance",
        description="Two servers, the same bytes, every difference.",
        epilog=epilog(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(required=True, title="what to do", metavar="ACTION")
    run = actions.add_parser("run", help="run curated streams against two servers")
    add_endpoints(run)
    run.add_argument("--streams", nargs="+", type=Path, metavar="PATH", help="files, folders or names (string/set)")
    run.add_argument("--protocol", choices=("2", "3", "both"), default="both")
    run.add_argument("--record", type=Path, metavar="FILE.trace", help="write the oracle's answers, to replay them")
    run.set_defaults(action=run_streams)
    fuzz_parser = actions.add_parser("fuzz", help="run generated streams against two servers")
    add_endpoints(fuzz_parser)
    fuzz_parser.add_argument("--commands", default="string,generic,bitmap,transactions", help="groups or names, or all")
    fuzz_parser.add_argument("--count", type=int, default=2000, metavar="N", help="commands to compare (default 2000)")
    fuzz_parser.add_argument("--seed", default="1", help="any word; the same seed gives the same streams")
    fuzz_parser.add_argument("--only", type=int, metavar="N", help="just the stream of this number")
    fuzz_parser.add_argument("--most", type=int, default=12, metavar="N", help="stop after so many kinds of difference")
    fuzz_parser.add_argument("--hypothesis", action="store_true", help="let Hypothesis draw and shrink the streams")
    fuzz_parser.add_argument("--print", action="store_true", help="print the stream of --only, run nothing")
    fuzz_parser.set_defaults(action=fuzz_streams)
    add_matrix(actions)
    add_redis_suite(actions)
    redraw = actions.add_parser("report", help="draw other reports from a JSON file that --json wrote")
    redraw.add_argument("result", type=Path, metavar="FILE")
    add_reports(redraw)
    redraw.set_defaults(action=lambda given: write_reports(from_json(given.result.read_text("utf-8")), given))
    show = actions.add_parser("show", help="play streams on one server and print them with its replies")
    show.add_argument("streams", nargs="+", type=Path, metavar="PATH", help="files, folders or names (string/set)")
    show.add_argument("--on", default="redis-8.2", metavar="SERVER", help="HOST:PORT or a name (default redis-8.2)")
    show.add_argument("--protocol", type=int, choices=(2, 3), default=2)
    show.add_argument("--flush", action="store_true", help="a server given by address may be emptied")
    show.add_argument("--raw", action="store_true", help="bytes instead of redis-cli's rendering")
    show.add_argument("--timeout", type=float, default=2.0, metavar="SECONDS")
    show.set_defaults(action=show_streams)
    listing = actions.add_parser("list", help="list streams and what they teach")
    listing.add_argument("--streams", nargs="+", type=Path, metavar="PATH")
    listing.set_defaults(action=list_streams)
    return parser


def add_endpoints(parser: argparse.ArgumentParser) -> None:
    add_servers(parser)
    parser.add_argument("--timeout", type=float, default=10.0, metavar="SECONDS", help="how long a reply is awaited")
    parser.add_argument("--artefacts", type=Path, metavar="DIR", help="differences as scripts, streams and byte diffs")
    parser.add_argument(
        "--coverage",
        type=Path,
        metavar="FILE",
        help="how much of the oracle's commands was exercised: a table, and JSON that several runs add to",
    )
    parser.add_argument("--chop", action="store_true", help="the subject gets its requests byte by byte")
    parser.add_argument("--no-shrink", action="store_true", help="do not look for shorter streams")
    parser.add_argument("--limit", type=int, default=40, metavar="N", help="differences to print in full (default 40)")
    parser.add_argument("--quiet", action="store_true", help="the table alone")
    add_reports(parser)


def add_matrix(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    matrix = actions.add_parser("matrix", help="compare every server at hand with the oracle")
    matrix.add_argument("--servers", nargs="+", default=(), metavar="SERVER", help="default: every one that is here")
    matrix.add_argument("--oracle", default="redis-8.2", metavar="SERVER")
    matrix.add_argument("--streams", nargs="+", type=Path, metavar="PATH", help="files, folders or names (string/set)")
    matrix.add_argument("--timeout", type=float, default=2.0, metavar="SECONDS")
    matrix.add_argument("--shrinks", type=int, default=25, metavar="N", help="differences to shrink for each server")
    matrix.add_argument("--flush", action="store_true", help="a server given by address may be emptied")
    add_reports(matrix, baseline=False)
    matrix.set_defaults(action=run_matrix)


def run_streams(options: argparse.Namespace) -> int:
    streams = [stream_files.load(path) for path in stream_files.find(options.streams)]
    protocols = (2, 3) if options.protocol == "both" else (int(options.protocol),)
    if options.record is not None:
        record(streams, protocols, options)
        if options.subject is None:
            return SAME
    oracle, subject = open_servers(options)
    try:
        duel = trace.duel(oracle, subject, options.timeout, options.chop)
        shrinks = 0 if options.no_shrink or trace.is_trace(options.oracle) else 12
        comparison = Comparison(duel, shrinks=shrinks)
        progress = open_progress(sum(protocol in one.protocols for one in streams for protocol in protocols))

        def told(stream: Stream, protocol: int, findings: list[Finding]) -> None:
            progress.step(f"{stream.name} RESP{protocol}", sum(one.known is None for one in findings))

        try:
            run = compare_streams(comparison, streams, protocols, told)
        finally:
            progress.close()
        run.whole = options.streams is None
        coverage = Coverage(read_grammar(oracle)) if options.coverage is not None else None
    finally:
        subject.stop()
        oracle.stop()
    if coverage is not None:
        for verdict in run.verdicts:
            coverage.add(verdict)
    code = conclude(run, options)
    keep(run, coverage, options)
    return code


def record(streams: list[Stream], protocols: tuple[int, ...], options: argparse.Namespace) -> None:
    """Write the golden trace of what the oracle answers."""
    if trace.is_trace(options.oracle):
        raise EndpointError("--record needs an oracle that answers, not another recording")
    if not trace.is_trace(options.record.name):
        raise EndpointError(f"--record {options.record}: call it FILE.trace or FILE.trace.gz")
    oracle = open_wish(wish(options, "oracle"))
    try:
        count = trace.save(options.record, trace.record(oracle, streams, protocols, options.timeout))
    finally:
        oracle.stop()
    print(f"wrote {options.record}: {count} streams as {oracle.title} answers them")


def fuzz_streams(options: argparse.Namespace) -> int:
    oracle, subject = open_live(options)
    try:
        comparison = Comparison(Duel(oracle, subject, options.timeout, options.chop))
        wanted = [word.strip().replace("|", " ") for word in options.commands.split(",") if word.strip()]
        known = comparison.run.subject_commands
        grammar = read_grammar(oracle)
        generator = Generator(choose_commands(grammar, wanted, known), options.seed, known)
        if options.print:
            print(generator.stream(options.only or 0)[0].to_text(), end="")
            return SAME
        replay = (
            f"python -m conformance fuzz --subject {subject.name} --oracle {oracle.name}"
            f" --commands {options.commands!r} --seed {options.seed}"
        )
        plan = comparison, generator, Coverage(grammar)
        if options.hypothesis:
            replay += " --hypothesis"
            result = fuzz_by_hypothesis(*plan, replay, options.count, options.most, show_fuzz_progress)
        else:
            result = fuzz(*plan, replay, options.count, options.only, options.most, show_fuzz_progress)
    finally:
        subject.stop()
        oracle.stop()
    print(render_fuzz(result))
    result.run.findings = result.findings
    keep(result.run, result.coverage, options)
    return write_reports(from_runs([result.run]), options)


def keep(run: Run, coverage: Coverage | None, options: argparse.Namespace) -> None:
    """Write what --artefacts and --coverage ask for."""
    if options.artefacts is not None:
        for path in write_artefacts(run.findings, options.artefacts, run.subject, run.oracle):
            print(f"wrote {path}")
    if options.coverage is not None and coverage is not None:
        coverage.save(options.coverage)
        print(f"coverage of the commands of {run.oracle}, with what {options.coverage} held before\n")
        print(coverage.render())


def show_fuzz_progress(result: FuzzRun) -> None:
    if sys.stderr.isatty():
        text = f"\r\x1b[K{result.commands} commands, {len(result.findings)} kinds of difference"
        print(text, end="", file=sys.stderr, flush=True)


def conclude(run: Run, options: argparse.Namespace) -> int:
    """Print the report, write the files that were asked for, turn the run into an exit code."""
    print(render(run, verbose=not options.quiet, limit=options.limit))
    return write_reports(from_runs([run]), options)


def run_matrix(options: argparse.Namespace) -> int:
    """Print a line for each server and write the files. 0 although servers differ: that is what it is asked."""
    streams = [stream_files.load(path) for path in stream_files.find(options.streams)]
    result = compare_servers(
        streams, options.servers, options.oracle, timeout=options.timeout, shrinks=options.shrinks, flush=options.flush
    )
    for subject in result.subjects:
        facts = summary(subject)
        print(
            f"{subject.server.title:<20} {percent(subject.score):>8} the same: {facts['failing']:,} of "
            f"{facts['compared']:,} replies differ, of {facts['kinds']} kinds" + (" (aborted)" * bool(subject.aborted))
        )
    for name, why in result.missing.items():
        print(f"{name:<20} left out: {why}")
    write_reports(result, options)
    return COULD_NOT_RUN if any(subject.aborted for subject in result.subjects) else SAME


def show_streams(options: argparse.Namespace) -> int:
    endpoint = open_endpoint(options.on, options.flush)
    try:
        for path in stream_files.find(options.streams):
            stream = stream_files.load(path)
            for step, outcome in play(endpoint, stream, options.protocol, options.timeout):
                shown = step.shown if len(step.shown) < 300 else step.shown[:240] + " ..."
                answer = repr(outcome.raw) + outcome.end if options.raw else outcome.shown()
                print(f"{step.line:>4}  {shown}\n" + "\n".join(f"          {line}" for line in answer.split("\n")))
    finally:
        endpoint.stop()
    return SAME


def list_streams(options: argparse.Namespace) -> int:
    for path in stream_files.find(options.streams):
        stream = stream_files.load(path)
        first_line = stream.teaches.partition("\n")[0]
        print(f"{stream.name:<32}{len(stream.steps):>5} steps  {first_line}")
    return SAME


if __name__ == "__main__":
    sys.exit(main())
