"""What the workers are given to do, in a module that a worker process can import."""

from __future__ import annotations

from typing import Any


def add(a: int, b: int) -> int:
    return a + b


def total(numbers: list[int]) -> int:
    return sum(numbers)


def fail() -> None:
    raise ValueError("as asked")


def fail_until(path: str, attempts: int) -> int:
    """Fail until it was called so many times; the count is the length of the file at `path`."""
    with open(path, "a+b") as file:
        file.write(b".")
        count = file.tell()
    if count < attempts:
        raise ValueError(f"attempt {count}")
    return count


def sum_of_dependencies() -> int:
    """What an rq job makes of the results of those it waited for."""
    from rq import get_current_job

    return sum(job.return_value() for job in get_current_job().fetch_dependencies())


def note_success(job: Any, connection: Any, result: Any) -> None:
    connection.set(f"told:{job.id}", result)
