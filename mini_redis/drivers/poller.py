"""Which sockets have something? `select.epoll` where there is one, and its interface over the best elsewhere."""

from __future__ import annotations

import select
import selectors
from typing import Any, Final

HAS_EPOLL: Final = hasattr(select, "epoll")
IN: Final[int] = getattr(select, "EPOLLIN", 1)
OUT: Final[int] = getattr(select, "EPOLLOUT", 4)


class SelectorPoller:
    """`select.epoll`'s interface over the best that other systems have: kqueue, poll."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()

    def register(self, fd: int, events: int) -> None:
        self._selector.register(fd, self._translate(events))

    def modify(self, fd: int, events: int) -> None:
        self._selector.modify(fd, self._translate(events))

    def unregister(self, fd: int) -> None:
        self._selector.unregister(fd)

    def poll(self, timeout: float) -> list[tuple[int, int]]:
        return [
            (key.fd, (IN if events & selectors.EVENT_READ else 0) | (OUT if events & selectors.EVENT_WRITE else 0))
            for key, events in self._selector.select(timeout)
        ]

    def close(self) -> None:
        self._selector.close()

    @staticmethod
    def _translate(events: int) -> int:
        return (selectors.EVENT_READ if events & IN else 0) | (selectors.EVENT_WRITE if events & OUT else 0)


Poller: Any = select.epoll if HAS_EPOLL else SelectorPoller
