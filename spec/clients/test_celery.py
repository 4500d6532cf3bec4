"""celery: queues of one list for each priority, BRPOP over all of them, results as keys that announce themselves."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib import util
from pathlib import Path
from typing import Any

import pytest
from server import Server

celery = pytest.importorskip("celery", reason="celery is not installed: make install-test")
from celery import chain, chord, group  # noqa: E402
from celery.contrib.testing.worker import start_worker  # noqa: E402
from celery.exceptions import ChordError, TaskRevokedError  # noqa: E402
from celery.result import GroupResult  # noqa: E402
from kombu import pools  # noqa: E402

pytestmark = [
    pytest.mark.program("celery"),
    pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning"),  # celery's own business
]
HERE = Path(__file__).parent
SOON = 30  # seconds until a result is given up


@pytest.fixture
def work(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The application, bound to this server: a module of its own for each test, as celery keeps much in globals."""
    monkeypatch.setenv("CELERY_URL", server.url)
    spec = util.spec_from_file_location("celery_app", HERE / "celery_app.py")
    assert spec is not None and spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    gc.collect()  # a result unsubscribes when it goes, and there is a server for that now
    module.app.backend.result_consumer.stop()
    module.app.close()
    pools.reset()  # connections to the broker are kept by address, for all applications


@pytest.fixture
def worker(work: Any) -> Iterator[Any]:
    """A worker in a thread of this process."""
    with start_worker(work.app, perform_ping_check=False, shutdown_timeout=SOON) as one:
        yield one


def test_tasks_and_results(work: Any, worker: Any, server: Server) -> None:
    results = [work.add.delay(number, 1) for number in range(10)]
    assert [result.get(timeout=SOON) for result in results] == list(range(1, 11))
    assert results[0].name == "add" and results[0].successful()
    assert 0 < server.ask("TTL", f"celery-task-meta-{results[0].id}") <= 86_400
    results[0].forget()
    assert not server.ask("EXISTS", f"celery-task-meta-{results[0].id}")
    assert work.progress.delay().get(timeout=SOON) == "HALF"


def test_a_failure_arrives_as_its_exception(work: Any, worker: Any) -> None:
    result = work.fail.delay()
    with pytest.raises(ValueError, match="as asked"):
        result.get(timeout=SOON)
    assert "ValueError: as asked" in result.traceback


def test_retries_go_through_the_broker_again(work: Any, worker: Any) -> None:
    assert work.third_time.delay().get(timeout=SOON) == 2


def test_countdown(work: Any, server: Server) -> None:
    with start_worker(work.app, perform_ping_check=False, shutdown_timeout=SOON):
        assert work.add.apply_async((1, 2), countdown=0).get(timeout=SOON) == 3
        assert work.add.apply_async((1, 2), countdown=0.5).get(timeout=SOON) == 3
    assert not server.ask("EXISTS", "unacked"), "everything that was done was acknowledged"


def test_groups_chains_and_chords(work: Any, worker: Any) -> None:
    add, total = work.add, work.total
    results = group(add.s(number, number) for number in range(5))()
    assert results.get(timeout=SOON) == [0, 2, 4, 6, 8]
    results.save()
    assert GroupResult.restore(results.id, app=work.app).completed_count() == 5
    assert chain(add.s(1, 2), add.s(10), add.s(100))().get(timeout=SOON) == 113
    assert chord((add.s(number, 1) for number in range(10)), total.s())().get(timeout=SOON) == 55
    with pytest.raises((ChordError, ValueError)):  # whichever of the two is noticed first
        chord([add.s(1, 1), work.fail.s()], total.s())().get(timeout=SOON)


def test_the_urgent_goes_first(work: Any, server: Server) -> None:
    """Priorities 0, 3, 6 and 9 are four lists; a BRPOP names them in order."""
    for priority, name in [(9, "later"), (0, "now"), (6, "soon")]:
        work.first.apply_async(("order", name), priority=priority)
    assert server.ask("LLEN", "celery") == 1
    with start_worker(work.app, perform_ping_check=False, shutdown_timeout=SOON, prefetch_multiplier=1):
        assert work.add.apply_async((1, 1), priority=9).get(timeout=SOON) == 2
    assert server.ask("LRANGE", "order", 0, -1) == ["now", "soon", "later"]


def test_revoking_and_purging(work: Any) -> None:
    app = work.app
    work.add.delay(1, 1)
    work.add.delay(2, 2)
    assert app.control.purge() == 2
    with start_worker(app, perform_ping_check=False, shutdown_timeout=SOON):
        app.control.ping(timeout=SOON, limit=1)
        result = work.add.apply_async((1, 1), countdown=3600)
        assert app.control.revoke(result.id, reply=True, timeout=SOON, limit=1)
        later = work.add.apply_async((2, 2), task_id=result.id)  # the worker knows that id
        with pytest.raises(TaskRevokedError):
            later.get(timeout=SOON)


def test_remote_control_of_a_worker_in_a_process(work: Any, server: Server) -> None:
    """`celery worker` with two child processes: found, asked and ended by messages on channels."""
    app = work.app
    process = subprocess.Popen(
        [sys.executable, "-m", "celery", "-A", "celery_app", "worker", "-c", "2", "-l", "ERROR"]
        + ["--without-gossip", "--without-mingle", "-n", "one@here"],
        cwd=HERE,
        env=os.environ | {"CELERY_URL": server.url, "C_FORCE_ROOT": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert group(work.add.s(number, 1) for number in range(20))().get(timeout=SOON) == list(range(1, 21))
        assert app.control.ping(timeout=SOON, limit=1) == [{"one@here": {"ok": "pong"}}]
        assert "add" in app.control.inspect(timeout=SOON, limit=1).registered()["one@here"]
        assert app.control.inspect(timeout=SOON, limit=1).stats()["one@here"]["total"] == {"add": 20}
        app.control.shutdown()
        assert process.wait(timeout=SOON) == 0
    finally:
        process.kill()
        process.wait()
