"""Sets: add, remove, ask, choose by chance; and what several sets have in common.

Which of its three shapes a set has (structures/set.py) is decided where a member is added: `add_member`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from mini_redis.commands.arguments import at_least, count_of_drawn, limit_of
from mini_redis.commands.keyspecs import counted_keys, key_at, key_range
from mini_redis.commands.registry import DENYOOM, FAST, READONLY, WRITE, command
from mini_redis.commands.scan import scan_members
from mini_redis.keyspace.types import SET
from mini_redis.resp.reply import (
    NOT_POSITIVE,
    NUMKEYS_NOT_POSITIVE,
    SYNTAX_ERROR,
    TOO_MANY_KEYS,
    Reply,
    SetReply,
)
from mini_redis.structures.numbers import is_canonical_integer
from mini_redis.structures.set import HASHTABLE, INTSET, LISTPACK, Set

if TYPE_CHECKING:
    from mini_redis.server.context import Context

REMOVED_AT_ONCE: Final = 1024
"""How many members one propagated SREM names at most."""


# --- Shapes ----------------------------------------------------------------------------------------------------------


def new_set(ctx: Context, member: bytes, expected: int) -> Set:
    """An empty set of the shape that suits its first member and how many are to come."""
    members, config = Set(), ctx.server.config
    if is_canonical_integer(member) and expected <= config.set_max_intset_entries:
        return members
    members.become_listpack()
    if expected > config.set_max_listpack_entries:
        members.become_table()
    return members


def add_member(ctx: Context, members: Set, member: bytes) -> bool:
    """Add a member, after the set has got a shape that takes it; whether it is new."""
    config = ctx.server.config
    if members.encoding is INTSET:
        if is_canonical_integer(member):
            is_new = members.add(member)
            if len(members) > config.set_max_intset_entries:
                members.become_table()
            return is_new
        if _suits_listpack(ctx, members, member) and _longest_number(members) <= config.set_max_listpack_value:
            members.become_listpack()
        else:
            members.become_table()
    elif members.encoding is LISTPACK and member not in members and not _suits_listpack(ctx, members, member):
        members.become_table()
    return members.add(member)


def _suits_listpack(ctx: Context, members: Set, member: bytes) -> bool:
    config = ctx.server.config
    return len(members) < config.set_max_listpack_entries and len(member) <= config.set_max_listpack_value


def _longest_number(members: Set) -> int:
    numbers = members.numbers
    return max(len(b"%d" % numbers[0]), len(b"%d" % numbers[-1])) if numbers else 0


# --- One set ---------------------------------------------------------------------------------------------------------


@command(
    "SADD key member ...",
    flags=WRITE | DENYOOM | FAST,
    acl="set",
    since="1.0.0",
    complexity=(
        "O(1) for each element added, so O(N) to add N elements when the command is called with multiple "
        "arguments."
    ),
    keys=key_at(1, "RW insert"),
)
def sadd(ctx: Context, argv: list[bytes]) -> Reply:
    """Add members to a set; without key, that makes the set.

    Answers how many are new. Errors: WRONGTYPE.
    """
    key = argv[1]
    found = ctx.db.write(key, SET)
    if found is None:
        members = new_set(ctx, argv[2], len(argv) - 2)
    else:
        members = found
        if members.encoding is not HASHTABLE and len(argv) - 2 > _most_entries(ctx, members):
            members.become_table()

    added = 0
    if members.encoding is HASHTABLE:
        for member in argv[2:]:
            added += members.add(member)
    else:
        for member in argv[2:]:
            added += add_member(ctx, members, member)
    if found is None:
        ctx.db.set(key, members)

    if added:
        ctx.changed(key, "sadd", added)
    return added


def _most_entries(ctx: Context, members: Set) -> int:
    """What a set that is no table yet may hold without becoming one."""
    config = ctx.server.config
    return config.set_max_intset_entries if members.encoding is INTSET else config.set_max_listpack_entries


@command(
    "SREM key member ...",
    flags=WRITE | FAST,
    acl="set",
    since="1.0.0",
    complexity="O(N) where N is the number of members to be removed.",
    keys=key_at(1, "RW delete"),
)
def srem(ctx: Context, argv: list[bytes]) -> Reply:
    """Remove members of a set; the last one takes the key with it.

    Answers how many were there. Errors: WRONGTYPE.
    """
    key = argv[1]
    members = ctx.db.write(key, SET)
    if members is None:
        return 0
    removed = sum(map(members.discard, argv[2:]))
    if removed:
        ctx.shrank(key, members, "srem", removed)
    return removed


@command(
    "SMOVE source destination member",
    flags=WRITE | FAST,
    acl="set",
    since="1.0.0",
    complexity="O(1)",
    keys=(key_at(1, "RW access delete"), key_at(2, "RW insert")),
)
def smove(ctx: Context, argv: list[bytes]) -> Reply:
    """Move a member from one set to another: 1, or 0 if it is not there.

    Errors: WRONGTYPE.
    """
    source, target, member = argv[1:]
    here: Set | None = ctx.db.write(source, SET)
    if here is None:
        return 0
    there: Set | None = ctx.db.write(target, SET)
    if here is there:
        return int(member in here)
    if not here.discard(member):
        return 0

    ctx.notify(source, "srem")
    if not here:
        ctx.db.delete(source)
        ctx.notify(source, "del")
    if there is None:
        there = new_set(ctx, member, 1)
        ctx.db.set(target, there)
    ctx.modified(source)
    if add_member(ctx, there, member):
        ctx.changed(target, "sadd")
    return 1


@command(
    "SISMEMBER key member",
    flags=READONLY | FAST,
    acl="set",
    since="1.0.0",
    complexity="O(1)",
    keys=key_at(1, "RO"),
)
def sismember(ctx: Context, argv: list[bytes]) -> Reply:
    """Tell whether something is a member: 1 or 0.

    Errors: WRONGTYPE.
    """
    members = ctx.db.read(argv[1], SET)
    return int(members is not None and argv[2] in members)


@command(
    "SMISMEMBER key member ...",
    flags=READONLY | FAST,
    acl="set",
    since="6.2.0",
    complexity="O(N) where N is the number of elements being checked for membership",
    keys=key_at(1, "RO access"),
)
def smismember(ctx: Context, argv: list[bytes]) -> Reply:
    """Tell of several whether they are members: 1 or 0 each.

    Errors: WRONGTYPE.
    """
    members = ctx.db.read(argv[1], SET)
    return [int(members is not None and member in members) for member in argv[2:]]


@command(
    "SCARD key",
    flags=READONLY | FAST,
    acl="set",
    since="1.0.0",
    complexity="O(1)",
    keys=key_at(1, "RO"),
)
def scard(ctx: Context, argv: list[bytes]) -> Reply:
    """Count the members.

    Errors: WRONGTYPE.
    """
    members = ctx.db.read(argv[1], SET)
    return 0 if members is None else len(members)


@command(
    "SMEMBERS key",
    flags=READONLY,
    acl="set",
    since="1.0.0",
    complexity="O(N) where N is the set cardinality.",
    keys=key_at(1, "RO access"),
    tips="nondeterministic_output_order",
)
def smembers(ctx: Context, argv: list[bytes]) -> Reply:
    """List the members.

    Errors: WRONGTYPE.
    """
    members = ctx.db.read(argv[1], SET)
    return SetReply(() if members is None else members)


@command(
    "SSCAN key cursor [MATCH pattern] [COUNT count]",
    flags=READONLY,
    acl="set",
    since="2.8.0",
    complexity=(
        "O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to"
        " return back to 0. N is the number of elements inside the collection."
    ),
    keys=key_at(1, "RO access"),
    tips="nondeterministic_output",
)
def sscan(ctx: Context, argv: list[bytes]) -> Reply:
    """Go on with a walk over the members: the next cursor, and some members.

    Errors: an invalid cursor; syntax; WRONGTYPE.
    """
    return scan_members(
        ctx,
        argv,
        SET,
        lambda value: value if value.encoding is INTSET else value.members,
        lambda value, member: (member,),
    )


# --- By chance -------------------------------------------------------------------------------------------------------


@command(
    "SPOP key [count@3.2.0]",
    flags=WRITE | FAST,
    acl="set",
    since="1.0.0",
    complexity="Without the count argument O(1), otherwise O(N) where N is the value of the passed count.",
    keys=key_at(1, "RW access delete"),
    tips="nondeterministic_output",
)
def spop(ctx: Context, argv: list[bytes]) -> Reply:
    """Take a member off a set by chance; with a count, so many different ones.

    Null without key. The log and replicas see which ones went. Errors: a count that is not an integer, or negative;
    syntax; WRONGTYPE.
    """
    if len(argv) > 2:
        return _pop_many(ctx, argv)
    key = argv[1]
    members = ctx.db.write(key, SET)
    if members is None:
        return None
    member = members.pop_random(ctx.rng)
    if ctx.server.propagation.active:
        ctx.propagate_as(b"SREM", key, member)
    ctx.shrank(key, members, "spop", events_first=True)
    return member


def _pop_many(ctx: Context, argv: list[bytes]) -> Reply:
    if len(argv) > 3:
        raise SYNTAX_ERROR
    count = at_least(0, argv[2], NOT_POSITIVE)
    key = argv[1]
    members = ctx.db.write(key, SET)
    if members is None or not count:
        return SetReply()
    chosen = members.sample(ctx.rng, count)
    if len(chosen) == len(members):
        ctx.propagate_as(b"UNLINK" if ctx.server.config.lazyfree_lazy_server_del else b"DEL", key)
    else:
        for at in range(0, len(chosen), REMOVED_AT_ONCE):
            ctx.propagate_as(b"SREM", key, *chosen[at : at + REMOVED_AT_ONCE])
    for member in chosen:
        members.discard(member)
    ctx.shrank(key, members, "spop", len(chosen), events_first=True)
    return SetReply(chosen)


@command(
    "SRANDMEMBER key [count@2.6.0]",
    flags=READONLY,
    acl="set",
    since="1.0.0",
    complexity="Without the count argument O(1), otherwise O(N) where N is the absolute value of the passed count.",
    keys=key_at(1, "RO access"),
    tips="nondeterministic_output",
)
def srandmember(ctx: Context, argv: list[bytes]) -> Reply:
    """Choose members by chance: one, so many different ones, or, for a negative count, so many with repetition.

    Errors: a count that is not an integer or out of range; syntax; WRONGTYPE.
    """
    if len(argv) > 3:
        raise SYNTAX_ERROR
    if len(argv) == 2:
        members = ctx.db.read(argv[1], SET)
        return None if members is None else members.random(ctx.rng)
    count, _ = count_of_drawn(argv[2:])
    members = ctx.db.read(argv[1], SET)
    if members is None or not count:
        return []
    if count > 0:
        return members.sample(ctx.rng, count)
    if members.encoding is LISTPACK:
        return ctx.rng.choices(list(members), k=-count)
    return [members.random(ctx.rng) for _ in range(-count)]


# --- Several sets ----------------------------------------------------------------------------------------------------


@command(
    "SINTER key ...",
    flags=READONLY,
    acl="set",
    since="1.0.0",
    complexity="O(N*M) worst case where N is the cardinality of the smallest set and M is the number of sets.",
    keys=key_range(1, -1, "RO access"),
    tips="nondeterministic_output_order",
)
def sinter(ctx: Context, argv: list[bytes]) -> Reply:
    """List what is a member of all sets.

    Errors: WRONGTYPE.
    """
    return SetReply(_intersection(_sets(ctx, argv[1:])))


@command(
    "SUNION key ...",
    flags=READONLY,
    acl="set",
    since="1.0.0",
    complexity="O(N) where N is the total number of elements in all given sets.",
    keys=key_range(1, -1, "RO access"),
    tips="nondeterministic_output_order",
)
def sunion(ctx: Context, argv: list[bytes]) -> Reply:
    """List what is a member of any set.

    Errors: WRONGTYPE.
    """
    return SetReply(_union(_sets(ctx, argv[1:])))


@command(
    "SDIFF key ...",
    flags=READONLY,
    acl="set",
    since="1.0.0",
    complexity="O(N) where N is the total number of elements in all given sets.",
    keys=key_range(1, -1, "RO access"),
    tips="nondeterministic_output_order",
)
def sdiff(ctx: Context, argv: list[bytes]) -> Reply:
    """List what is a member of the first set and of no other.

    Errors: WRONGTYPE.
    """
    return SetReply(_difference(_sets(ctx, argv[1:])))


@command(
    "SINTERCARD numkeys key ... [LIMIT limit]",
    flags=READONLY,
    acl="set",
    since="7.0.0",
    complexity="O(N*M) worst case where N is the cardinality of the smallest set and M is the number of sets.",
    keys=counted_keys(1, "RO access"),
)
def sintercard(ctx: Context, argv: list[bytes]) -> Reply:
    """Count what is a member of all sets, up to LIMIT (0: no limit).

    Errors: numkeys not positive or more than there are keys; a limit that is negative; syntax; WRONGTYPE.
    """
    numkeys = at_least(1, argv[1], NUMKEYS_NOT_POSITIVE)
    if numkeys > len(argv) - 2:
        raise TOO_MANY_KEYS
    limit = limit_of(argv[2 + numkeys :])
    counted = 0
    for _ in _intersection(_sets(ctx, argv[2 : 2 + numkeys])):
        counted += 1
        if counted == limit:
            break
    return counted


@command(
    "SINTERSTORE destination key ...",
    flags=WRITE | DENYOOM,
    acl="set",
    since="1.0.0",
    complexity="O(N*M) worst case where N is the cardinality of the smallest set and M is the number of sets.",
    keys=(key_at(1, "OW update"), key_range(2, -1, "RO access")),
)
def sinterstore(ctx: Context, argv: list[bytes]) -> Reply:
    """Store what is a member of all sets.

    Answers how many that are. Errors: WRONGTYPE.
    """
    sets = _sets(ctx, argv[2:])
    common = list(_intersection(sets))
    result = Set()
    if common and not _smallest_is_intset(sets):
        result.become_listpack()
    for member in common:
        add_member(ctx, result, member)
    fits_intset = len(result) <= ctx.server.config.set_max_intset_entries
    if result.encoding is not INTSET and fits_intset and all(map(is_canonical_integer, result)):
        result = _of_numbers(result)
    return ctx.store(argv[1], result, "sinterstore")


def _smallest_is_intset(sets: list[Set | None]) -> bool:
    return min((members for members in sets if members is not None), key=len).encoding is INTSET


def _of_numbers(members: Iterable[bytes]) -> Set:
    result = Set()
    for member in members:
        result.add(member)
    return result


@command(
    "SUNIONSTORE destination key ...",
    flags=WRITE | DENYOOM,
    acl="set",
    since="1.0.0",
    complexity="O(N) where N is the total number of elements in all given sets.",
    keys=(key_at(1, "OW update"), key_range(2, -1, "RO access")),
)
def sunionstore(ctx: Context, argv: list[bytes]) -> Reply:
    """Store what is a member of any set.

    Answers how many that are. Errors: WRONGTYPE.
    """
    result = Set()
    for member in _union(_sets(ctx, argv[2:])):
        add_member(ctx, result, member)
    return ctx.store(argv[1], result, "sunionstore")


@command(
    "SDIFFSTORE destination key ...",
    flags=WRITE | DENYOOM,
    acl="set",
    since="1.0.0",
    complexity="O(N) where N is the total number of elements in all given sets.",
    keys=(key_at(1, "OW update"), key_range(2, -1, "RO access")),
)
def sdiffstore(ctx: Context, argv: list[bytes]) -> Reply:
    """Store what is a member of the first set and of no other.

    Answers how many that are. Errors: WRONGTYPE.
    """
    sets = _sets(ctx, argv[2:])
    result = Set()
    first = sets[0]
    if first is not None and _removing_is_cheaper(sets):
        for member in first:
            add_member(ctx, result, member)
        for members in sets[1:]:
            for member in members or ():
                result.discard(member)
    else:
        for member in _difference(sets):
            add_member(ctx, result, member)
    return ctx.store(argv[1], result, "sdiffstore")


def _removing_is_cheaper(sets: list[Set | None]) -> bool:
    """Whether Redis copies the first set and removes the others' members, instead of asking them about each of its own.

    Visible in the encoding of what is stored: a set that was large once stays a table.
    """
    sizes = [len(members) for members in sets if members is not None]
    first = len(sets[0] or ())
    return first * len(sizes) // 2 > sum(sizes)


def _sets(ctx: Context, keys: list[bytes]) -> list[Set | None]:
    return [ctx.db.read(key, SET) for key in keys]


def _intersection(sets: list[Set | None]) -> Iterable[bytes]:
    """In the order of the smallest. O(its size * the number of sets)."""
    present = [members for members in sets if members is not None]
    if len(present) < len(sets):
        return ()
    smallest, *others = sorted(present, key=len)
    return (member for member in smallest if all(member in other for other in others))


def _union(sets: list[Set | None]) -> Iterable[bytes]:
    """In the order of the sets. O(sum of sizes)."""
    return dict.fromkeys(member for members in sets if members is not None for member in members)


def _difference(sets: list[Set | None]) -> Iterable[bytes]:
    """In the order of the first. O(its size * the number of sets)."""
    others = [members for members in sets[1:] if members is not None]
    return (member for member in sets[0] or () if not any(member in other for other in others))
