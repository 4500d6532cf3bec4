"""dramatiq: one script does everything to its queues, and asks Lua itself how much `unpack` can take."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jobs
import pytest
from server import Server

dramatiq = pytest.importorskip("dramatiq", reason="dramatiq is not installed: make install-test")
from dramatiq.brokers.redis import RedisBroker  # noqa: E402
from dramatiq.middleware import CurrentMessage, GroupCallbacks  # noqa: E402
from dramatiq.rate_limits import (  # noqa: E402
    Barrier,
    BucketRateLimiter,
    ConcurrentRateLimiter,
    RateLimitExceeded,
    WindowRateLimiter,
)
from dramatiq.rate_limits.backends import RedisBackend as Limits  # noqa: E402
from dramatiq.results import ResultFailure, Results  # noqa: E402
from dramatiq.results.backends import RedisBackend as ResultsInRedis  # noqa: E402
from dramatiq.worker import Worker  # noqa: E402

pytestmark = pytest.mark.program("dramatiq")
SOON_MS = 30_000


@pytest.fixture
def limits(server: Server) -> Limits:
    return Limits(url=server.url)


@pytest.fixture
def broker(server: Server, limits: Limits) -> Iterator[RedisBroker]:
    one = RedisBroker(url=server.url, maintenance_chance=1_000_000)  # with every command, that is
    one.add_middleware(Results(backend=ResultsInRedis(url=server.url)))
    one.add_middleware(GroupCallbacks(limits))
    one.add_middleware(CurrentMessage())
    RedisBroker._max_unpack_size_val = None  # so that each server is asked
    dramatiq.set_broker(one)
    yield one
    one.close()


@pytest.fixture
def worker(broker: RedisBroker) -> Iterator[Worker]:
    one = Worker(broker, worker_timeout=50, worker_threads=2)
    one.start()
    yield one
    one.stop()


def actor(function: Any, **options: Any) -> Any:
    return dramatiq.actor(store_results=True, **({"max_retries": 0} | options))(function)


def test_messages_and_results(broker: RedisBroker, worker: Worker) -> None:
    add = actor(jobs.add)
    messages = [add.send(number, 1) for number in range(20)]
    assert [message.get_result(block=True, timeout=SOON_MS) for message in messages] == list(range(1, 21))
    broker.join(add.queue_name, timeout=SOON_MS, interval=10)
    worker.join()


def test_failures_and_retries(broker: RedisBroker, worker: Worker, server: Server, tmp_path: Any) -> None:
    fail = actor(jobs.fail)
    with pytest.raises(ResultFailure, match="as asked"):
        fail.send().get_result(block=True, timeout=SOON_MS)
    flaky = actor(jobs.fail_until, max_retries=3, min_backoff=1, max_backoff=2)
    message = flaky.send(str(tmp_path / "attempts"), 3)
    assert message.get_result(block=True, timeout=SOON_MS) == 3
    broker.join(fail.queue_name, timeout=SOON_MS, interval=10)
    worker.join()
    assert server.ask("ZCARD", "dramatiq:default.XQ") == 1, "the dead letter"


def test_delays(broker: RedisBroker, worker: Worker) -> None:
    assert actor(jobs.add).send_with_options(args=(1, 2), delay=100).get_result(block=True, timeout=SOON_MS) == 3


def test_pipelines_and_groups(broker: RedisBroker, worker: Worker) -> None:
    add = actor(jobs.add)
    pipeline = add.message(1, 2) | add.message(10) | add.message(100)
    pipeline.run()
    assert pipeline.get_result(block=True, timeout=SOON_MS) == 113
    done: list[str] = []
    called = dramatiq.actor(lambda: done.append("done"), actor_name="called")
    group = dramatiq.group([add.message(number, number) for number in range(4)])
    group.add_completion_callback(called.message())
    group.run()
    assert list(group.get_results(block=True, timeout=SOON_MS)) == [0, 2, 4, 6]
    broker.join("default", timeout=SOON_MS, interval=10)
    worker.join()
    assert done == ["done"]


def test_rate_limiters(broker: RedisBroker, limits: Limits) -> None:
    """WATCH and MULTI around a counter that expires."""
    concurrent = ConcurrentRateLimiter(limits, "distributed-mutex", limit=1)
    with concurrent.acquire(), pytest.raises(RateLimitExceeded), concurrent.acquire():
        raise AssertionError("two at once")
    with concurrent.acquire():
        pass
    bucket = BucketRateLimiter(limits, "bucket", limit=2, bucket=60_000)
    window = WindowRateLimiter(limits, "window", limit=2, window=60)
    for limiter in (bucket, window):
        with limiter.acquire(), limiter.acquire(), limiter.acquire(raise_on_failure=False) as third:
            assert not third


def test_barriers(broker: RedisBroker, limits: Limits) -> None:
    barrier = Barrier(limits, "all here", ttl=30_000)
    assert barrier.create(parties=2) and not barrier.create(parties=5)
    assert barrier.wait(block=False) is False
    assert barrier.wait(timeout=SOON_MS) is True


def test_a_worker_that_died_leaves_its_messages_to_others(broker: RedisBroker, server: Server) -> None:
    """A fetched message is in a set of its worker's; without heartbeats another worker's maintenance takes it back."""
    add = actor(jobs.add)
    message = add.send(2, 2)
    assert next(broker.consume("default", prefetch=1, timeout=10)) is not None
    heirs = RedisBroker(url=server.url, maintenance_chance=1_000_000, heartbeat_timeout=0)
    assert heirs.do_qsize("default") == 1  # any command does the maintenance
    again = next(heirs.consume("default", prefetch=1, timeout=10))
    assert again is not None and again.message_id == message.message_id


def test_queues_are_flushed_in_chunks(broker: RedisBroker, server: Server) -> None:
    add = actor(jobs.add)
    for number in range(50):
        add.send(number, 0)
    assert broker.do_qsize("default") == 50
    broker.flush_all()
    assert broker.do_qsize("default") == 0
    assert not list(server.ask("KEYS", "dramatiq:default*"))
