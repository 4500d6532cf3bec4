"""pytest fixtures, there as soon as the package is installed.

    def test_session_ends(mini_redis_server):
        client = redis.Redis(port=mini_redis_server.port)
        client.set("session", "x", ex=60)
        mini_redis_server.advance(seconds=61)
        assert client.get("session") is None
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from mini_redis.testing import RunningServer


@pytest.fixture
def mini_redis_server() -> Iterator[RunningServer]:
    """An empty server of this test's own, whose time stands still until `advance`."""
    from mini_redis.testing import run  # only those who ask for a server pay for importing one

    with run(clock="manual") as server:
        yield server


@pytest.fixture
def mini_redis_port(mini_redis_server: RunningServer) -> int:
    """The port of `mini_redis_server`, for clients that are built from settings."""
    return mini_redis_server.port
