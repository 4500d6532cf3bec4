"""redis-py against `mini_redis.testing`: a real port, and a clock that is turned. More of redis-py is in clients/."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

import mini_redis.testing
from mini_redis.testing import RunningServer


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with mini_redis.testing.run(clock="manual") as running:
        yield running


@pytest.fixture(params=[2, 3], ids=["RESP2", "RESP3"])
def client(server: RunningServer, request: pytest.FixtureRequest) -> Iterator[redis.Redis]:
    with redis.Redis(port=server.port, protocol=request.param, decode_responses=True) as one:
        one.flushall()
        yield one


def test_strings_and_expiry(client: redis.Redis, server: RunningServer) -> None:
    assert client.set("k", "v", ex=60, nx=True)
    assert client.ttl("k") == 60
    assert client.incr("n", 5) == 5 and client.incrbyfloat("n", 0.5) == 5.5
    assert client.mget("k", "n", "absent") == ["v", "5.5", None]
    server.advance(seconds=61)
    assert client.get("k") is None
    assert client.lcs("k", "n") == ""


def test_what_a_client_looks_at(client: redis.Redis) -> None:
    assert client.ping()
    assert client.info("server")["redis_version"] == "8.2.3"
    client.mset({f"key:{number}": number for number in range(250)})
    assert len(set(client.scan_iter(match="key:*", count=20))) == 250
    assert client.config_get("maxclients") == {"maxclients": "10000"}
    assert client.client_list()[0]["lib-name"] == "redis-py" or client.client_list()
    assert "set" in client.command()
    assert client.dbsize() == 250


def test_errors_have_redis_py_s_types(client: redis.Redis) -> None:
    client.set("text", "x")
    with pytest.raises(redis.ResponseError, match="value is not an integer or out of range"):
        client.incr("text")
    with pytest.raises(redis.ResponseError, match="unknown command"):
        client.execute_command("NOSUCH")


def test_passwords() -> None:
    with mini_redis.testing.run(requirepass="s3cret") as locked:
        with pytest.raises(redis.AuthenticationError):
            redis.Redis(port=locked.port, retry=None).ping()
        with pytest.raises(redis.AuthenticationError):
            redis.Redis(port=locked.port, password="wrong", retry=None).ping()
        assert redis.Redis(port=locked.port, password="s3cret").ping()
        assert redis.Redis(port=locked.port, username="default", password="s3cret", protocol=3).ping()


def test_fixture(mini_redis_server: RunningServer) -> None:
    client = redis.Redis(port=mini_redis_server.port)
    client.set("session", "x", ex=60)
    mini_redis_server.advance(seconds=61)
    assert client.get("session") is None
