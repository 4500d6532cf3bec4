"""DEBUG's looks into values and tables: LISTPACK, QUICKLIST, HTSTATS, HTSTATS-KEY, SDSLEN.

What Redis prints here is the layout of its C structures. The same questions have answers here: which elements share a
node, how large is what would be packed, how many slots has the table that SCAN walks over. Two differ by nature:

- The table is an IndexedDict, whose slots hold one key or none (a *stale* one, that was deleted). So `table size` is
  the number of slots, which is no power of two, and no chain is longer than 1.
- A string is a Python object: SDSLEN's `zmalloc` is what CPython takes for bytes of that length, and nothing is spare.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from mini_redis.commands.arguments import integer
from mini_redis.keyspace.types import STRING, type_of
from mini_redis.resp.reply import NO_SUCH_KEY, Reply, ReplyError, SimpleString, Verbatim
from mini_redis.structures.hash import Hash
from mini_redis.structures.indexed_dict import IndexedDict
from mini_redis.structures.listpack import EMPTY_SIZE, entry_size
from mini_redis.structures.numbers import format_double
from mini_redis.structures.quicklist import QUICKLIST, List
from mini_redis.structures.sorted_set import SortedSet
from mini_redis.structures.strings import string_encoding

if TYPE_CHECKING:
    from mini_redis.server.context import Context

NOT_A_LISTPACK: Final = ReplyError(b"ERR Not a listpack encoded object.")
NOT_A_QUICKLIST: Final = ReplyError(b"ERR Not a quicklist encoded object.")
NOT_A_TABLE: Final = ReplyError(b"ERR The value stored at the specified key is not represented using an hash table")
NOT_AN_SDS: Final = ReplyError(b"ERR Not an sds encoded string.")
NO_SUCH_DATABASE: Final = ReplyError(b"ERR Out of range database")
BYTES_OBJECT: Final = 33
"""What CPython adds to the bytes of a bytes object."""


def debug_listpack(ctx: Context, argv: list[bytes]) -> Reply:
    """LISTPACK key: write the elements of a small value into the log, with the bytes that each takes packed. O(n)."""
    value = _value(ctx, argv[2])
    if not _encoding(ctx, argv[2], value).startswith(b"listpack"):
        raise NOT_A_LISTPACK
    elements = list(_packed_elements(value))
    size = EMPTY_SIZE + sum(map(entry_size, elements))
    ctx.server.log("*", f"DEBUG LISTPACK: {len(elements)} elements in {size} bytes")
    for number, element in enumerate(elements):
        ctx.server.log("*", f"  {number}: {entry_size(element)} bytes, {element!r}")
    return SimpleString(b"Listpack structure printed on stdout")


def debug_quicklist(ctx: Context, argv: list[bytes]) -> Reply:
    """QUICKLIST key [1]: write the nodes of a list into the log, with 1 also their elements. O(n)."""
    value = _value(ctx, argv[2])
    if not isinstance(value, List) or value.encoding != QUICKLIST:
        raise NOT_A_QUICKLIST
    in_full = len(argv) > 3 and argv[3].strip().isdigit() and int(argv[3]) != 0
    ctx.server.log("*", f"DEBUG QUICKLIST: {len(value)} elements in {len(value.nodes)} nodes, fill {value.fill}")
    for number, node in enumerate(value.nodes):
        kind = "plain" if node.plain else "packed"
        ctx.server.log("*", f"  {number}: {kind}, {len(node.entries)} elements in {node.size} bytes")
        for element in node.entries if in_full else ():
            ctx.server.log("*", f"    {element!r}")
    return SimpleString(b"Quicklist structure printed on stdout")


def debug_htstats(ctx: Context, argv: list[bytes]) -> Reply:
    """HTSTATS dbid [full]: the tables of keys and of keys with a TTL. O(1)."""
    number, databases = integer(argv[2]), ctx.server.keyspace.databases
    if not 0 <= number < len(databases):
        raise NO_SUCH_DATABASE
    in_full = len(argv) > 3 and argv[3].lower() == b"full"
    db = databases[number]
    text = "[Dictionary HT]\n" + _table(db.data, in_full) + "[Expires HT]\n" + _table(db.expires, in_full)
    return Verbatim(text.encode())


def debug_htstats_key(ctx: Context, argv: list[bytes]) -> Reply:
    """HTSTATS-KEY key [full]: the table of a large hash, set or sorted set. O(1)."""
    value = _value(ctx, argv[2])
    if _encoding(ctx, argv[2], value) not in (b"hashtable", b"skiplist"):
        raise NOT_A_TABLE
    match value:
        case Hash():
            table: Any = value.fields
        case SortedSet():
            table = value.scores
        case _:
            table = value.members
    assert isinstance(table, IndexedDict), "a hash table is an IndexedDict"
    return Verbatim(_table(table, len(argv) > 3 and argv[3].lower() == b"full").encode())


def debug_sdslen(ctx: Context, argv: list[bytes]) -> Reply:
    """SDSLEN key: the lengths of a key and of its string. O(1)."""
    value = _value(ctx, argv[2])
    if type(value) not in STRING or string_encoding(value) == "int":
        raise NOT_AN_SDS
    return SimpleString(
        b"key_sds_len:%d, key_sds_avail:0, key_zmalloc: %d, val_sds_len:%d, val_sds_avail:0, val_zmalloc: %d"
        % (len(argv[2]), BYTES_OBJECT + len(argv[2]), len(value), BYTES_OBJECT + len(value))
    )


def _value(ctx: Context, key: bytes) -> Any:
    """What is at the key, expired or not."""
    value = ctx.db.data.get(key)
    if value is None:
        raise NO_SUCH_KEY
    return value


def _encoding(ctx: Context, key: bytes, value: Any) -> bytes:
    return type_of(value).encoding(key, value, key in ctx.db.expires)


def _packed_elements(value: Any) -> Iterator[bytes]:
    """In the order in which a listpack holds them."""
    if isinstance(value, Hash):
        for field, content in value.fields.items():
            yield field
            yield content
    elif isinstance(value, SortedSet):
        for score, member in value:
            yield member
            yield format_double(score)
    else:
        yield from value


def _table(table: IndexedDict[Any], in_full: bool) -> str:
    count, slots = len(table), table.slots
    if not slots:
        return ""
    lines = ["Hash table 0 stats (main hash table):", f" table size: {slots}", f" number of elements: {count}"]
    if in_full and count:
        empty = slots - count
        lines += [
            f" different slots: {count}",
            " max chain length: 1",
            " avg chain length (counted): 1.00",
            " avg chain length (computed): 1.00",
            " Chain length distribution:",
            f"   0: {empty} ({empty * 100 / slots:.2f}%)",
            f"   1: {count} ({count * 100 / slots:.2f}%)",
        ]
    return "\n".join(lines) + "\n"
