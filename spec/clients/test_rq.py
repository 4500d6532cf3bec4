"""rq: queues of pickled calls, registries as sorted sets, results as streams; what must be atomic as scripts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jobs
import pytest
import redis
from server import Server

pytest.importorskip("rq", reason="rq is not installed: make install-test")
from rq import Callback, Queue, Retry, SimpleWorker  # noqa: E402
from rq.command import send_shutdown_command  # noqa: E402
from rq.cron import CronScheduler  # noqa: E402
from rq.exceptions import DuplicateJobError  # noqa: E402
from rq.group import Group  # noqa: E402
from rq.job import Dependency, Job, JobStatus  # noqa: E402
from rq.rate_limit import RateLimit  # noqa: E402
from rq.registry import FailedJobRegistry, FinishedJobRegistry, ScheduledJobRegistry  # noqa: E402
from rq.repeat import Repeat  # noqa: E402
from rq.scheduler import RQScheduler  # noqa: E402

pytestmark = pytest.mark.program("rq")
HERE = Path(__file__).parent


@pytest.fixture
def connection(server: Server) -> Iterator[redis.Redis]:
    with redis.Redis(port=server.port) as one:
        yield one


@pytest.fixture
def queue(connection: redis.Redis) -> Queue:
    return Queue("work", connection=connection)


def work(*queues: Queue, **options: Any) -> None:
    """A worker does what there is to do, and ends. Its signal handlers end with it."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        SimpleWorker(queues, connection=queues[0].connection).work(
            **({"burst": True, "logging_level": "ERROR"} | options)
        )
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def test_jobs_are_done_in_order_and_leave_results(queue: Queue) -> None:
    first = queue.enqueue(jobs.add, 1, 2)
    second = queue.enqueue(jobs.add, "a", b="b", at_front=True)
    assert queue.job_ids == [second.id, first.id] and second.get_position() == 0
    work(queue)
    assert first.return_value() == 3 and second.return_value() == "ab"
    assert first.latest_result().type.name == "SUCCESSFUL" and len(first.results()) == 1
    assert first.get_status() is JobStatus.FINISHED and queue.count == 0
    assert set(FinishedJobRegistry(queue=queue).get_job_ids()) == {first.id, second.id}


def test_a_failed_job_keeps_its_traceback_and_can_be_sent_again(queue: Queue) -> None:
    job = queue.enqueue(jobs.fail)
    work(queue)
    failed = FailedJobRegistry(queue=queue)
    assert failed.get_job_ids() == [job.id]
    assert "ValueError: as asked" in job.latest_result().exc_string
    failed.requeue(job.id)
    assert queue.job_ids == [job.id] and failed.count == 0


def test_retries(queue: Queue, tmp_path: Path) -> None:
    path = str(tmp_path / "attempts")
    job = queue.enqueue(jobs.fail_until, path, 3, retry=Retry(max=4))
    work(queue)
    assert job.return_value() == 3 and len(job.results()) == 1
    assert Job.fetch(job.id, queue.connection).retries_left == 2


def test_jobs_wait_for_others(queue: Queue) -> None:
    one, two = queue.enqueue(jobs.add, 1, 2), queue.enqueue(jobs.add, 3, 4)
    after = queue.enqueue(jobs.sum_of_dependencies, depends_on=[one, two])
    broken = queue.enqueue(jobs.fail)
    never = queue.enqueue(jobs.add, 0, 0, depends_on=broken)
    anyway = queue.enqueue(jobs.add, 5, 5, depends_on=Dependency(broken, allow_failure=True))
    assert after.get_status() is JobStatus.DEFERRED
    work(queue)
    assert after.return_value() == 10 and anyway.return_value() == 10
    assert never.get_status() is JobStatus.DEFERRED and queue.deferred_job_registry.get_job_ids() == [never.id]


def test_many_in_one_pipeline_and_as_a_group(queue: Queue, connection: redis.Redis) -> None:
    queue.enqueue_many([Queue.prepare_data(jobs.add, (number, 1), job_id=f"job-{number}") for number in range(20)])
    group = Group.create(connection, name="sums").enqueue_many(
        queue, [Queue.prepare_data(jobs.add, (number, 2)) for number in range(3)]
    )
    work(queue)
    assert [job.return_value() for job in Job.fetch_many([f"job-{n}" for n in range(20)], connection)] == [
        *range(1, 21)
    ]
    assert sorted(job.return_value() for job in Group.fetch("sums", connection).get_jobs()) == [2, 3, 4]
    assert len(group) == 3


def test_the_scheduler_moves_what_is_due(queue: Queue, connection: redis.Redis) -> None:
    due = queue.enqueue_at(datetime.now(UTC) - timedelta(seconds=1), jobs.add, 1, 1)
    later = queue.enqueue_in(timedelta(hours=1), jobs.add, 2, 2)
    registry = ScheduledJobRegistry(queue=queue)
    assert registry.count == 2 and not queue.job_ids
    scheduler = RQScheduler([queue], connection)
    assert scheduler.acquire_locks() == {"work"} and RQScheduler([queue], connection).acquire_locks() == set()
    scheduler.prepare_registries(["work"])
    scheduler.enqueue_scheduled_jobs()
    scheduler.heartbeat()
    work(queue)
    assert due.return_value() == 2 and registry.get_job_ids() == [later.id]
    scheduler.release_locks()
    assert RQScheduler([queue], connection).acquire_locks() == {"work"}


def test_repeats(queue: Queue) -> None:
    job = queue.enqueue(jobs.add, 2, 3, repeat=Repeat(times=2))
    work(queue)
    assert [result.return_value for result in job.results()] == [5, 5, 5]


def test_cron(connection: redis.Redis, queue: Queue) -> None:
    scheduler = CronScheduler(connection=connection, name="daily")
    scheduler.register_birth()
    scheduler.register(jobs.add, "work", args=(3, 4), interval=3600)
    assert len(scheduler.enqueue_jobs()) == 1
    scheduler.heartbeat()
    assert [found.name for found in CronScheduler.all(connection)] == ["daily"]
    (job,) = queue.jobs
    work(queue)
    assert job.return_value() == 7
    scheduler.register_death()


def test_a_job_that_is_there_is_not_enqueued_twice(queue: Queue) -> None:
    queue.enqueue(jobs.add, 1, 2, job_id="only-one", unique=True)
    with pytest.raises(DuplicateJobError):
        queue.enqueue(jobs.add, 1, 2, job_id="only-one", unique=True)
    assert queue.job_ids == ["only-one"]
    assert queue.empty() == 1 and not Job.exists("only-one", queue.connection)


def test_a_rate_limit_holds_jobs_back(queue: Queue) -> None:
    limited = [queue.enqueue(jobs.add, n, n, rate_limit=RateLimit("api", concurrency=1)) for n in range(3)]
    assert queue.job_ids == [limited[0].id]
    work(queue)
    assert [job.return_value() for job in limited] == [0, 2, 4]


def test_callbacks_cancelling_and_ttl(queue: Queue, connection: redis.Redis, server: Server) -> None:
    told = queue.enqueue(jobs.add, 20, 3, on_success=Callback(jobs.note_success), result_ttl=500)
    cancelled = queue.enqueue(jobs.fail)
    cancelled.cancel()
    work(queue)
    assert connection.get(f"told:{told.id}") == b"23"
    assert cancelled.get_status() is JobStatus.CANCELED and queue.canceled_job_registry.count == 1
    assert 400 < server.ask("TTL", told.key) <= 500
    told.delete()
    assert not Job.exists(told.id, connection)


def command(server: Server, *words: str) -> subprocess.CompletedProcess[str]:
    """rq's own command line, in a process that finds our jobs."""
    environment = os.environ | {"PYTHONPATH": str(HERE)}
    return subprocess.run(
        [sys.executable, "-m", "rq.cli", *words, "--url", server.url],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )


def test_the_command_line_enqueues_works_and_tells(server: Server, queue: Queue) -> None:
    done = queue.enqueue(jobs.add, 40, 2)
    command(server, "enqueue", "--queue", "work", "jobs.add", ":1", ":2")
    assert "queue work 2" in command(server, "info", "--raw").stdout
    command(server, "worker", "--burst", "work")  # forks for each job
    assert done.return_value() == 42 and queue.count == 0
    assert FinishedJobRegistry(queue=queue).count == 2


def test_a_worker_that_waits_is_told_to_end(queue: Queue, connection: redis.Redis) -> None:
    """It waits in a BLMOVE and hears of its end by a channel."""
    process = subprocess.Popen(
        [sys.executable, "-m", "rq.cli", "worker", "--name", "w", "work", "--url", url_of(connection)],
        env=os.environ | {"PYTHONPATH": str(HERE)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        job = queue.enqueue(jobs.add, 1, 1)
        assert job.latest_result(timeout=30).return_value == 2  # XREAD BLOCK
        send_shutdown_command(connection, "w")
        assert process.wait(timeout=30) == 0
    finally:
        process.kill()
        process.wait()


def url_of(connection: redis.Redis) -> str:
    return "redis://127.0.0.1:{port}/0".format(**connection.get_connection_kwargs())
