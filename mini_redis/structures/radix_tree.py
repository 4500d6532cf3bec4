"""How many nodes does a radix tree of stream ids have? What XINFO tells as `radix-tree-nodes`.

A radix tree keeps keys by their bytes: what several have in common stands there once, and a node that has only one way
to go on holds the whole way. Redis keeps the blocks of a stream in one (and groups, consumers, pending entries in more
of them), keyed by ids of 16 bytes. Ours is a sorted dict, which answers the same questions in the same order;
and how large the tree would be follows from the keys alone, since it is always as small as it can be:

    one node where each key ends
    one for each place where keys part
    one for each run of bytes on the way from one of these to the next, unless it is empty

    1-0    00 00 00 00 00 00 00 | 01 | 00 00 00 00 00 00 00 00
    4-0    `----- a run ------' | 04 | 00 00 00 00 00 00 00 00
                                  |    `------- a run ------'
                          here they part

So these two keys have six nodes: two ends, one parting, three runs. A tree without keys still has its root.

`nodes_gained` tells what one more key adds, and a key that goes takes away. With it the size is kept up to date; to
count anew one would have to look at all keys. Verified against Redis 8.2.3.
"""

from __future__ import annotations

from typing import Any, Final

from sortedcontainers import SortedDict

KEY_BYTES: Final = 16
EMPTY_NODES: Final = 1
"""The nodes of a tree without keys."""
_NOTHING: Final = -1


def nodes_gained(keys: SortedDict[int, Any], key: int) -> int:
    """By how many nodes the tree of `keys` grows if `key`, which is none of them, is added. O(log n)."""
    at = keys.bisect_left(key)
    names = keys.keys()
    before = _common_bytes(names[at - 1], key) if at else _NOTHING
    after = _common_bytes(names[at], key) if at < len(keys) else _NOTHING
    parting = max(before, after)
    if parting == _NOTHING:
        return 1  # the root becomes the run of the only key
    gained = 1 + (parting + 1 < KEY_BYTES)

    # Those that go the same way up to there: do they part in that very place already?
    others = 8 * (KEY_BYTES - parting)
    low = key >> others << others
    start, stop = keys.bisect_left(low), keys.bisect_left(low + (1 << others))
    inner = _common_bytes(names[start], names[stop - 1])
    if inner == parting:
        return gained

    # They did not: a node is put there, and the run that it lies in becomes up to two.
    outer = max(
        _common_bytes(names[start - 1], key) if start else _NOTHING,
        _common_bytes(names[stop], key) if stop < len(keys) else _NOTHING,
    )
    return gained + 1 + (parting > outer + 1) + (inner > parting + 1) - (inner > outer + 1)


def _common_bytes(one: int, other: int) -> int:
    """How many leading bytes two keys share."""
    return KEY_BYTES - ((one ^ other).bit_length() + 7) // 8
