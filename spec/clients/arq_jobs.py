"""arq's jobs, one function for each test. Run by test_arq.py with arq's own redis-py: `python arq_jobs.py URL NAME`."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

from arq import ArqRedis, Retry, Worker, create_pool, cron
from arq.connections import RedisSettings
from arq.jobs import JobStatus
from arq.worker import async_check_health, func


async def add(ctx: dict[str, Any], a: int, b: int) -> int:
    return a + b


async def fail(ctx: dict[str, Any]) -> None:
    raise ValueError("as asked")


async def third_time(ctx: dict[str, Any]) -> int:
    if ctx["job_try"] < 3:
        raise Retry()
    return ctx["job_try"]


async def forever(ctx: dict[str, Any]) -> None:
    ctx["began"].set()
    await asyncio.Event().wait()


async def tick(ctx: dict[str, Any]) -> str:
    return "ticked"


def worker(pool: ArqRedis, **options: Any) -> Worker:
    functions = [add, fail, third_time, forever, func(add, name="kept_not", keep_result=0)]
    quick = {"burst": True, "poll_delay": 0.01, "handle_signals": False}
    return Worker(functions, redis_pool=pool, **(quick | options))


async def burst(pool: ArqRedis) -> None:
    """A burst does all jobs; their results are there afterwards, and expire."""
    jobs = [await pool.enqueue_job("add", number, 1, _job_id=f"job-{number}") for number in range(20)]
    assert await pool.enqueue_job("add", 0, 0, _job_id="job-3") is None, "a job of that name is there"
    assert len(await pool.queued_jobs()) == 20 and await jobs[0].status() is JobStatus.queued
    assert await worker(pool).run_check() == 20
    assert [await job.result(timeout=0) for job in jobs] == list(range(1, 21))
    assert len(await pool.all_job_results()) == 20 and await jobs[0].status() is JobStatus.complete
    info = await jobs[7].result_info()
    assert info.function == "add" and info.args == (7, 1) and info.success
    assert 3_590_000 < await pool.pttl("arq:result:job-7") <= 3_600_000


async def nothing_kept(pool: ArqRedis) -> None:
    job = await pool.enqueue_job("kept_not", 1, 1)
    await worker(pool).run_check()
    assert await job.status() is JobStatus.not_found
    assert not await pool.keys("arq:[^q]*")


async def deferred(pool: ArqRedis) -> None:
    """What is for later stays in the sorted set; what is due is done."""
    later = await pool.enqueue_job("add", 1, 1, _defer_by=timedelta(hours=1))
    past = datetime.now(UTC) - timedelta(seconds=1)
    due = await pool.enqueue_job("add", 2, 2, _defer_until=past)
    assert await later.status() is JobStatus.deferred and await due.status() is JobStatus.queued
    running = asyncio.create_task(worker(pool, burst=False).async_run())
    assert await due.result(timeout=30, poll_delay=0.01) == 4
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert await later.status() is JobStatus.deferred


async def retry(pool: ArqRedis) -> None:
    job = await pool.enqueue_job("third_time")
    assert await worker(pool).run_check() == 1
    assert await job.result(timeout=0) == 3 and (await job.result_info()).job_try == 3


async def failure(pool: ArqRedis) -> None:
    job = await pool.enqueue_job("fail")
    await worker(pool).async_run()
    try:
        await job.result(timeout=0)
    except ValueError as error:
        assert str(error) == "as asked"
    else:
        raise AssertionError("it did not fail")
    assert not (await job.result_info()).success


async def abort(pool: ArqRedis) -> None:
    """A running job is aborted: its name goes into a sorted set that the worker looks at."""
    began = asyncio.Event()
    running = worker(pool, burst=False, allow_abort_jobs=True, ctx={"began": began})
    task = asyncio.create_task(running.async_run())
    job = await pool.enqueue_job("forever")
    await began.wait()
    assert await job.abort(timeout=30, poll_delay=0.01)
    await asyncio.gather(*running.tasks.values())  # the job's own end
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def cron_jobs(pool: ArqRedis) -> None:
    """Two workers with the same cron job, due now: the job's name is its time, and so it is done once."""
    due = datetime.now(UTC)

    def with_cron() -> Worker:
        one = worker(pool, cron_jobs=[cron(tick, hour=3, unique=True, keep_result=60)])
        one.cron_jobs[0].next_run = due
        return one

    await asyncio.gather(with_cron().async_run(), with_cron().async_run())
    (result,) = await pool.all_job_results()
    assert result.function == "cron:tick" and result.result == "ticked"


async def health(pool: ArqRedis) -> None:
    settings = RedisSettings.from_dsn(sys.argv[1])
    assert await async_check_health(settings) == 1
    one = worker(pool, health_check_interval=60)
    await one.async_run()
    assert await async_check_health(settings) == 0
    await one.close()
    assert await async_check_health(settings) == 1, "it took its sign of life with it"


async def main(url: str, name: str) -> None:
    pool = await create_pool(RedisSettings.from_dsn(url))
    try:
        await asyncio.wait_for(TESTS[name](pool), timeout=60)
    finally:
        await pool.aclose()


TESTS = {one.__name__: one for one in (burst, nothing_kept, deferred, retry, failure, abort, cron_jobs, health)}

if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
