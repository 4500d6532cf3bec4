"""What all specifications share."""

from __future__ import annotations

import pytest
from hypothesis import settings
from observer import Observer

settings.register_profile("mini_redis", deadline=None)  # how busy this machine is says nothing about the code
settings.load_profile("mini_redis")


@pytest.fixture
def seen() -> Observer:
    """What a command does, in all that can be seen of it."""
    return Observer()
