"""Real programs do their jobs: every test runs against Redis first, which proves the test, and then against us.

    CLIENTS_SERVERS=mini_redis pytest spec/clients          one server only, or others of conformance/endpoints.py
    CLIENTS_UPDATE=1 pytest spec/clients                    and write what was seen into docs/clients.md

Each module says with `pytestmark = program("rq")` whose row of docs/clients.md its tests are about. Which commands the
program sent is counted by the server itself (INFO commandstats), and a command that the page does not name fails the
test: the page's table is what a server needs, no more than that and no less.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from needs import Needs
from server import Server

from conformance.endpoints import EndpointError, start

SERVERS = os.environ.get("CLIENTS_SERVERS", "redis-8.2,mini_redis").split(",")


@pytest.fixture(scope="session", params=SERVERS)
def running(request: pytest.FixtureRequest) -> Iterator[Server]:
    try:
        endpoint = start(request.param)
    except EndpointError as missing:
        pytest.skip(str(missing))
    yield Server(endpoint)
    endpoint.stop()


@pytest.fixture
def server(running: Server, request: pytest.FixtureRequest) -> Iterator[Server]:
    """An empty server; afterwards the page is asked whether it knows what the program sent."""
    mark = request.node.get_closest_marker("program")
    assert mark is not None, "which program is it?"
    running.begin()
    yield running
    request.config.stash[NEEDS].note(mark.args[0], running.sent())


NEEDS = pytest.StashKey[Needs]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "program(name): whose row of docs/clients.md the test is about")
    config.stash[NEEDS] = Needs(update=bool(os.environ.get("CLIENTS_UPDATE")))


def pytest_sessionfinish(session: pytest.Session) -> None:
    session.config.stash[NEEDS].finish()
