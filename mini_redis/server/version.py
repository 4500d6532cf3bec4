"""Which Redis this is: what HELLO and INFO say, and what clients choose their features by."""

from typing import Final

REDIS_VERSION: Final = "8.2.3"
