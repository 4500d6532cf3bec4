"""LATENCY: what made the server stand still (server/latency.py), and how long each command takes (LATENCY HISTOGRAM).

Two different things under one name. The *monitor* keeps moments that were too long, of commands and of the server's own
doing; it is off until `latency-monitor-threshold` says what too long is. The *histogram* counts every call by its
duration, the same counts as INFO latencystats, and is on unless `latency-tracking no`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mini_redis.commands.docs import RepeatableName
from mini_redis.commands.registry import ADMIN, LOADING, NOSCRIPT, STALE, command, container, help_reply
from mini_redis.resp.reply import Reply, ReplyError, Verbatim
from mini_redis.structures.histogram import cumulated_by_doubling

if TYPE_CHECKING:
    from mini_redis.server.command_table import LiveCommand
    from mini_redis.server.context import Context

container("LATENCY", "Find out what makes the server slow.", since="2.8.13", group="server")


@command(
    "LATENCY LATEST",
    flags=ADMIN | NOSCRIPT | LOADING | STALE,
    since="2.8.13",
    complexity="O(1)",
    tips="nondeterministic_output request_policy:all_nodes response_policy:special",
)
def latency_latest(ctx: Context, argv: list[bytes]) -> Reply:
    """Show each event's latest sample: name, unix time, ms, and the most ms ever."""
    events = ctx.server.observation.latency.events
    return [[name, *series.samples[-1], series.worst_ms] for name, series in events.items()]


@command(
    "LATENCY HISTORY event",
    flags=ADMIN | NOSCRIPT | LOADING | STALE,
    since="2.8.13",
    complexity="O(1)",
    tips="nondeterministic_output request_policy:all_nodes response_policy:special",
)
def latency_history(ctx: Context, argv: list[bytes]) -> Reply:
    """Show an event's samples, the oldest first: unix time and ms."""
    series = ctx.server.observation.latency.events.get(argv[2])
    return [] if series is None else [list(sample) for sample in series.samples]


@command(
    "LATENCY RESET [event ...]",
    flags=ADMIN | NOSCRIPT | LOADING | STALE,
    since="2.8.13",
    complexity="O(1)",
    tips="request_policy:all_nodes response_policy:agg_sum",
)
def latency_reset(ctx: Context, argv: list[bytes]) -> Reply:
    """Forget these events' samples, or all; answers how many events that were."""
    return ctx.server.observation.latency.reset(argv[2:])


@command(
    "LATENCY GRAPH event",
    flags=ADMIN | NOSCRIPT | LOADING | STALE,
    since="2.8.13",
    complexity="O(1)",
    tips="nondeterministic_output request_policy:all_nodes response_policy:special",
)
def latency_graph(ctx: Context, argv: list[bytes]) -> Reply:
    """Draw an event's samples. Errors: no samples of that event."""
    observation = ctx.server.observation
    series = observation.latency.events.get(argv[2])
    if series is None:
        raise ReplyError(b"ERR No samples available for event '%b'" % argv[2].partition(b"\0")[0])
    return Verbatim(series.graph(argv[2].decode("latin-1"), observation.now_s).encode("latin-1"))


@command(
    "LATENCY DOCTOR",
    flags=ADMIN | NOSCRIPT | LOADING | STALE,
    since="2.8.13",
    complexity="O(1)",
    tips="nondeterministic_output request_policy:all_nodes response_policy:special",
)
def latency_doctor(ctx: Context, argv: list[bytes]) -> Reply:
    """Say in sentences what was observed, and give advice."""
    return Verbatim(ctx.server.observation.report())


@command(
    "LATENCY HISTOGRAM [command ...]",
    flags=ADMIN | NOSCRIPT | LOADING | STALE,
    since="7.0.0",
    complexity="O(N) where N is the number of commands with latency information being retrieved.",
    tips="nondeterministic_output request_policy:all_nodes response_policy:special",
)
def latency_histogram(ctx: Context, argv: list[bytes]) -> Reply:
    """Show how many calls of each command took at most 1, 2, 4... microseconds.

    A map from name to calls and histogram; of a container named, all its subcommands. What has not been called, and
    what is no command, is left out.
    """
    table = ctx.server.command_table
    wanted = [live for name in argv[2:] for live in table.named(name)] if len(argv) > 2 else list(table)
    return {RepeatableName(live.name): _distribution(live) for live in wanted if live.latencies}


def _distribution(live: LiveCommand) -> dict[bytes, Reply]:
    return {
        b"calls": sum(live.latencies.values()),
        b"histogram_usec": dict(cumulated_by_doubling(live.latencies)),
    }


@command("LATENCY HELP", flags=LOADING | STALE, since="2.8.13", complexity="O(1)")
def latency_help(ctx: Context, argv: list[bytes]) -> Reply:
    """List the subcommands."""
    return help_reply(
        "LATENCY",
        "DOCTOR",
        "    Return a human readable latency analysis report.",
        "GRAPH <event>",
        "    Return an ASCII latency graph for the <event> class.",
        "HISTORY <event>",
        "    Return time-latency samples for the <event> class.",
        "LATEST",
        "    Return the latest latency samples for all events.",
        "RESET [<event> ...]",
        "    Reset latency data of one or more <event> classes.",
        "    (default: reset all data for all event classes)",
        "HISTOGRAM [COMMAND ...]",
        "    Return a cumulative distribution of latencies in the format of a histogram for the specified command"
        " names.",
        "    If no commands are specified then all histograms are replied.",
    )
