"""Consumer groups: who was given which entry of a stream, and has not said yet that it is done.

Question it answers: how can several workers share a queue so that nothing is lost when one of them dies? Each entry is
given to one consumer, and from then on stands in a *pending entries list* (PEL) until it is acknowledged. Whoever asks
finds what has been pending for too long there, and may claim it.

    last_id    the last entry that was given to anybody; new is what comes after it
    pel        SortedDict id -> Pending        everything that is pending, in order
    consumers  SortedDict name -> Consumer     each with its own `pel` of the same Pending objects

A list for the group and one for each consumer, because both are asked: "what is the oldest that is pending?" and "what
had I been given before I crashed?".

Invariants (`check`):

    (1) the `pel` of the group is the disjoint union of its consumers', object by object;
    (2) each Pending names the consumer in whose `pel` it stands.

An id may be pending although its entry is gone (XDEL, trimming): the entry is the stream's, the duty the group's. A PEL
knows nothing of entries; what XCLAIM and XAUTOCLAIM make of that is said there.

Redis's lists are radix trees. p pending entries; verified against Redis 8.2.3.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sortedcontainers import SortedDict

from mini_redis.structures.stream_id import MAX_ID, StreamId

NEVER: Final = -1
"""`active_ms` of a consumer that was never given anything."""


class Pending:
    """An entry that was given to a consumer."""

    __slots__ = ("consumer", "delivered_ms", "deliveries")

    def __init__(self, consumer: Consumer, delivered_ms: int, deliveries: int = 1) -> None:
        self.consumer = consumer
        self.delivered_ms = delivered_ms
        """Unix time of the last delivery: what an entry is idle since."""
        self.deliveries = deliveries


class Consumer:
    """Somebody who reads for a group: a name and what it has to do. All times are unix ms."""

    __slots__ = ("active_ms", "name", "pel", "seen_ms")

    def __init__(self, name: bytes, seen_ms: int, active_ms: int = NEVER) -> None:
        self.name = name
        self.pel: SortedDict[StreamId, Pending] = SortedDict()
        self.seen_ms = seen_ms
        """When it last asked..."""
        self.active_ms = active_ms
        """...and when it was last given something."""


class Group:
    """A consumer group."""

    __slots__ = ("consumers", "entries_read", "last_id", "pel")

    def __init__(self, last_id: StreamId, entries_read: int | None = None) -> None:
        self.last_id = last_id
        self.entries_read = entries_read
        """How many entries of all that ever were come up to `last_id`; None if nobody knows. See Stream.lag."""
        self.pel: SortedDict[StreamId, Pending] = SortedDict()
        self.consumers: SortedDict[bytes, Consumer] = SortedDict()

    # --- Consumers ---------------------------------------------------------------------------------------------------

    def add_consumer(self, name: bytes, now_ms: int) -> Consumer:
        """A new consumer; there must be none of that name. O(log consumers)."""
        assert name not in self.consumers, "a consumer is made once"
        made = self.consumers[name] = Consumer(name, now_ms)
        return made

    def delete_consumer(self, name: bytes) -> int:
        """Remove a consumer and forget what it had to do; how many entries those were. O(p of it)."""
        gone = self.consumers.pop(name)
        for entry_id in gone.pel:
            del self.pel[entry_id]
        return len(gone.pel)

    # --- Entries -----------------------------------------------------------------------------------------------------

    def deliver(self, entry_id: StreamId, consumer: Consumer, now_ms: int) -> Pending:
        """Give an entry to a consumer for the first time; who had it before has it no longer. O(log p)."""
        pending: Pending | None = self.pel.get(entry_id)
        if pending is None:
            return self.add(entry_id, consumer, now_ms)
        self.give(entry_id, pending, consumer)
        pending.delivered_ms, pending.deliveries = now_ms, 1
        return pending

    def add(self, entry_id: StreamId, consumer: Consumer, delivered_ms: int, deliveries: int = 1) -> Pending:
        """Note that an entry, which is not pending, is pending. O(log p)."""
        pending = self.pel[entry_id] = consumer.pel[entry_id] = Pending(consumer, delivered_ms, deliveries)
        return pending

    def give(self, entry_id: StreamId, pending: Pending, consumer: Consumer) -> None:
        """Make `consumer` the owner of what is pending. O(log p)."""
        if pending.consumer is not consumer:
            del pending.consumer.pel[entry_id]
            consumer.pel[entry_id] = pending
            pending.consumer = consumer

    def acknowledge(self, entry_id: StreamId) -> bool:
        """An entry is done with; whether it was pending. O(log p)."""
        pending = self.pel.pop(entry_id, None)
        if pending is None:
            return False
        del pending.consumer.pel[entry_id]
        return True

    # --- As a whole --------------------------------------------------------------------------------------------------

    def copy(self) -> Group:
        """A group that shares nothing. O(p)."""
        twin = Group(self.last_id, self.entries_read)
        for name, consumer in self.consumers.items():
            twin.consumers[name] = Consumer(name, consumer.seen_ms, consumer.active_ms)
        for entry_id, pending in self.pel.items():
            owner = twin.consumers[pending.consumer.name]
            twin.add(entry_id, owner, pending.delivered_ms, pending.deliveries)
        return twin

    def check(self) -> None:
        """Assert the invariants of the module's docstring. O(p)."""
        owned = sum(len(consumer.pel) for consumer in self.consumers.values())
        assert owned == len(self.pel), "(1) what the consumers have pending is not what the group has"
        for name, consumer in self.consumers.items():
            assert consumer.name == name, "(2) a consumer goes by another name"
            for entry_id, pending in consumer.pel.items():
                assert self.pel.get(entry_id) is pending, "(1) a consumer has pending what the group has not"
                assert pending.consumer is consumer, "(2) a pending entry names another consumer"


def pending_range(
    pel: SortedDict[StreamId, Pending], start: StreamId, end: StreamId = MAX_ID
) -> Iterator[tuple[StreamId, Pending]]:
    """What is pending from one id to another, in order; the list must not change meanwhile. O(log p + those)."""
    for entry_id in pel.irange(start, end):
        yield entry_id, pel[entry_id]
