"""What all specifications share."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("mini_redis", deadline=None)  # how busy this machine is says nothing about the code
settings.load_profile("mini_redis")
