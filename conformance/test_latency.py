"""LATENCY GRAPH and LATENCY DOCTOR of the real server, recomputed from its own LATENCY HISTORY.

Durations are each server's own, so the two servers' pictures can never be equal. But our picture of the oracle's
samples has to be the oracle's picture.
"""

from __future__ import annotations

from mini_redis.server.latency import LatencyMonitor, Series, diagnosis

from .endpoints import Endpoint
from .wire import Connection


def monitor_of(connection: Connection) -> LatencyMonitor:
    """The oracle's samples in a monitor of ours."""
    ours = LatencyMonitor()
    ours.threshold_ms = int(connection.call(b"CONFIG", b"GET", b"latency-monitor-threshold").children[1].text)
    for event in connection.call(b"LATENCY", b"LATEST").children:
        name, _, _, worst_ms = (child.text for child in event.children)
        series = ours.events[name] = Series()
        for sample in connection.call(b"LATENCY", b"HISTORY", name).children:
            series.add(*(int(part.text) for part in sample.children))
        series.worst_ms = int(worst_ms)
    return ours


def seconds(connection: Connection) -> int:
    return int(connection.call(b"TIME").children[0].text)


def compare(connection: Connection, slower_than_us: int) -> None:
    """At one moment. Asked again if it was none: the oracle looks at coarser clocks here than in TIME, which may have
    just ticked, and on a busy machine any command can become a sample."""
    for _ in range(10):
        ours = monitor_of(connection)
        now_s = seconds(connection)
        theirs = {name: connection.call(b"LATENCY", b"GRAPH", name).text.decode() for name in ours.events}
        report = connection.call(b"LATENCY", b"DOCTOR").text.decode()
        drawn = {name: series.graph(name.decode(), now_s) for name, series in ours.events.items()}
        pages = "anonymous huge pages" in report
        if (theirs, report) == (drawn, diagnosis(ours, now_s, slower_than_us=slower_than_us, hz=10, huge_pages=pages)):
            return
    raise AssertionError(f"{theirs}\n{report}\nbut we draw\n{drawn}")


def test_our_picture_of_the_oracles_samples_is_the_oracles(second_oracle: Endpoint) -> None:
    connection = second_oracle.connect(timeout=20.0)
    compare(connection, 10_000)
    connection.call(b"CONFIG", b"SET", b"latency-monitor-threshold", b"1")
    compare(connection, 10_000)
    for milliseconds in (40, 3, 9, 90):
        connection.call(b"DEBUG", b"SLEEP", b"%f" % (milliseconds / 1000))
        compare(connection, 10_000)
        tick = seconds(connection)
        while seconds(connection) == tick:
            connection.call(b"DEBUG", b"SLEEP", b"0.0005")  # below the threshold
    connection.call(b"CONFIG", b"SET", b"slowlog-log-slower-than", b"-1")
    compare(connection, -1)
    connection.call(b"CONFIG", b"SET", b"slowlog-log-slower-than", b"1000000")
    compare(connection, 1_000_000)
    connection.close()
