"""Lists as queues: take from the first list that has something, move between lists, and wait for what is not there yet.

A queue is a list, a producer's LPUSH and a consumer's BRPOP. Its weakness: what was popped is lost if the consumer dies
before it is done. The reliable queue moves instead: BLMOVE puts the element into a list of the consumer's own in the
same step, and LREM takes it out when the work is done; whoever inspects that list later finds what was left behind.

Each blocking command is its plain sister, and `Block` where that would have answered null: see commands/blocking.py.
What the log and replicas see is always the plain sister, with the key that was chosen and as many elements as there
were: LPOP for BLPOP, LPOP or RPOP with a count for LMPOP and BLMPOP, LMOVE for BLMOVE.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mini_redis.commands.arguments import mpop_words, one_of
from mini_redis.commands.blocking import Block, blocking_timeout
from mini_redis.commands.keyspecs import counted_keys, key_at, key_range
from mini_redis.commands.list import pop_many, pop_one, took_off
from mini_redis.commands.registry import BLOCKING, DENYOOM, WRITE, command
from mini_redis.keyspace.types import LIST
from mini_redis.resp.reply import NULL_ARRAY, Reply
from mini_redis.structures.quicklist import List

if TYPE_CHECKING:
    from mini_redis.server.context import Context

IS_HEAD: Final = {b"LEFT": True, b"RIGHT": False}
POP: Final = {True: b"LPOP", False: b"RPOP"}


# --- Pop from one of several -----------------------------------------------------------------------------------------


@command(
    "BLPOP key ... timeout/double",
    flags=WRITE | BLOCKING,
    acl="list",
    since="2.0.0",
    complexity="O(N) where N is the number of provided keys.",
    keys=key_range(1, -2, "RW access delete"),
    group="list",
)
def blpop(ctx: Context, argv: list[bytes]) -> Reply:
    """Take the first element off the first of some lists that exists, or wait for one.

    Answers key and element; null after the timeout in seconds (0: none). Errors: a timeout that is not a float, or
    negative; WRONGTYPE.
    """
    return _blocking_pop(ctx, argv, at_head=True)


@command(
    "BRPOP key ... timeout/double",
    flags=WRITE | BLOCKING,
    acl="list",
    since="2.0.0",
    complexity="O(N) where N is the number of provided keys.",
    keys=key_range(1, -2, "RW access delete"),
    group="list",
)
def brpop(ctx: Context, argv: list[bytes]) -> Reply:
    """Take the last element off the first of some lists that exists, or wait for one.

    Answers key and element; null after the timeout in seconds (0: none). Errors: a timeout that is not a float, or
    negative; WRONGTYPE.
    """
    return _blocking_pop(ctx, argv, at_head=False)


def _blocking_pop(ctx: Context, argv: list[bytes], at_head: bool) -> Reply:
    keys = argv[1:-1]
    deadline_ms = blocking_timeout(ctx, argv[-1])
    for key in keys:
        values = ctx.db.write(key, LIST)
        if values is not None:
            ctx.propagate_as(POP[at_head], key)
            return [key, pop_one(ctx, key, values, at_head)]
    return Block(keys, LIST, deadline_ms, NULL_ARRAY)


@command(
    "LMPOP numkeys key ... where:(LEFT | RIGHT) [COUNT count]",
    flags=WRITE,
    acl="list",
    since="7.0.0",
    complexity="O(N+M) where N is the number of provided keys and M is the number of elements returned.",
    keys=counted_keys(1, "RW access delete"),
    group="list",
)
def lmpop(ctx: Context, argv: list[bytes]) -> Reply:
    """Take elements, one unless COUNT says more, off an end of the first of some lists that exists.

    Answers key and elements; null without any such key. Errors: numkeys or count not positive; syntax; WRONGTYPE.
    """
    keys, at_head, count = mpop_words(argv[1:], IS_HEAD)

    popped = _pop_from_first(ctx, keys, at_head, count)
    return NULL_ARRAY if popped is None else popped


@command(
    "BLMPOP timeout/double numkeys key ... where:(LEFT | RIGHT) [COUNT count]",
    flags=WRITE | BLOCKING,
    acl="list",
    since="7.0.0",
    complexity="O(N+M) where N is the number of provided keys and M is the number of elements returned.",
    keys=counted_keys(2, "RW access delete"),
    group="list",
)
def blmpop(ctx: Context, argv: list[bytes]) -> Reply:
    """Take elements off an end of the first of some lists that exists, or wait for one.

    As LMPOP; null after the timeout in seconds (0: none). Errors: those of LMPOP; a timeout that is not a float, or
    negative.
    """
    keys, at_head, count = mpop_words(argv[2:], IS_HEAD)
    deadline_ms = blocking_timeout(ctx, argv[1])

    popped = _pop_from_first(ctx, keys, at_head, count)
    return Block(keys, LIST, deadline_ms, NULL_ARRAY) if popped is None else popped


def _pop_from_first(ctx: Context, keys: list[bytes], at_head: bool, count: int) -> list[Reply] | None:
    for key in keys:
        values = ctx.db.write(key, LIST)
        if values is not None:
            ctx.propagate_as(POP[at_head], key, b"%d" % min(count, len(values)))
            return [key, pop_many(ctx, key, values, count, at_head)]
    return None


# --- Move ------------------------------------------------------------------------------------------------------------


@command(
    "LMOVE source destination wherefrom:(LEFT | RIGHT) whereto:(LEFT | RIGHT)",
    flags=WRITE | DENYOOM,
    acl="list",
    since="6.2.0",
    complexity="O(1)",
    keys=(key_at(1, "RW access delete"), key_at(2, "RW insert")),
    group="list",
)
def lmove(ctx: Context, argv: list[bytes]) -> Reply:
    """Move an element from an end of one list to an end of another, or of the same one.

    Answers the element; null without source. Errors: syntax; WRONGTYPE.
    """
    from_head, to_head = one_of(argv[3], IS_HEAD), one_of(argv[4], IS_HEAD)
    return _move(ctx, argv[1], argv[2], from_head, to_head)


@command(
    "RPOPLPUSH source destination",
    flags=WRITE | DENYOOM,
    acl="list",
    since="1.2.0",
    complexity="O(1)",
    keys=(key_at(1, "RW access delete"), key_at(2, "RW insert")),
    group="list",
    deprecated_since="6.2.0",
    replaced_by="`LMOVE` with the `RIGHT` and `LEFT` arguments",
)
def rpoplpush(ctx: Context, argv: list[bytes]) -> Reply:
    """Move the last element of a list to the head of another, or of the same one.

    Answers the element; null without source. Errors: WRONGTYPE.
    """
    return _move(ctx, argv[1], argv[2], from_head=False, to_head=True)


@command(
    "BLMOVE source destination wherefrom:(LEFT | RIGHT) whereto:(LEFT | RIGHT) timeout/double",
    flags=WRITE | DENYOOM | BLOCKING,
    acl="list",
    since="6.2.0",
    complexity="O(1)",
    keys=(key_at(1, "RW access delete"), key_at(2, "RW insert")),
    group="list",
)
def blmove(ctx: Context, argv: list[bytes]) -> Reply:
    """Move an element between ends of lists, or wait for one to move.

    As LMOVE; null after the timeout in seconds (0: none). Errors: those of LMOVE; a timeout that is not a float, or
    negative.
    """
    from_head, to_head = one_of(argv[3], IS_HEAD), one_of(argv[4], IS_HEAD)
    deadline_ms = blocking_timeout(ctx, argv[5])

    source, target = argv[1], argv[2]
    if ctx.db.write(source, LIST) is None:
        return Block([source], LIST, deadline_ms, NULL_ARRAY, at_once=None)
    element = _move(ctx, source, target, from_head, to_head)
    ctx.propagate_as(b"LMOVE", source, target, argv[3], argv[4])
    return element


@command(
    "BRPOPLPUSH source destination timeout/double",
    flags=WRITE | DENYOOM | BLOCKING,
    acl="list",
    since="2.2.0",
    complexity="O(1)",
    keys=(key_at(1, "RW access delete"), key_at(2, "RW insert")),
    group="list",
    deprecated_since="6.2.0",
    replaced_by="`BLMOVE` with the `RIGHT` and `LEFT` arguments",
)
def brpoplpush(ctx: Context, argv: list[bytes]) -> Reply:
    """Move the last element of a list to the head of another, or wait for one to move.

    Answers the element; null after the timeout in seconds (0: none). Errors: a timeout that is not a float, or
    negative; WRONGTYPE.
    """
    deadline_ms = blocking_timeout(ctx, argv[3])

    source, target = argv[1], argv[2]
    if ctx.db.write(source, LIST) is None:
        return Block([source], LIST, deadline_ms, NULL_ARRAY, at_once=None)
    element = _move(ctx, source, target, from_head=False, to_head=True)
    ctx.propagate_as(b"RPOPLPUSH", source, target)
    return element


def _move(ctx: Context, source: bytes, target: bytes, from_head: bool, to_head: bool) -> Reply:
    db = ctx.db
    values = db.write(source, LIST)
    if values is None:
        return None
    found = db.write(target, LIST)

    element: bytes = values.pop_head() if from_head else values.pop_tail()
    receiver: List = List() if found is None else found
    receiver.reserve([element], ctx.server.config.list_max_listpack_size)
    if to_head:
        receiver.push_head(element)
    else:
        receiver.push_tail(element)
    if found is None:
        db.set(target, receiver)

    # The push is announced before the pop that it follows from; both together are one change.
    ctx.changed(target, "lpush" if to_head else "rpush", times=0)
    took_off(ctx, source, values, 1, from_head)
    return element
