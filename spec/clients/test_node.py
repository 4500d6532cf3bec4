"""Programs from npm, each job a process of its own: node/ioredis.cjs, node/node-redis.cjs, node/bullmq.cjs."""

from __future__ import annotations

import node_programs
import pytest
from server import Server

PROGRAMS = {"ioredis": "ioredis", "node-redis": "redis", "bullmq": "bullmq"}
JOBS = [
    pytest.param(
        f"{program}.cjs", job, id=f"{program}-{job}", marks=[pytest.mark.program(program), node_programs.needs(package)]
    )
    for program, package in PROGRAMS.items()
    for job in node_programs.jobs(f"{program}.cjs")
]


@pytest.mark.parametrize(("file", "job"), JOBS)
def test_job(server: Server, file: str, job: str) -> None:
    node_programs.run("run.cjs", f"./{file}", server.port, job)
