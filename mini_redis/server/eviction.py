"""maxmemory: what happens when the data is larger than it may be.

Question it answers: a cache is full. Does the next SET fail, or does something else have to go, and when is that
decided? *Before* each command, of whatever kind:

    used memory <= maxmemory          go on
    else evict keys, one at a time (keyspace/eviction.py), until it is, or
         nothing may be evicted       commands that could need memory (flag `denyoom`) are refused; all others run
         time is up                   go on, as if it was enough, and evict more in the next turns of the loop

So `maxmemory` is no wall: the command that was let in may need any amount, and the next one pays for it. "Time" is 500
microseconds by default; `maxmemory-eviction-tenacity` is the knob (0: none, 10: 500 us, 20: 2 ms, 50: 134 ms, 100: no
limit). It is looked at after every 16 keys.

A transaction is one command here: what it may do is decided before EXEC. So is a script. While clients are paused or a
script does not end, nothing is evicted and nothing is refused, for the data is to stand still.

An evicted key is deleted in the log and on replicas by a DEL (UNLINK with `lazyfree-lazy-eviction`) of its own, outside
of any transaction; watchers and listeners hear of it.

**What real Redis does differently.** Used memory is what its allocator has given out. Here it is an estimate of the
same by the layout of the data (server/memory.py), so the same commands evict the same keys on every machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mini_redis.keyspace.eviction import POLICIES, Evictor
from mini_redis.server.memory import used_memory

if TYPE_CHECKING:
    from mini_redis.server.node import Server

KEYS_PER_CLOCK: Final = 16
ENOUGH, GOES_ON, NOTHING_LEFT = range(3)


def time_limit_us(tenacity: int) -> float:
    """How long evicting may take before a command: linear up to 500 us at 10, then 15 % more for each step."""
    if tenacity <= 10:
        return 50.0 * tenacity
    return 500.0 * 1.15 ** (tenacity - 10) if tenacity < 100 else float("inf")


class Eviction:
    """The evictions of one node."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._evictor = Evictor(server.rng)
        self.out_of_memory = False
        """Whether, before the running command, there was too little memory and nothing to evict."""
        self.is_due = False
        """There is more to evict: at the next tick."""
        self._exceeded_since_ns: int | None = None
        self.reset_statistics()

    def reset_statistics(self) -> None:
        """CONFIG RESETSTAT's part."""
        self.evicted_keys = 0
        self._exceeded_ns = 0
        self._exceeded_since_ns = None

    @property
    def exceeded_ms(self) -> tuple[int, int]:
        """How long memory has been exceeded: in all, and this time."""
        since = self._exceeded_since_ns
        current = 0 if since is None else self._server.monotonic_ns() - since
        return (self._exceeded_ns + current) // 1_000_000, current // 1_000_000

    def configure(self) -> None:
        """Obey `maxmemory-policy` and `maxmemory-samples`."""
        config = self._server.config
        policy = POLICIES[config.maxmemory_policy]
        if policy is not self._evictor.policy:
            self._evictor.policy = policy
            self._evictor.forget()
        self._evictor.samples = config.maxmemory_samples

    def limit_changed(self) -> None:
        """CONFIG SET maxmemory: evict as soon as this command is over, and warn of it."""
        server = self._server
        limit, used = server.config.maxmemory, used_memory(server)
        if not limit:
            return
        if limit < used:
            server.log(
                "#",
                f"WARNING: the new maxmemory value set via CONFIG SET ({limit}) is smaller than the current memory"
                f" usage ({used}). This will result in key eviction and/or the inability to accept new write commands"
                " depending on the maxmemory-policy.",
            )
        self.is_due = True
        server.wake_at(server.now_ms)

    def make_room(self) -> bool:
        """Before a command: evict keys if need be; whether there is room for what it could need. O(1) if there was,
        else what the time limit allows."""
        server = self._server
        if self._exceeded_since_ns is None and used_memory(server) <= server.config.maxmemory:
            self.out_of_memory = False  # as nearly always
            return True
        pubsub = server.pubsub
        pubsub.at_once = True
        self.out_of_memory = self._evict() == NOTHING_LEFT
        pubsub.at_once = False
        return not self.out_of_memory

    def resume(self) -> None:
        """The tick: evict more, if that had to stop."""
        self.is_due = False
        if self._server.config.maxmemory:
            self._evict()

    def _evict(self) -> int:
        """Evict keys until memory is not exceeded any more: ENOUGH; or time is up: GOES_ON; or NOTHING_LEFT."""
        server = self._server
        if server.paused_until_ms or server.scripting.busy:
            return ENOUGH
        excess = used_memory(server) - server.config.maxmemory
        outcome = ENOUGH
        if excess > 0:
            start_ns = server.monotonic_ns()
            outcome = self._evict_bytes(excess, start_ns)
            duration_ns = server.monotonic_ns() - start_ns
            server.observation.latency.note(b"eviction-cycle", duration_ns, server.observation.now_s)
        self._take_time(outcome != ENOUGH)
        return outcome

    def _evict_bytes(self, excess: int, start_ns: int) -> int:
        server = self._server
        databases = server.keyspace.databases
        lazily = server.config.lazyfree_lazy_eviction
        until_ns = start_ns + time_limit_us(server.config.maxmemory_eviction_tenacity) * 1000
        evicted = 0
        while excess > 0:
            found = self._evictor.choose(databases)
            if found is None:
                return NOTHING_LEFT
            db, key = found
            before = db.used_bytes
            db.delete(key, lazily)
            excess -= before - db.used_bytes
            evicted += 1
            self.evicted_keys += 1
            server.key_evicted(db, key)
            if evicted % KEYS_PER_CLOCK == 0 and excess > 0 and server.monotonic_ns() > until_ns:
                self.is_due = True
                server.wake_at(server.now_ms)
                return GOES_ON
        return ENOUGH

    def _take_time(self, exceeded: bool) -> None:
        if exceeded and self._exceeded_since_ns is None:
            self._exceeded_since_ns = self._server.monotonic_ns()
        elif not exceeded and self._exceeded_since_ns is not None:
            self._exceeded_ns += self._server.monotonic_ns() - self._exceeded_since_ns
            self._exceeded_since_ns = None
