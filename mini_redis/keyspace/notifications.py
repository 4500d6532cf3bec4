"""Keyspace notifications: what happened to which key, told over pub/sub to whoever asked.

Question they answer: how does a client learn that a key changed or expired without asking again and again? Each command
that changes a key names an *event* ("set", "expire", "del"...), and up to two messages are published for it:

    channel __keyspace@<db>__:<key>     message <event>     what happens to this key?
    channel __keyevent@<db>__:<event>   message <key>       to which keys does this happen?

Almost nobody listens, so it is off by default, and what is on is chosen by `notify-keyspace-events`: K and E choose the
channels, the other letters choose classes of events. Both are needed: "K" or "A" alone says nothing to anybody.

    K keyspace channels    E keyevent channels    A all of g$lshzxetd
    g generic    $ string    l list    s set    h hash    z sorted set    t stream    d module
    x expired    e evicted    m key miss    n new key    o overwritten    c type changed

What a listener must know:

- Delivery is pub/sub: at most once, and never to a client that was away.
- "expired" is published when the key is *deleted*, by a lookup or by the active cycle, not at the moment its time
  is up; a key that nobody looks at may be announced late.
- A miss or an expiry does not change the dataset, and "m", "n", "o" and "c" would multiply the traffic of each
  command; so they are not part of "A".
- Events of one command arrive in the order in which it did things: RENAME says "rename_from", then "rename_to".

An event's class follows from its name, except in Redis, where each call site repeats it. One table, `EVENTS`, replaces
those; an unknown name is an error of ours.

The words o and c are accepted though the error text of Redis 8.2.3 does not list them, and A swallows n, o and c when
the setting is read back (CONFIG GET after "KEAn" says "AKE"), although the class stays on. Both verified.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from mini_redis.keyspace.types import Value, type_of

if TYPE_CHECKING:
    from mini_redis.keyspace.database import Database, Keyspace

KEYSPACE: Final = 1 << 0
KEYEVENT: Final = 1 << 1
GENERIC: Final = 1 << 2
STRING: Final = 1 << 3
LIST: Final = 1 << 4
SET: Final = 1 << 5
HASH: Final = 1 << 6
ZSET: Final = 1 << 7
EXPIRED: Final = 1 << 8
EVICTED: Final = 1 << 9
STREAM: Final = 1 << 10
KEY_MISS: Final = 1 << 11
MODULE: Final = 1 << 12
NEW: Final = 1 << 13
OVERWRITTEN: Final = 1 << 14
TYPE_CHANGED: Final = 1 << 15

ALL: Final = GENERIC | STRING | LIST | SET | HASH | ZSET | EXPIRED | EVICTED | STREAM | MODULE

# In the order in which CONFIG GET spells them; the first group is what "A" stands for or hides.
_HIDDEN_BY_ALL: Final[tuple[tuple[int, bytes], ...]] = (
    (GENERIC, b"g"),
    (STRING, b"$"),
    (LIST, b"l"),
    (SET, b"s"),
    (HASH, b"h"),
    (ZSET, b"z"),
    (EXPIRED, b"x"),
    (EVICTED, b"e"),
    (STREAM, b"t"),
    (MODULE, b"d"),
    (NEW, b"n"),
    (OVERWRITTEN, b"o"),
    (TYPE_CHANGED, b"c"),
)
_ALWAYS_SHOWN: Final[tuple[tuple[int, bytes], ...]] = ((KEYSPACE, b"K"), (KEYEVENT, b"E"), (KEY_MISS, b"m"))

_FLAG_OF_LETTER: Final[dict[int, int]] = {ord("A"): ALL} | {
    letter[0]: flag for flag, letter in _HIDDEN_BY_ALL + _ALWAYS_SHOWN
}

_EVENTS_OF_CLASS: Final[dict[int, str]] = {
    GENERIC: "del rename_from rename_to move_from move_to copy_to restore expire persist",
    STRING: "set setrange incrby incrbyfloat append setbit pfadd",
    LIST: "lpush rpush lpop rpop linsert lset lrem ltrim sortstore",
    SET: "sadd srem spop sinterstore sunionstore sdiffstore",
    HASH: "hset hincrby hincrbyfloat hdel hexpire hpersist hexpired",
    ZSET: (
        "zadd zincr zrem zremrangebyscore zremrangebyrank zremrangebylex zpopmin zpopmax zinterstore zunionstore "
        "zdiffstore zrangestore georadiusstore geosearchstore"
    ),
    STREAM: (
        "xadd xdel xtrim xsetid xgroup-create xgroup-createconsumer xgroup-delconsumer xgroup-destroy xgroup-setid"
    ),
    EXPIRED: "expired",
    EVICTED: "evicted",
    KEY_MISS: "keymiss",
    NEW: "new",
    OVERWRITTEN: "overwritten",
    TYPE_CHANGED: "type_changed",
}

EVENTS: Final[dict[str, int]] = {event: flag for flag, events in _EVENTS_OF_CLASS.items() for event in events.split()}
"""Event name -> its class. Names are protocol."""
NO_EVENT: Final = ""
"""What a module says that changed a key without telling anybody: vector sets."""
EVENTS[NO_EVENT] = 0

Publish = Callable[[bytes, bytes], object]
"""Takes a channel and a message."""


def event_class(event: str) -> int:
    """Return the class bit of an event. KeyError for a name that Redis does not have: our mistake."""
    return EVENTS[event]


def notify(flags: int, publish: Publish, db_id: int, key: bytes, event: str) -> None:
    """Publish what `flags` select of an event that happened to `key`, the keyspace channel first. O(1)."""
    if not flags & EVENTS[event]:
        return
    if flags & KEYSPACE:
        publish(b"__keyspace@%d__:%b" % (db_id, key), event.encode())
    if flags & KEYEVENT:
        publish(b"__keyevent@%d__:%b" % (db_id, event.encode()), key)


def attach(keyspace: Keyspace, flags: int, publish: Publish) -> None:
    """Let the keyspace announce what only lookups and bindings see: `keymiss`, `new`, `overwritten`, `type_changed`.

    Where nobody wants to know, the hooks are None and cost nothing.
    """

    def announce(event: str) -> Callable[[Database, bytes], None]:
        return lambda db, key: notify(flags, publish, db.id, key, event)

    def overwritten(db: Database, key: bytes, before: Value, after: Value) -> None:
        notify(flags, publish, db.id, key, "overwritten")
        if type_of(before) is not type_of(after):
            notify(flags, publish, db.id, key, "type_changed")

    keyspace.on_miss = announce("keymiss") if flags & KEY_MISS else None
    keyspace.on_new = announce("new") if flags & NEW else None
    keyspace.on_overwritten = overwritten if flags & (OVERWRITTEN | TYPE_CHANGED) else None


def parse_flags(text: bytes) -> int:
    """Read the value of `notify-keyspace-events`; ValueError with the protocol's text for a letter it does not know.

    As a C string, `text` ends at its first zero byte.
    """
    flags = 0
    for letter in text.partition(b"\0")[0]:
        if letter not in _FLAG_OF_LETTER:
            raise ValueError("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.")
        flags |= _FLAG_OF_LETTER[letter]
    return flags


def format_flags(flags: int) -> bytes:
    """Spell flags as CONFIG GET does: fixed order, "A" when all its classes are on."""
    hidden = b"A" if flags & ALL == ALL else b"".join(letter for flag, letter in _HIDDEN_BY_ALL if flags & flag)
    return hidden + b"".join(letter for flag, letter in _ALWAYS_SHOWN if flags & flag)
