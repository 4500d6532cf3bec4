"""What the hot path costs, piece by piece. Nothing here judges a time: that would be another machine's time.

    pytest spec/test_benchmarks.py                        each body once: it still runs, and its answer is right
    pytest spec/test_benchmarks.py --benchmark-enable     the table of times (see `pytest --help` for comparing runs)

The pieces follow a request: parser, keyspace, encoder, then the whole turn of a node without sockets. What sockets add,
and real Redis beside it, is `make bench`.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from mini_redis.drivers.in_process import InProcess
from mini_redis.resp.encoder import encode
from mini_redis.resp.parser import RequestParser, encode_request
from mini_redis.resp.reply import OK
from mini_redis.structures.indexed_dict import IndexedDict

Benchmark = Callable[..., Any]  # pytest-benchmark's fixture: calls, measures, returns what the call returned

SET = [b"SET", b"key:000000000001", b"xxx"]
MSET = [b"MSET", *[b"key:000000000001", b"xxx"] * 10]
REQUESTS = {
    "GET": [b"GET", b"key:000000000001"],
    "SET": SET,
    "INCR": [b"INCR", b"counter:000000000001"],
    "MSET": MSET,
    "PING": [b"PING"],
}
FEW, MANY = 1_000, 50_000  # keys: one dict, and one that is split


# --- Parser ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pipeline", [1, 16])
@pytest.mark.parametrize("fast", [False, True], ids=["careful", "fast"])
@pytest.mark.parametrize("words", [SET, MSET], ids=["SET", "MSET"])
def test_parse(benchmark: Benchmark, words: list[bytes], fast: bool, pipeline: int) -> None:
    parser = RequestParser(fast=fast)
    chunk = encode_request(words) * pipeline

    def parse() -> list[list[bytes]]:
        parser.feed(chunk)
        requests = []
        while batch := parser.next_batch():
            requests += batch
        return requests

    assert benchmark(parse) == [words] * pipeline


# --- Encoder ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize(
    "reply", [OK, 12345, b"xxx", None, [b"xxx"] * 100], ids=["OK", "integer", "bulk", "null", "array of 100"]
)
def test_encode(benchmark: Benchmark, reply: object, protocol: int) -> None:
    assert benchmark(encode, reply, protocol).endswith(b"\r\n")


# --- IndexedDict -----------------------------------------------------------------------------------------------------


def filled(count: int) -> IndexedDict[bytes]:
    indexed: IndexedDict[bytes] = IndexedDict()
    for number in range(count):
        indexed[b"key:%012d" % number] = b"xxx"
    return indexed


both_sizes = pytest.mark.parametrize("count", [FEW, MANY])


@both_sizes
def test_dict_get(benchmark: Benchmark, count: int) -> None:
    assert benchmark(filled(count).get, b"key:%012d" % (count // 2)) == b"xxx"


@both_sizes
def test_dict_replace(benchmark: Benchmark, count: int) -> None:
    indexed = filled(count)
    benchmark(indexed.__setitem__, b"key:%012d" % (count // 2), b"yyy")
    assert len(indexed) == count


@both_sizes
def test_dict_insert_and_delete(benchmark: Benchmark, count: int) -> None:
    """A key in, another one out, so that the size stands: the sweeping hand's work is included."""
    indexed = filled(count)
    numbers = iter(range(1 << 60))

    def exchange() -> None:
        number = next(numbers)
        indexed[b"key:%012d" % (count + number)] = b"xxx"
        del indexed[b"key:%012d" % number]

    benchmark(exchange)
    assert len(indexed) == count


@both_sizes
def test_dict_random_key(benchmark: Benchmark, count: int) -> None:
    indexed = filled(count)
    assert benchmark(indexed.random_key, Random(1)) in indexed


@both_sizes
def test_dict_scan(benchmark: Benchmark, count: int) -> None:
    cursor, keys = benchmark(filled(count).scan, 0, 10)
    assert cursor and len(keys) == 10


# --- A whole turn ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pipeline", [1, 16])
@pytest.mark.parametrize("name", REQUESTS)
def test_turn(benchmark: Benchmark, name: str, pipeline: int) -> None:
    """Bytes in, command run, effects out: everything but the sockets."""
    client = InProcess().connect()
    client.talk(encode_request(SET))
    chunk = encode_request(REQUESTS[name]) * pipeline

    reply = benchmark(client.talk, chunk)

    lines = {"GET": b"$3\r\nxxx\r\n", "PING": b"+PONG\r\n"}
    if name == "INCR":
        assert reply.count(b":") == pipeline
    else:
        assert reply == lines.get(name, b"+OK\r\n") * pipeline


@pytest.mark.parametrize("clients", [1, 50])
def test_turn_of_clients(benchmark: Benchmark, clients: int) -> None:
    """Each of some clients sends a GET, and the node takes one turn for all of them."""
    driver = InProcess()
    connections = [driver.connect() for _ in range(clients)]
    chunk = encode_request(REQUESTS["GET"])

    def turn() -> list[bytes]:
        for connection in connections:
            driver.server.receive(connection.handle, chunk)
        driver.turn()
        return [connection.take() for connection in connections]

    assert benchmark(turn) == [b"$-1\r\n"] * clients
