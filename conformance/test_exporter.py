"""The Prometheus exporter, as Debian packages it, beside both servers: what it can say of the oracle it says of ours.

It reads INFO, CONFIG GET, SLOWLOG, LATENCY, CLIENT LIST and single keys, and turns each field into a metric: a field
that is missing here, or called otherwise, is a hole in somebody's dashboard.
"""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from .endpoints import Endpoint

PROGRAM = "prometheus-redis-exporter"
OPTIONS = (
    ("-include-system-metrics", "-include-config-metrics", "-export-client-list", "-ping-on-connect")
    + ("-check-single-keys", "db0=text,db0=list,db0=hash,db0=set,db0=zset,db0=nosuch")
    + ("-check-keys", "db0=*s*", "-count-keys", "db0=*t*")
)
FIXTURES = (
    b"CONFIG SET slowlog-log-slower-than 0 latency-monitor-threshold 1",
    b"SET text hello EX 10000",
    b"RPUSH list a b c",
    b"HSET hash a 1 b 2",
    b"SADD set a b",
    b"ZADD zset 1 a",
    b"GET nosuch",
    b"LLEN text",
    b"DEBUG SLEEP 0.003",
)
OWN_VALUES = ("client", "instance_info", "connected_client", "config_key_value")
"""Metrics whose labels are each server's own: addresses, versions, paths."""

pytestmark = pytest.mark.skipif(
    not shutil.which(PROGRAM), reason=f"{PROGRAM} is not installed: apt-get install {PROGRAM} (make real-redis does it)"
)


@pytest.fixture
def filled(oracle: Endpoint, subject: Endpoint) -> Iterator[tuple[Endpoint, Endpoint]]:
    """Both servers with the same data and the same past."""
    for endpoint in (oracle, subject):
        connection = endpoint.connect()
        connection.call(b"FLUSHALL")
        connection.call(b"CONFIG", b"RESETSTAT")
        for line in FIXTURES:
            connection.call(*line.split())
        connection.close()
    yield oracle, subject
    for endpoint in (oracle, subject):
        connection = endpoint.connect()
        connection.call(b"CONFIG", b"SET", b"slowlog-log-slower-than", b"10000", b"latency-monitor-threshold", b"0")
        connection.call(b"FLUSHALL")
        connection.call(b"LATENCY", b"RESET")
        connection.call(b"SLOWLOG", b"RESET")
        connection.close()


def scrape(endpoint: Endpoint) -> tuple[str, str]:
    """What the exporter serves about a server, and what it logged."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        listen = f"127.0.0.1:{free.getsockname()[1]}"
    host, port = endpoint.address
    command = [PROGRAM, "-redis.addr", f"redis://{host}:{port}", "-web.listen-address", listen, *OPTIONS]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as exporter:
        try:
            assert exporter.stderr is not None
            said = ""
            while "Providing metrics" not in said:
                line = exporter.stderr.readline()
                assert line, f"the exporter ended: {said}"
                said += line
            text = ""
            while not text:
                try:
                    text = urllib.request.urlopen(f"http://{listen}/metrics", timeout=20).read().decode()
                except urllib.error.URLError:  # it says so just before it listens
                    assert exporter.poll() is None
        finally:
            exporter.terminate()
        return text, said + exporter.stderr.read()


def metrics(text: str) -> set[str]:
    """Names of the server's metrics, with their labels as far as these are not each server's own."""
    found = set()
    for line in text.splitlines():
        name = re.match(r"redis_(\w+)", line)
        if name:
            own = name[1].startswith(OWN_VALUES) or "exporter" in name[1]
            found.add(name[1] if own else line.rpartition(" ")[0])
    return found


def test_metrics_are_the_same(filled: tuple[Endpoint, Endpoint]) -> None:
    (theirs, _), (ours, said) = (scrape(endpoint) for endpoint in filled)
    assert "redis_up 1" in ours and "level=error" not in said, said
    assert len(metrics(theirs)) > 150
    assert metrics(ours) == metrics(theirs)


def test_values_that_must_be_equal_are(filled: tuple[Endpoint, Endpoint]) -> None:
    """Of what was done to both."""
    wanted = re.compile(
        r"redis_(db_keys|db_keys_expiring|key_size|key_value|keys_count|keyspace_(hits|misses)_total|evicted_keys_total"
        r"|commands_total\{cmd=\"(set|rpush|hset|sadd|zadd|llen)\"\}|commands_failed_calls_total\{cmd=\"llen\"\}"
        r"|errors_total|connected_slaves|config_max\w+|blocked_clients)\b.*"
    )
    theirs, ours = ([found[0] for found in wanted.finditer(scrape(endpoint)[0])] for endpoint in filled)
    assert len(theirs) > 20
    assert ours == theirs
