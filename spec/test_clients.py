"""Real clients against a real port: redis-py in all its ways, redis-cli, redis-benchmark."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Iterator

import pytest
import redis
import redis.asyncio

import mini_redis.testing
from mini_redis.testing import RunningServer

needs_redis_cli = pytest.mark.skipif(not shutil.which("redis-cli"), reason="redis-cli is not installed")
needs_redis_benchmark = pytest.mark.skipif(
    not shutil.which("redis-benchmark"), reason="redis-benchmark is not installed"
)


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


def test_pipelines_and_transactions(client: redis.Redis) -> None:
    pipe = client.pipeline()
    assert pipe.set("a", 1).incr("a").get("a").execute() == [True, 2, "2"]

    def double(pipe: redis.client.Pipeline) -> None:
        value = int(pipe.get("a"))
        pipe.multi()
        pipe.set("a", value * 2)

    assert client.transaction(double, "a") == [True]
    with client.pipeline() as watching:
        watching.watch("a")
        client.set("a", "changed")
        watching.multi()
        watching.get("a")
        with pytest.raises(redis.WatchError):
            watching.execute()


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


def test_asyncio(server: RunningServer) -> None:
    async def many() -> list[bytes | None]:
        async with redis.asyncio.Redis(port=server.port, protocol=3) as one:
            await one.flushall()
            await asyncio.gather(*(one.set(f"k{number}", number) for number in range(50)))
            return await asyncio.gather(*(one.get(f"k{number}") for number in range(51)))

    assert asyncio.run(many()) == [b"%d" % number for number in range(50)] + [None]


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


def cli(server: RunningServer, *words: str, stdin: str | None = None) -> str:
    result = subprocess.run(
        ["redis-cli", "-p", str(server.port), *words],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@needs_redis_cli
def test_redis_cli(server: RunningServer) -> None:
    cli(server, "FLUSHALL")
    assert cli(server, "SET", "k", "a b") == "OK\n"
    assert cli(server, "GET", "k") == "a b\n"
    assert cli(server, "-3", "GET", "absent") == "\n"
    assert cli(server, "--scan") == "k\n"
    assert cli(server, "-x", "SET", "fromstdin", stdin="body") == "OK\n"
    assert "# Server" in cli(server, "INFO")
    assert "Sampled 2 keys" in cli(server, "--bigkeys")


@needs_redis_cli
def test_redis_cli_pipe(server: RunningServer) -> None:
    stream = "".join(f"SET mass:{number} {number}\r\n" for number in range(5000))
    assert "errors: 0, replies: 5000" in cli(server, "--pipe", stdin=stream)


@needs_redis_benchmark
def test_redis_benchmark(server: RunningServer) -> None:
    command = [
        "redis-benchmark",
        "-p",
        str(server.port),
        "-n",
        "2000",
        "-c",
        "20",
        "-P",
        "4",
        "-q",
        "-t",
        "ping,set,get,incr,mset",
    ]
    output = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    assert output.count("requests per second") == 6
    assert "WARNING" not in output
