"""The celery application of test_celery.py, for its own process as for a worker's: CELERY_URL says which server."""

from __future__ import annotations

import os
from typing import Any

import celery
import jobs

app = celery.Celery("work", broker=os.environ["CELERY_URL"], backend=os.environ["CELERY_URL"])
app.conf.update(
    broker_connection_retry_on_startup=False,
    # How long a BRPOP waits before it is asked again, and so how long a worker takes to end.
    broker_transport_options={"queue_order_strategy": "priority", "polling_interval": 0.1},
    result_extended=True,
    worker_hijack_root_logger=False,
    worker_send_task_events=True,
    task_send_sent_event=True,
)

# Not shared: each test has an application of its own, and shared tasks belong to all of a process's applications.
add = app.task(jobs.add, name="add", shared=False)
total = app.task(jobs.total, name="total", shared=False)
fail = app.task(jobs.fail, name="fail", shared=False)


@app.task(bind=True, name="third_time", shared=False, max_retries=3, default_retry_delay=0)
def third_time(self: Any) -> int:
    if self.request.retries < 2:
        raise self.retry()
    return self.request.retries


@app.task(bind=True, name="progress", shared=False)
def progress(self: Any) -> str:
    self.update_state(state="HALF", meta={"done": 50})
    return self.AsyncResult(self.request.id).state


@app.task(name="first", shared=False, ignore_result=True)
def first(key: str, value: str) -> None:
    """Note in a list which task ran when."""
    app.backend.client.rpush(key, value)
