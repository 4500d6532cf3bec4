"""The active expire cycle: how keys leave that nobody asks for any more.

Question it answers: a key whose time is up is deleted by the next command that looks at it. But a session that never
comes back is never looked at. Who frees its memory, without a timer for each key and without stopping the server?

Three answers come to mind. A timer per key, or a heap of deadlines, knows the next one exactly; it costs memory, and
O(log n) at every EXPIRE, of which there are far more than expiries (each SETEX that renews a session is one). Walking
over everything is cheap per key and stops the server. Redis samples: look at a few keys with a TTL, delete the dead
ones, and let *how many were dead* decide whether to look at more. Nobody needs every dead key gone; the dead must be
few, that is all.

    at each cron, and before sleeping if work was left behind:
    +- for each database (the next one first)
    |     +- look at 20 keys that have a TTL
    |     |  delete the expired ones
    |     +- more than 10 % of them were dead, and the walk has not come round?  again
    +- until time is up: 25 % of the cron's period

This is a thermostat. When few keys are dead it costs 20 lookups; when many died at once (a batch loaded with the same
TTL) it works until less than a tenth of the *keys with a TTL* is dead weight. **Ten percent, not twenty-five:** the
25 of so many explanations was the bound on dead keys up to Redis 5; since 6.0 25 is only the share of CPU time, and
the bound is 10, lowered by `active-expire-effort` down to 1.

**Two cycles.** The *slow* one runs at each cron (`hz` times a second) and may take 25 % of that period: at hz 10, 25 of
each 100 ms. If it had to stop early there is more to do than fits, so the *fast* one runs before the loop sleeps, at
most every 2 ms and for at most 1 ms: many short interruptions instead of a long one.

    effort            1     2    ...    10      (active-expire-effort)
    keys per look    20    25           65
    slow, % of CPU   25    27           43
    fast, us       1000  1250         3250
    dead at most, %  10     9            1

**Sampling or walking?** Up to Redis 5 the keys were drawn at random. Drawing cannot promise to find the last dead ones:
they are drawn as rarely as the living are many. A cursor that goes round the keys meets every one, and coming round is
a natural end: `expires` is an IndexedDict, its `scan` continues from a position, deletions during the walk included. A
slot here is what a bucket is there; both may be empty, so a look visits at most 20 slots for each key it wants.

**Fields of hashes** are another matter: sampling would have to look into every hash. So each database knows when the
first field of each hash with such fields is over (`field_deadlines`), and the slow cycle takes them in that order, as
many in a cron as make 10,000 in a second, from all databases.

**What Redis writes and what it does.** Redis also starts a fast cycle when its running estimate of dead keys exceeds
the bound. It compares a ratio (0 to 1) with a percentage (10), so that this never happens below effort 10. We compare
percent with percent, as its comment and its documentation describe.

Invariants:
(1) Only keys in `expires` whose time is before now are touched.
(2) A cycle ends: it stops at a database once the walk came round, or few of those seen were dead, or time is up (looked
    at every 16 looks, so a cycle may overrun by 16 looks).
(3) A database at which time was up is not the first one next time: everybody gets a turn.
(4) Given the same keys, clock and cursors, the same keys are deleted in the same order; no chance is involved.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from mini_redis.structures.hash import Hash

if TYPE_CHECKING:
    from mini_redis.keyspace.database import Database

KEYS_PER_LOOK: Final = 20
FAST_US: Final = 1000
SLOW_PERCENT_OF_CPU: Final = 25
STALE_PERCENT: Final = 10
LOOKS_PER_CLOCK: Final = 16
SLOTS_PER_KEY: Final = 20
DATABASES_PER_CYCLE: Final = 16
FIELDS_PER_SECOND: Final = 10_000


class ActiveExpire:
    """The cycle of one node: where it stands, how it fared.

    `monotonic_ns` is a clock in nanoseconds. `slow` belongs into the cron, `fast` before the loop sleeps;
    neither may be called where expiry is suspended (a replica, CLIENT PAUSE, DEBUG SET-ACTIVE-EXPIRE 0). What it means
    that a key expires (propagation, the "expired" event, the count) is the business of `Database.delete_expired`.
    """

    __slots__ = (
        "_monotonic_ns",
        "_next_db",
        "_next_fast_us",
        "_ran_out_of_time",
        "on_cycle",
        "stale_percent",
        "time_cap_reached",
        "time_used_us",
    )

    def __init__(self, monotonic_ns: Callable[[], int]) -> None:
        self._monotonic_ns = monotonic_ns
        self._next_db = 0
        self._next_fast_us = 0
        self._ran_out_of_time = False
        self.on_cycle: Callable[[int], None] = lambda duration_ns: None
        self.reset_statistics()

    def reset_statistics(self) -> None:
        """CONFIG RESETSTAT's part."""
        self.stale_percent = 0.0
        """Running estimate of how many of the keys with a TTL are dead: INFO's expired_stale_perc."""
        self.time_cap_reached = 0
        """How many cycles ended because time was up: expired_time_cap_reached_count."""
        self.time_used_us = 0
        """Divided by 1000: expire_cycle_cpu_milliseconds."""

    def _now_us(self) -> int:
        return self._monotonic_ns() // 1000

    def slow(self, databases: Sequence[Database], now_ms: int, hz: int = 10, effort: int = 1) -> None:
        """Run the cron's cycle: at most 25 % (effort 1) of a period of 1/hz seconds."""
        percent = SLOW_PERCENT_OF_CPU + 2 * (effort - 1)
        self._cycle(databases, now_ms, effort, limit_us=max(1, percent * 1_000_000 // hz // 100))
        left = FIELDS_PER_SECOND // hz
        for db in databases:
            if db.field_deadlines:
                left -= _expire_fields(db, now_ms, left)

    def fast(self, databases: Sequence[Database], now_ms: int, effort: int = 1) -> None:
        """Run the cycle before sleeping, if the last one left work behind. Returns at once otherwise, and if the last
        fast cycle began less than twice its duration ago."""
        if not self._ran_out_of_time and self.stale_percent < STALE_PERCENT - (effort - 1):
            return
        start = self._now_us()
        if start < self._next_fast_us:
            return
        limit_us = FAST_US + FAST_US // 4 * (effort - 1)
        self._next_fast_us = start + 2 * limit_us
        self._cycle(databases, now_ms, effort, limit_us)

    def _cycle(self, databases: Sequence[Database], now_ms: int, effort: int, limit_us: int) -> None:
        start = self._now_us()
        # All databases after a cycle that ran out of time: the garbage may be in any of them.
        most = len(databases) if self._ran_out_of_time else min(DATABASES_PER_CYCLE, len(databases))
        self._ran_out_of_time = False
        keys_per_look = KEYS_PER_LOOK + KEYS_PER_LOOK // 4 * (effort - 1)
        tally = _Tally(start + limit_us, now_ms, keys_per_look, STALE_PERCENT - (effort - 1))

        worked_on = 0
        for _ in databases:
            if worked_on == most or self._ran_out_of_time:
                break
            db = databases[self._next_db % len(databases)]
            self._next_db = (self._next_db + 1) % len(databases)
            if not len(db.expires):
                db.average_ttl_ms = 0
                continue
            worked_on += 1
            self._work_on(db, tally)

        duration_us = self._now_us() - start
        self.time_used_us += duration_us
        self.on_cycle(duration_us * 1000)
        dead = 100.0 * tally.expired / tally.seen if tally.seen else 0.0
        self.stale_percent = dead * 0.05 + self.stale_percent * 0.95

    def _work_on(self, db: Database, tally: _Tally) -> None:
        """Look again and again until few were dead, the walk came round, or time is up."""
        ttl_sum = ttl_count = looks_with_ttl = 0
        again = True
        while again:
            if not len(db.expires):
                db.average_ttl_ms = 0
                return
            seen, expired, ttls, ttl_total, came_round = self._look(db, tally)
            tally.seen += seen
            tally.expired += expired
            tally.looks += 1
            ttl_sum += ttl_total
            ttl_count += ttls
            looks_with_ttl += ttls > 0
            again = not came_round and (not seen or expired * 100 // seen > tally.acceptable_percent)

            clock_is_due = tally.looks % LOOKS_PER_CLOCK == 0
            if ttl_count and (clock_is_due or not again):
                db.average_ttl_ms = _running_average(db.average_ttl_ms, ttl_sum // ttl_count, looks_with_ttl)
                ttl_sum = ttl_count = looks_with_ttl = 0
            if clock_is_due and self._now_us() > tally.deadline_us:
                self._ran_out_of_time = True
                self.time_cap_reached += 1
                return

    def _look(self, db: Database, tally: _Tally) -> tuple[int, int, int, int, bool]:
        """Visit slots until enough keys were seen.

        Returns how many were seen, expired, alive; the sum of the living's TTLs; whether the walk came round.
        """
        expires, now_ms = db.expires, tally.now_ms
        wanted = min(len(expires), tally.keys_per_look)
        seen = expired = living = ttl_total = slots = 0
        while seen < wanted and slots < wanted * SLOTS_PER_KEY:
            db.expires_cursor, keys = expires.scan(db.expires_cursor, wanted - seen)
            slots += wanted - seen
            for key in keys:
                at_ms = expires[key]
                seen += 1
                if at_ms < now_ms:
                    db.delete_expired(key)
                    expired += 1
                elif at_ms > now_ms:
                    living += 1
                    ttl_total += at_ms - now_ms
            if db.expires_cursor == 0:
                return seen, expired, living, ttl_total, True
        return seen, expired, living, ttl_total, False


class _Tally:
    """The terms of one cycle, and what it has seen so far over all databases."""

    __slots__ = ("acceptable_percent", "deadline_us", "expired", "keys_per_look", "looks", "now_ms", "seen")

    def __init__(self, deadline_us: int, now_ms: int, keys_per_look: int, acceptable_percent: int) -> None:
        self.deadline_us = deadline_us
        self.now_ms = now_ms
        self.keys_per_look = keys_per_look
        self.acceptable_percent = acceptable_percent
        self.looks = self.seen = self.expired = 0


def _expire_fields(db: Database, now_ms: int, at_most: int) -> int:
    """Delete fields whose time has passed, the soonest first; how many. O(log n) for each."""
    expired = 0
    while expired < at_most and (keys := db.field_deadlines.past(now_ms, at_most=1)):
        value = db.data[keys[0]]
        assert isinstance(value, Hash) and value.deadlines is not None
        fields = value.deadlines.past(now_ms, at_most - expired)
        db.delete_expired_fields(keys[0], value, fields)
        expired += len(fields)
    return expired


def _running_average(old_ms: int, sample_ms: int, times: int) -> int:
    """INFO's avg_ttl: each look moves the average by 2 % of its distance to what was seen."""
    return sample_ms if old_ms == 0 else int(sample_ms + (old_ms - sample_ms) * 0.98**times)
