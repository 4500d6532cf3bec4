"""Servers for the comparing tests: one oracle and one subject for the whole session, each on a free port.

CONFORMANCE_ORACLE and CONFORMANCE_SUBJECT name other ones (HOST:PORT or a name of endpoints.py).
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from .compare import Comparison
from .endpoints import Endpoint, EndpointError, open_endpoint, start
from .runner import Duel

settings.register_profile("mini_redis", deadline=None)  # how busy this machine is says nothing about the code
settings.load_profile("mini_redis")


@pytest.fixture(scope="session")
def oracle() -> Iterator[Endpoint]:
    """The server that is right: Redis 8.2."""
    endpoint = open_endpoint(os.environ.get("CONFORMANCE_ORACLE", "redis-8.2"))
    yield endpoint
    endpoint.stop()


@pytest.fixture(scope="session")
def subject() -> Iterator[Endpoint]:
    """The server under test: ours."""
    endpoint = open_endpoint(os.environ.get("CONFORMANCE_SUBJECT", "mini_redis"))
    yield endpoint
    endpoint.stop()


@pytest.fixture(scope="session")
def second_oracle(oracle: Endpoint) -> Iterator[Endpoint]:
    """The oracle again, in a process of its own: whoever differs from it, it is not the server."""
    endpoint = start(oracle.name)
    yield endpoint
    endpoint.stop()


def started(name: str) -> Iterator[Endpoint]:
    """For a fixture: the server of this name, while it is needed. Without it, the test is skipped and says why."""
    try:
        endpoint = start(name)
    except EndpointError as error:
        pytest.skip(str(error))
    yield endpoint
    endpoint.stop()


@pytest.fixture(scope="session")
def comparison(oracle: Endpoint, subject: Endpoint) -> Comparison:
    """Collects every curated stream's verdict, so that the known differences can be judged at the end."""
    return Comparison(Duel(oracle, subject))
