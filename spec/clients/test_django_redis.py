"""django-redis: Django's cache with Redis's own types beside it; and the cache that Django brings itself."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from server import Server

pytest.importorskip("django_redis", reason="django-redis is not installed: make install-test")
from django.conf import settings  # noqa: E402
from django.core.cache import caches  # noqa: E402
from django.test import override_settings  # noqa: E402

pytestmark = pytest.mark.program("django-redis")
OPTIONS: dict[str, dict[str, str]] = {
    "default": {},
    "json": {"SERIALIZER": "django_redis.serializers.json.JSONSerializer"},
    "zlib": {"COMPRESSOR": "django_redis.compressors.zlib.ZlibCompressor"},
}


if not settings.configured:
    settings.configure(USE_TZ=True, SESSION_ENGINE="django.contrib.sessions.backends.cache")


@pytest.fixture
def cache(server: Server) -> Iterator[Any]:
    made = {
        name: {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": server.url, "OPTIONS": options}
        for name, options in OPTIONS.items()
    }
    own = {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": server.url}
    with override_settings(CACHES=made | {"django": own}):
        yield caches["default"]


@pytest.fixture(params=[*OPTIONS, "django"])
def any_cache(cache: Any, request: pytest.FixtureRequest) -> Any:
    return caches[request.param]


def test_what_every_cache_of_django_s_can(any_cache: Any) -> None:
    any_cache.set("greeting", {"en": "hello", "n": 3}, timeout=60)
    assert any_cache.get("greeting") == {"en": "hello", "n": 3}
    assert any_cache.get("absent", "default") == "default"
    assert not any_cache.add("greeting", "no") and any_cache.add("once", "yes")
    assert any_cache.get_or_set("made", lambda: [1, 2], 30) == [1, 2]
    any_cache.set_many({f"key:{n}": n for n in range(5)}, timeout=30)
    assert any_cache.get_many([f"key:{n}" for n in range(6)]) == {f"key:{n}": n for n in range(5)}
    any_cache.set("n", 5)
    assert any_cache.incr("n") == 6 and any_cache.decr("n", 2) == 4
    with pytest.raises(ValueError):
        any_cache.incr("absent")
    assert any_cache.touch("n", 30) and any_cache.has_key("n") and "absent" not in any_cache
    any_cache.delete_many(["key:0", "key:1"])
    assert any_cache.delete("n") and not any_cache.delete("n")
    any_cache.set("gone", 1, timeout=0)
    assert any_cache.get("gone") is None
    any_cache.clear()
    assert any_cache.get("greeting") is None


def test_set_with_conditions_and_expiry(cache: Any) -> None:
    assert cache.set("k", "first", nx=True, timeout=60) and not cache.set("k", "second", nx=True)
    assert cache.set("k", "third", xx=True) and not cache.set("other", 1, xx=True)
    assert 0 < cache.ttl("k") <= 300 and 0 < cache.pttl("k") <= 300_000
    assert cache.expire("k", 10) and cache.ttl("k") <= 10 and cache.pexpire("k", 5_000)
    assert cache.persist("k") and cache.ttl("k") is None and cache.ttl("absent") == 0
    assert cache.get("k") == "third"
    assert cache.incr_version("k") == 2 and cache.get("k", version=2) == "third"


def test_patterns(cache: Any) -> None:
    cache.set_many({f"user:{n}": n for n in range(250)})
    cache.set("other", 1)
    assert sorted(cache.keys("user:1?")) == [f"user:{n}" for n in range(10, 20)]
    assert len(set(cache.iter_keys("user:*", itersize=10))) == 250
    assert cache.delete_pattern("user:*", itersize=50) == 250
    assert cache.keys("*") == ["other"]


def test_locks(cache: Any) -> None:
    holding, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with cache.lock("resource", timeout=30):
            holding.set()
            leave.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    assert holding.wait(30)
    assert not cache.lock("resource", timeout=30).acquire(blocking=False)
    leave.set()
    thread.join()
    with cache.lock("resource", timeout=30, blocking_timeout=10) as lock:
        assert lock.owned() and lock.extend(10)


def test_sets(cache: Any) -> None:
    cache.sadd("a", "x", "y", "z")
    cache.sadd("b", "y", "z", "w")
    assert cache.scard("a") == 3 and cache.sismember("a", "x") and cache.smismember("a", "x", "w") == [True, False]
    assert cache.sdiff("a", "b") == {"x"} and cache.sinter("a", "b") == {"y", "z"}
    assert cache.sunion("a", "b") == cache.smembers("a") | cache.smembers("b")
    assert cache.sdiffstore("d", "a", "b") == 1 and cache.sinterstore("i", "a", "b") == 2
    assert cache.sunionstore("u", "a", "b") == 4 and cache.smove("a", "b", "x")
    assert set(cache.sscan_iter("u")) == {"x", "y", "z", "w"}
    assert cache.srandmember("u") in cache.smembers("u") and cache.spop("u") and cache.srem("b", "x") == 1


def test_hashes(cache: Any) -> None:
    assert cache.hset("user", "name", "Ana") == 1 and cache.hset("user", "age", 30) == 1
    assert cache.hlen("user") == 2 and cache.hexists("user", "name") and set(cache.hkeys("user")) == {"name", "age"}
    assert cache.hdel("user", "age") == 1 and not cache.hexists("user", "age")


def test_sorted_sets(cache: Any) -> None:
    assert cache.zadd("board", {"ana": 1, "bo": 2.5, "cy": 3}) == 3 and cache.zcard("board") == 3
    assert cache.zincrby("board", 5, "ana") == 6 and cache.zscore("board", "bo") == 2.5
    assert cache.zrange("board", 0, -1, withscores=True) == [("bo", 2.5), ("cy", 3.0), ("ana", 6.0)]
    assert cache.zrevrange("board", 0, 0) == ["ana"] and cache.zrank("board", "cy") == 1
    assert cache.zrangebyscore("board", "-inf", 3) == ["bo", "cy"] and cache.zcount("board", 3, 10) == 2
    assert cache.zpopmin("board") == ("bo", 2.5) and cache.zrem("board", "cy") == 1
    assert cache.zremrangebyscore("board", 0, 10) == 1


def test_sessions(cache: Any) -> None:
    """Django's sessions in the cache."""
    from django.contrib.sessions.backends.cache import SessionStore

    session = SessionStore()
    session["user"] = "ana"
    session.set_expiry(600)
    session.save()
    assert SessionStore(session.session_key)["user"] == "ana"
    session.cycle_key()
    session.flush()
    assert not SessionStore().exists(session.session_key or "none")
