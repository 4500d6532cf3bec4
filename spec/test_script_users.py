"""Who uses scripts: redis-py (locks, registered scripts, pipelines that recover from NOSCRIPT) and redis-cli --eval."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from redis.exceptions import LockError, LockNotOwnedError, NoScriptError, ResponseError

import mini_redis.testing
from mini_redis.testing import RunningServer


@pytest.fixture
def server() -> Iterator[RunningServer]:
    with mini_redis.testing.run(clock="manual") as server:
        yield server


@pytest.fixture(params=[2, 3], ids=["RESP2", "RESP3"])
def client(server: RunningServer, request: pytest.FixtureRequest) -> Iterator[redis.Redis]:
    with redis.Redis(port=server.port, protocol=request.param, decode_responses=True) as client:
        yield client


def test_a_lock(server: RunningServer, client: redis.Redis) -> None:
    lock, other = client.lock("lock", timeout=10), client.lock("lock", timeout=10, blocking=False)
    assert lock.acquire()
    assert not other.acquire()
    assert lock.extend(5) and 14 <= client.ttl("lock") <= 15
    assert lock.reacquire() and 9 <= client.ttl("lock") <= 10
    lock.release()
    assert other.acquire()

    server.advance(seconds=11)
    with pytest.raises(LockNotOwnedError):
        other.extend(5)
    assert lock.acquire()
    with pytest.raises(LockError):
        other.release()
    assert client.exists("lock") == 1, "only who has it lets it go"


def test_a_registered_script_comes_back_after_a_flush(client: redis.Redis) -> None:
    multiply = client.register_script("return redis.call('GET', KEYS[1]) * ARGV[1]")
    client.set("n", 6)
    assert multiply(keys=["n"], args=[7]) == 42
    client.script_flush()
    assert multiply(keys=["n"], args=[2]) == 12
    assert client.script_exists(multiply.sha) == [True]


def test_a_pipeline_with_scripts_recovers_from_a_flush(client: redis.Redis) -> None:
    multiply = client.register_script("return redis.call('GET', KEYS[1]) * ARGV[1]")
    increment = client.register_script("return redis.call('INCRBY', KEYS[1], ARGV[1])")
    client.script_flush()
    with client.pipeline() as pipeline:
        pipeline.set("n", 3)
        multiply(keys=["n"], args=[5], client=pipeline)
        increment(keys=["n"], args=[4], client=pipeline)
        pipeline.get("n")
        assert pipeline.execute() == [True, 15, 7, "7"]


def test_a_pipeline_by_hash_alone_tells_which_call_failed(client: redis.Redis) -> None:
    sha = client.script_load("return ARGV[1]")
    with client.pipeline(transaction=False) as pipeline:
        pipeline.evalsha(sha, 0, "known")
        pipeline.evalsha("f" * 40, 0, "unknown")
        pipeline.evalsha(sha, 0, "known again")
        known, unknown, again = pipeline.execute(raise_on_error=False)
    assert (known, again) == ("known", "known again")
    assert isinstance(unknown, NoScriptError)


def test_functions(client: redis.Redis) -> None:
    code = """#!lua name=lib
        local function hash(keys, args)
            redis.setresp(3)
            redis.call('HSET', keys[1], unpack(args))
            return redis.call('HGETALL', keys[1])
        end
        redis.register_function('hash', hash)
    """
    assert client.function_load(code) == "lib"
    found = client.fcall("hash", 1, "h", "a", "1", "b", "2")
    assert found in ({"a": "1", "b": "2"}, ["a", "1", "b", "2"])
    with pytest.raises(ResponseError, match="already exists"):
        client.function_load(code)
    dump = client.function_dump()
    client.function_flush()
    client.function_restore(dump)
    assert client.fcall("hash", 1, "h", "a", "3") in ({"a": "3", "b": "2"}, ["a", "3", "b", "2"])
    assert client.function_delete("lib")


def test_a_rate_limiter_shared_by_many(server: RunningServer) -> None:
    """The window is one key, counted and dated in one step: however many ask at once, ten are let in."""
    let_in: list[int] = []

    def ask() -> None:
        with redis.Redis(port=server.port) as client:
            allowed = client.register_script("""
                local count = redis.call('INCR', KEYS[1])
                if count == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
                return count <= tonumber(ARGV[1]) and 1 or 0
            """)
            let_in.extend(allowed(keys=["window"], args=[10, 1000]) for _ in range(10))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (sum(let_in), len(let_in)) == (10, 40)


@pytest.mark.skipif(shutil.which("redis-cli") is None, reason="redis-cli is not installed")
def test_redis_cli_runs_a_file(server: RunningServer, tmp_path: Path) -> None:
    script = tmp_path / "script.lua"
    script.write_text("redis.call('SET', KEYS[1], ARGV[1])\nreturn {redis.call('GET', KEYS[1]), #KEYS, #ARGV}\n")

    def run(*words: str) -> str:
        return subprocess.run(
            ["redis-cli", "-p", str(server.port), *words], capture_output=True, text=True, check=True
        ).stdout

    assert run("--eval", str(script), "k", ",", "value", "more") == "value\n1\n2\n"
    script.write_text("\nreturn redis.call('nosuch')\n")
    assert "on @user_script:2." in run("--eval", str(script))
