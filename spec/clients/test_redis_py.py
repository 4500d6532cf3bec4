"""redis-py in all its ways: both protocols, locks, WATCH, channels, caching on the client's side, streams, asyncio."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator

import pytest
import redis
import redis.asyncio
from redis.cache import CacheConfig
from redis.exceptions import LockError, LockNotOwnedError, NoScriptError, WatchError
from server import Server

pytestmark = pytest.mark.program("redis-py")


@pytest.fixture(params=[2, 3], ids=["RESP2", "RESP3"])
def client(server: Server, request: pytest.FixtureRequest) -> Iterator[redis.Redis]:
    with redis.Redis(port=server.port, protocol=request.param, decode_responses=True) as one:
        yield one


def test_replies_are_the_same_in_both_protocols(client: redis.Redis) -> None:
    client.zadd("z", {"a": 1, "b": 2.5})
    assert client.zrange("z", 0, -1, withscores=True) in ([("a", 1.0), ("b", 2.5)], [["a", 1.0], ["b", 2.5]])
    assert client.zscore("z", "b") == 2.5 and client.zrank("z", "b") == 1
    client.hset("h", mapping={"name": "Ana", "age": 30})
    assert client.hgetall("h") == {"name": "Ana", "age": "30"} and client.hmget("h", "age", "no") == ["30", None]
    assert client.hexpire("h", 60, "age") == [1] and client.httl("h", "age") == [60]
    client.sadd("s", "x", "y")
    assert client.smembers("s") == {"x", "y"} and client.sismember("s", "x")
    client.rpush("l", 1, 2, 3)
    assert client.lrange("l", 0, -1) == ["1", "2", "3"] and client.blmpop(0, 1, "l", direction="RIGHT") == ["l", ["3"]]
    assert client.geoadd("g", (13.36, 38.11, "Palermo")) == 1 and client.geopos("g", "Palermo")[0] is not None
    assert client.pfadd("p", 1, 2, 3) == 1 and client.pfcount("p") == 3
    assert client.setbit("b", 7, 1) == 0 and client.bitcount("b") == 1
    assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    assert client.memory_usage("h") > 0 and client.object("encoding", "h").startswith("listpack")


def test_slowlog_and_latency(client: redis.Redis) -> None:
    before = client.config_get("slowlog-log-slower-than")
    client.config_set("slowlog-log-slower-than", 0)
    try:
        client.slowlog_reset()
        client.set("k", "v")
        (entry,) = [one for one in client.slowlog_get(10) if "SET k v" in str(one["command"])]
        assert entry["duration"] >= 0 and client.slowlog_len() >= 1
    finally:
        client.config_set("slowlog-log-slower-than", before["slowlog-log-slower-than"])
    assert client.latency_latest() == [] and client.latency_history("command") == []


def test_transactions(client: redis.Redis) -> None:
    def double(pipe: redis.client.Pipeline) -> None:
        value = int(pipe.get("n"))
        pipe.multi()
        pipe.set("n", value * 2)

    client.set("n", 21)
    assert client.transaction(double, "n") == [True] and client.get("n") == "42"
    with client.pipeline() as pipe:
        pipe.watch("n")
        client.incr("n")
        with pytest.raises(WatchError):
            pipe.multi()
            pipe.set("n", 0).execute()
    assert client.pipeline(transaction=False).incr("n").lpush("n", 1).get("n").execute(raise_on_error=False)[::2] == [
        44,
        "44",
    ]


def test_channels(client: redis.Redis) -> None:
    with client.pubsub() as listener:
        listener.subscribe("news")
        listener.psubscribe("n*")
        assert [listener.get_message(timeout=30)["type"] for _ in range(2)] == ["subscribe", "psubscribe"]
        assert client.publish("news", "hello") == 2
        heard = [listener.get_message(timeout=30) for _ in range(2)]
        assert [(one["type"], one["channel"], one["data"]) for one in heard] == [
            ("message", "news", "hello"),
            ("pmessage", "news", "hello"),
        ]
        assert client.pubsub_numsub("news") == [("news", 1)] and client.pubsub_channels() == ["news"]


def test_keyspace_events(client: redis.Redis) -> None:
    client.config_set("notify-keyspace-events", "KEA")
    try:
        with client.pubsub(ignore_subscribe_messages=True) as listener:
            listener.psubscribe("__keyspace@0__:*")
            listener.get_message(timeout=30)
            client.set("k", "v", px=1)
            heard = [listener.get_message(timeout=30)["data"] for _ in range(3)]
            assert heard == ["set", "expire", "expired"]
    finally:
        client.config_set("notify-keyspace-events", "")


def test_locks(client: redis.Redis) -> None:
    lock = client.lock("resource", timeout=30)
    with lock:
        assert client.lock("resource", timeout=30).acquire(blocking=False) is False
        assert lock.locked() and lock.owned() and lock.extend(10) and lock.reacquire()
        client.set("resource", "stolen")
        with pytest.raises(LockNotOwnedError):
            lock.extend(5)
        client.set("resource", lock.local.token)
    with pytest.raises(LockError):
        lock.release()


def test_scripts(client: redis.Redis) -> None:
    script = client.register_script("return {KEYS[1], tonumber(ARGV[1]) + 1, redis.call('incr', KEYS[1])}")
    assert script(keys=["n"], args=[41]) == ["n", 42, 1]
    assert client.script_exists(script.sha) == [True]
    client.script_flush()
    with pytest.raises(NoScriptError):
        client.evalsha(script.sha, 1, "n", 1)
    pipe = client.pipeline()
    script(keys=["n"], args=[0], client=pipe)
    assert pipe.execute() == [["n", 1, 2]]
    client.function_load("#!lua name=mine\nredis.register_function('twice', function(k, a) return a[1] * 2 end)")
    assert client.fcall("twice", 0, 21) == 42
    assert client.function_delete("mine")


def test_streams(client: redis.Redis) -> None:
    client.xgroup_create("s", "g", id="0", mkstream=True)
    first = client.xadd("s", {"field": "value"}, maxlen=1000)
    assert client.xlen("s") == 1 and client.xrange("s") == [(first, {"field": "value"})]
    read = client.xreadgroup("g", "c", {"s": ">"}, count=10)
    entries = dict(read)["s"]
    assert (entries[0] if isinstance(entries[0], tuple) else entries[0][0])[0] == first
    assert client.xpending("s", "g")["pending"] == 1
    assert client.xautoclaim("s", "g", "other", 0)[1] == [(first, {"field": "value"})]
    assert client.xack("s", "g", first) == 1 and client.xinfo_stream("s")["length"] == 1


def test_a_blocked_reader_is_woken(server: Server) -> None:
    answers: list[object] = []

    def read() -> None:
        with redis.Redis(port=server.port, decode_responses=True) as reader:
            answers.append(reader.xread({"s": "$"}, block=30_000))
            answers.append(reader.blpop("l", timeout=30))

    thread = threading.Thread(target=read)
    thread.start()
    with redis.Redis(port=server.port) as writer:
        await_blocked(writer)
        writer.xadd("s", {"f": "v"})
        await_blocked(writer, xread=False)
        writer.rpush("l", "x")
    thread.join(30)
    assert "f" in str(answers[0]) and list(answers[1]) == ["l", "x"]


def await_blocked(client: redis.Redis, xread: bool = True) -> None:
    """Until somebody waits in XREAD, or else in BLPOP."""
    deadline = time.monotonic() + 30
    while not any("b" in one["flags"] and (one["cmd"] == "xread") == xread for one in client.client_list()):
        assert time.monotonic() < deadline, "nobody waits"


def test_the_client_keeps_what_it_read(server: Server) -> None:
    """Client-side caching: what was read is answered from memory until the server says that it changed."""
    with (
        redis.Redis(port=server.port, protocol=3, cache_config=CacheConfig(), decode_responses=True) as reader,
        redis.Redis(port=server.port) as writer,
    ):
        writer.set("k", "one")
        assert reader.get("k") == "one"
        calls = server.calls("get")
        assert reader.get("k") == "one" and server.calls("get") == calls, "the server was not asked"
        writer.set("k", "two")
        deadline = time.monotonic() + 30
        while reader.get("k") != "two":  # what tells the reader may come after what tells the writer
            assert time.monotonic() < deadline, "the cache was not told"
        assert server.calls("get") == calls + 1


def test_connections_come_back(server: Server) -> None:
    options: dict[str, object] = {"port": server.port, "decode_responses": True}
    with redis.Redis(client_name="mine", **options) as one, redis.Redis(**options) as other:
        number = one.client_id()
        assert other.client_kill_filter(_id=number) == 1
        assert one.ping() and one.client_id() != number and one.client_getname() == "mine"
        assert other.client_list(client_id=[one.client_id()])[0]["lib-name"] == "redis-py"


def test_asyncio(server: Server) -> None:
    async def main() -> None:
        async with redis.asyncio.Redis(port=server.port, protocol=3, decode_responses=True) as one:
            await asyncio.gather(*(one.set(f"k{number}", number) for number in range(50)))
            assert await asyncio.gather(*(one.get(f"k{number}") for number in range(50))) == [*map(str, range(50))]
            popped = asyncio.create_task(one.blpop("l", timeout=30))
            await one.rpush("l", "x")
            assert list(await popped) == ["l", "x"]
            async with one.pubsub() as listener:
                await listener.subscribe("news")
                await listener.get_message(timeout=30)
                await one.publish("news", "hello")
                assert (await listener.get_message(timeout=30))["data"] == "hello"
            assert sorted([key async for key in one.scan_iter("k1*")]) == ["k1", *(f"k1{n}" for n in range(10))]

    asyncio.run(main())
