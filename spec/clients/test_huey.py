"""huey: a list or a sorted set as the queue, hashes or keys with a TTL for results, one script for what is due."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from server import Server

pytest.importorskip("huey", reason="huey is not installed: make install-test")
import huey as library  # noqa: E402
from huey import PriorityRedisExpireHuey, PriorityRedisHuey, RedisExpireHuey, RedisHuey  # noqa: E402
from huey.exceptions import RateLimitExceeded, TaskException, TaskLockedException  # noqa: E402

pytestmark = pytest.mark.program("huey")
KINDS = [RedisHuey, RedisExpireHuey, PriorityRedisHuey, PriorityRedisExpireHuey]


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def huey(server: Server, request: pytest.FixtureRequest) -> library.Huey:
    return make(request.param, server)


def make(kind: type[library.Huey], server: Server) -> library.Huey:
    return kind("work", port=server.port, notify_result=True, read_timeout=0.05, store_intermediate_errors=False)


@contextmanager
def consumer(huey: library.Huey, **options: Any) -> Iterator[None]:
    """huey's own consumer, its workers and its scheduler as threads of this process, while the block lasts."""
    one = huey.create_consumer(**({"workers": 2, "periodic": False, "check_worker_health": False} | options))
    one._set_signal_handlers = lambda: None  # the process is pytest's
    one.start()
    try:
        yield
    finally:
        one.stop(graceful=True)


def work(huey: library.Huey) -> None:
    """Do what waits in the queue, here and now."""
    while (task := huey.dequeue()) is not None:
        huey.execute(task)


def adder(huey: library.Huey) -> Callable[[int, int], Any]:
    @huey.task()
    def add(a: int, b: int) -> int:
        return a + b

    return add


def test_tasks_are_done_and_leave_results(huey: library.Huey) -> None:
    add = adder(huey)
    results = [add(number, 1) for number in range(10)]
    assert huey.pending_count() == 10 and [task.args for task in huey.pending(limit=2)] == [(0, 1), (1, 1)]
    with consumer(huey):
        assert [result.get(blocking=True, timeout=30) for result in results] == list(range(1, 11))
    assert huey.pending_count() == 0


def test_what_fails_says_so_and_is_tried_again(huey: library.Huey) -> None:
    attempts = []

    @huey.task(retries=2)
    def flaky(successes: int) -> str:
        attempts.append(successes)
        if len(attempts) < successes:
            raise ValueError("not yet")
        return "at last"

    with consumer(huey):
        assert flaky(3).get(blocking=True, timeout=30) == "at last"
        attempts.clear()
        with pytest.raises(TaskException, match="not yet"):
            flaky(100).get(blocking=True, timeout=30)


def test_pipelines_groups_and_chords(huey: library.Huey) -> None:
    add = adder(huey)

    @huey.task()
    def total(numbers: list[int]) -> int:
        return sum(numbers)

    with consumer(huey):
        pipeline = huey.enqueue(add.s(1, 2).then(add, 10).then(add, 100))
        assert pipeline.get(blocking=True, timeout=30) == [3, 13, 113]
        chord = huey.enqueue(library.group([add.s(n, n) for n in range(4)]).then(total))
        assert chord.get(blocking=True, timeout=30) == 12


@pytest.mark.parametrize("kind", [PriorityRedisHuey, PriorityRedisExpireHuey], ids=lambda kind: kind.__name__)
def test_the_urgent_goes_first(kind: type[library.Huey], server: Server) -> None:
    huey, done = make(kind, server), []

    @huey.task()
    def note(what: str) -> None:
        done.append(what)

    for priority, what in [(1, "later"), (5, "soon"), (9, "now"), (5, "soon too")]:
        note(what, priority=priority)
    work(huey)
    assert done == ["now", "soon", "soon too", "later"]


def test_the_schedule(huey: library.Huey) -> None:
    add = adder(huey)
    due = add.schedule((1, 1), eta=datetime.now() - timedelta(seconds=5))
    soon = add.schedule((2, 2), delay=3600)
    assert due.get(blocking=False) is None
    work(huey)  # what is not due yet goes on the schedule
    assert huey.scheduled_count() == 1 and huey.scheduled()[0].id == soon.id
    assert huey.read_schedule(datetime.utcnow() + timedelta(minutes=1)) == []
    (ready,) = huey.read_schedule(datetime.utcnow() + timedelta(hours=2))
    huey.execute(ready, datetime.utcnow() + timedelta(hours=2))
    assert soon.get() == 4 and due.get() == 2 and huey.scheduled_count() == 0


def test_the_consumer_s_scheduler_runs_what_is_due(server: Server) -> None:
    huey = make(RedisHuey, server)
    add = adder(huey)
    with consumer(huey, scheduler_interval=1):
        assert add.schedule((1, 2), delay=1).get(blocking=True, timeout=30) == 3


def test_locks(huey: library.Huey) -> None:
    with huey.lock_task("one at a time"):
        assert huey.is_locked("one at a time")
        with pytest.raises(TaskLockedException), huey.lock_task("one at a time"):
            raise AssertionError("the lock was free")
    with huey.lock_task("one at a time", ttl=60):  # a field or a key that expires
        assert huey.is_locked("one at a time")
    assert huey.flush_locks() == set() and not huey.is_locked("one at a time")


def test_a_task_holds_a_lock_while_it_runs(huey: library.Huey) -> None:
    inside, leave = threading.Event(), threading.Event()

    @huey.task()
    @huey.lock_task("exclusive")
    def wait() -> str:
        inside.set()
        assert leave.wait(30)
        return "done"

    with consumer(huey):
        first = wait()
        assert inside.wait(30)
        with pytest.raises(TaskException, match="TaskLocked"):
            wait().get(blocking=True, timeout=30)
        leave.set()
        assert first.get(blocking=True, timeout=30) == "done"


def test_rate_limits_and_revoking(huey: library.Huey) -> None:
    limit = huey.rate_limit("api", limit=2, per=3600)
    limit.acquire()
    limit.acquire()
    with pytest.raises(RateLimitExceeded):
        limit.acquire()
    limit.reset()
    limit.acquire()

    add = adder(huey)
    revoked = add(1, 1)
    revoked.revoke()
    assert revoked.is_revoked()
    work(huey)
    assert revoked.get() is None


def test_everything_is_flushed(huey: library.Huey, server: Server) -> None:
    add = adder(huey)
    add(1, 1)
    work(huey)
    add(2, 2)
    huey.put("some", "thing")
    assert huey.result_count() == 2 and len(huey.all_results()) == 2
    huey.flush()
    assert huey.pending_count() == huey.result_count() == 0
    assert set(server.ask("KEYS", "*")) <= set(server.ask("KEYS", "huey.notify.*"))
