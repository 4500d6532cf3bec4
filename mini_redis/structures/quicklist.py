"""Quicklist: a list with two quick ends, made of small packed pieces.

Question it answers: a linked list is O(1) at both ends and costs two pointers an element; an array is small, and moves
everything when its head is popped. What has both virtues? A chain of short arrays:

    nodes   [a b c ... ]  [d e f ... ]  [g h]       deque of nodes, none of them empty
             8 kB at most  8 kB at most              ends: O(1); the middle: walk over nodes, then inside of one

In Redis a node is a listpack (see listpack.py), and `list-max-listpack-size`, called *fill* here, tells how large one
may become: -1 to -5 are 4, 8, 16, 32, 64 kB, a positive number counts elements (and then 8 kB is the most). An element
that is larger than a node may be gets a node of its own, which is *plain*: no listpack. A list that fits into one node
is not even wrapped: its encoding is `listpack`, and it becomes a `quicklist` as soon as it might not fit any more. When
it has shrunk to one node of half that size it becomes a listpack again; half, so that a list at the border does not
change with every command.

We keep the elements of a node in a Python list, and count the bytes that its listpack would have. Since each operation
fills, splits and merges nodes as Redis does, OBJECT ENCODING, DEBUG OBJECT's `ql_nodes` and the bytes of a snapshot
follow from the structure itself and need no second book-keeping. The fill of a quicklist is what it was when the
quicklist was made.

Invariants:

    (1) `count` is the number of elements, `payload` the sum of their lengths;
    (2) each node's `size` is that of its listpack (plain: the length of its only element);
    (3) no node is empty, but for the only node of an empty list that is a listpack;
    (4) a listpack has exactly one node, which is not plain.

Complexities below: n elements, m nodes; a node has a bounded size. Verified against Redis 8.2.3.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import chain
from typing import Final, NamedTuple

from mini_redis.structures.listpack import EMPTY_SIZE, entry_size, packed_size

LISTPACK: Final = b"listpack"
QUICKLIST: Final = b"quicklist"

_SIZES: Final = (4096, 8192, 16384, 32768, 65536)  # of fill -1 to -5
_SAFE_SIZE: Final = 8192  # of a node, where the fill counts elements
_MOST_COUNTED: Final = 32767
_OVERHEAD: Final = 8  # what Redis adds to an element's length before it asks whether it still fits


class Limits(NamedTuple):
    """What a node may hold."""

    size: int
    """Bytes of its listpack. An element longer than this gets a plain node."""
    entries: float
    """Elements; infinite where bytes are counted."""


UNLIMITED: Final = Limits(1 << 62, 1 << 62)
"""The node of a listpack: before it holds too much, `reserve` makes it one of a quicklist."""


@lru_cache(maxsize=64)
def limits_of(fill: int) -> Limits:
    """Read `list-max-listpack-size`. O(1)."""
    if fill >= 0:
        return Limits(_SAFE_SIZE, max(1, fill))
    return Limits(_SIZES[min(-fill, len(_SIZES)) - 1], float("inf"))


class Node:
    """A run of elements."""

    __slots__ = ("entries", "plain", "size")

    def __init__(self, entries: list[bytes], size: int, plain: bool = False) -> None:
        self.entries = entries
        self.size = size
        self.plain = plain


class List:
    """The value of a list key. `fill` everywhere is the current `list-max-listpack-size`."""

    __slots__ = ("_limits", "accounted", "count", "encoding", "fill", "nodes", "payload")

    def __init__(self) -> None:
        self.nodes: deque[Node] = deque((Node([], EMPTY_SIZE),))
        self.count = 0
        self.payload = 0
        self.accounted = 0
        self.encoding = LISTPACK
        self.fill = 0  # of a quicklist; means nothing for a listpack
        self._limits = UNLIMITED

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[bytes]:
        return chain.from_iterable(node.entries for node in self.nodes)

    def __reversed__(self) -> Iterator[bytes]:
        return chain.from_iterable(reversed(node.entries) for node in reversed(self.nodes))

    # --- Encodings ---------------------------------------------------------------------------------------------------

    def reserve(self, elements: list[bytes], fill: int) -> None:
        """Elements are about to be added: a listpack that might not hold them becomes a quicklist.

        Their lengths count, not what they would take packed. O(len(elements)).
        """
        if self.encoding is LISTPACK:
            limits = limits_of(fill)
            size = self.nodes[0].size + (len(elements[0]) if len(elements) == 1 else sum(map(len, elements)))
            if size > limits.size or self.count + len(elements) > limits.entries:
                self.become_quicklist(fill)

    def become_quicklist(self, fill: int) -> None:
        """Change the encoding, whatever the size. O(1)."""
        self.encoding = QUICKLIST
        self.fill = max(-5, min(_MOST_COUNTED, fill))
        self._limits = limits_of(self.fill)
        if not self.count:
            self.nodes.clear()

    def settle(self, fill: int, shrunk: bool = True) -> None:
        """A quicklist of one node becomes a listpack if it is small enough; after it `shrunk`, half as large. O(1)."""
        if self.encoding is not QUICKLIST or len(self.nodes) != 1 or self.nodes[0].plain:
            return
        limits = limits_of(fill)
        size, count = (limits.size, float("inf")) if fill < 0 else (float("inf"), limits.entries)
        if shrunk:
            size, count = size / 2, count / 2
        if self.nodes[0].size <= size and self.count <= count:
            self.encoding = LISTPACK
            self._limits = UNLIMITED

    # --- The ends ----------------------------------------------------------------------------------------------------

    def push_head(self, element: bytes) -> None:
        """O(1). Call `reserve` first."""
        nodes, limits, length = self.nodes, self._limits, len(element)
        node = nodes[0] if nodes else None
        if (
            node is not None  # then as `_fits`, without the call
            and node.size + length + _OVERHEAD <= limits.size
            and len(node.entries) < limits.entries
            and not node.plain
        ):
            node.entries.insert(0, element)
            node.size += entry_size(element)
        else:
            nodes.appendleft(self._node_of(element))
        self.count += 1
        self.payload += length

    def push_tail(self, element: bytes) -> None:
        """O(1). Call `reserve` first."""
        nodes, limits, length = self.nodes, self._limits, len(element)
        node = nodes[-1] if nodes else None
        if (
            node is not None  # likewise
            and node.size + length + _OVERHEAD <= limits.size
            and len(node.entries) < limits.entries
            and not node.plain
        ):
            node.entries.append(element)
            node.size += entry_size(element)
        else:
            nodes.append(self._node_of(element))
        self.count += 1
        self.payload += length

    def pop_head(self) -> bytes:
        """O(1). The list must not be empty."""
        node = self.nodes[0]
        element = node.entries.pop(0)
        node.size -= entry_size(element)
        self.count -= 1
        self.payload -= len(element)
        if not node.entries and self.encoding is QUICKLIST:
            self.nodes.popleft()
        return element

    def pop_tail(self) -> bytes:
        """O(1). The list must not be empty."""
        node = self.nodes[-1]
        element = node.entries.pop()
        node.size -= entry_size(element)
        self.count -= 1
        self.payload -= len(element)
        if not node.entries and self.encoding is QUICKLIST:
            self.nodes.pop()
        return element

    # --- By index ----------------------------------------------------------------------------------------------------

    def index(self, at: int) -> bytes | None:
        """The element at `at`, negative from the end; None if there is none. O(m), O(1) near the ends."""
        if at < 0:
            at += self.count
        if not 0 <= at < self.count:
            return None
        number, offset = self._locate(at)
        return self.nodes[number].entries[offset]

    def range(self, start: int, stop: int) -> list[bytes]:
        """The elements from `start` up to, and without, `stop`; 0 <= start <= stop <= n. O(m + stop - start)."""
        wanted = stop - start
        if wanted <= 0:
            return []
        head = self.nodes[0].entries
        if stop <= len(head):
            return head[start:stop]
        number, offset = self._locate(start)
        found = self.nodes[number].entries[offset : offset + wanted]
        while len(found) < wanted:
            number += 1
            found += self.nodes[number].entries[: wanted - len(found)]
        return found

    def replace(self, at: int, element: bytes) -> bool:
        """Replace the element at `at`, negative from the end; whether there was one. O(m). Call `reserve` first."""
        if at < 0:
            at += self.count
        if not 0 <= at < self.count:
            return False
        number, offset = self._locate(at)
        node = self.nodes[number]
        if not (node.plain or len(element) > self._limits.size):
            # In its place, even if the node becomes larger than nodes may be: so does Redis.
            before, node.entries[offset] = node.entries[offset], element
            node.size += entry_size(element) - entry_size(before)
            self.payload += len(element) - len(before)
        elif node.plain:
            self._replace_plain(number, element)
        else:
            self._replace_by_node(number, offset, element)
        return True

    def delete_range(self, start: int, stop: int) -> None:
        """Remove the elements from `start` up to, and without, `stop`; 0 <= start <= stop <= n. O(m + stop - start)."""
        extent = stop - start
        if extent <= 0:
            return
        number, offset = self._locate(start)
        emptied: list[int] = []
        at = number
        while extent:
            node = self.nodes[at]
            gone = node.entries[offset : offset + extent]
            if len(gone) == len(node.entries):
                emptied.append(at)
            else:
                node.size -= sum(map(entry_size, gone))
            del node.entries[offset : offset + extent]
            self.count -= len(gone)
            self.payload -= sum(map(len, gone))
            extent -= len(gone)
            offset = 0
            at += 1
        self._drop(emptied)

    # --- By value ----------------------------------------------------------------------------------------------------

    def insert(self, pivot: bytes, element: bytes, after: bool) -> bool:
        """Put `element` beside the first `pivot`; whether there is one. O(n). Call `reserve` first."""
        for number, node in enumerate(self.nodes):
            if pivot in node.entries:
                self._insert_at(number, node.entries.index(pivot), element, after)
                self.count += 1
                self.payload += len(element)
                return True
        return False

    def remove(self, element: bytes, most: int, from_tail: bool = False) -> int:
        """Remove `element` wherever it stands, at most `most` times; how often it did. O(n)."""
        removed = 0
        emptied: list[int] = []
        numbers = range(len(self.nodes))
        for number, node in zip(
            reversed(numbers) if from_tail else numbers, reversed(self.nodes) if from_tail else self.nodes, strict=True
        ):
            here = min(node.entries.count(element), most - removed)
            if not here:
                continue
            _remove_from(node.entries, element, here, from_tail)
            removed += here
            if node.entries:
                node.size -= here * entry_size(element)
            else:
                emptied.append(number)
            if removed == most:
                break
        self.count -= removed
        self.payload -= removed * len(element)
        self._drop(sorted(emptied))
        return removed

    def positions(self, element: bytes, most_looked_at: int, from_tail: bool = False) -> Iterator[int]:
        """The indexes of `element` among the first, or last, so many elements. O(n)."""
        looked_at = 0
        for node in reversed(self.nodes) if from_tail else self.nodes:
            run = node.entries[::-1] if from_tail else node.entries
            limit = min(len(run), most_looked_at - looked_at)
            offset = -1
            for _ in range(run.count(element)):
                try:
                    offset = run.index(element, offset + 1, limit)
                except ValueError:
                    return  # it stands beyond the limit
                yield self.count - 1 - looked_at - offset if from_tail else looked_at + offset
            looked_at += len(run)
            if looked_at >= most_looked_at:
                return

    # --- As a whole --------------------------------------------------------------------------------------------------

    def copy(self) -> List:
        """A list that shares nothing but the elements. O(n)."""
        twin = List()
        twin.nodes = deque(Node(list(node.entries), node.size, node.plain) for node in self.nodes)
        twin.count, twin.payload = self.count, self.payload
        twin.encoding, twin.fill, twin._limits = self.encoding, self.fill, self._limits
        return twin

    def dismantle(self) -> Iterator[int]:
        """Let go of all elements, a node at a time. O(n)."""
        while self.nodes:
            yield len(self.nodes.pop().entries)

    def check(self) -> None:
        """Assert the invariants of the module's docstring. O(n)."""
        assert self.count == sum(len(node.entries) for node in self.nodes), "(1) the elements are miscounted"
        assert self.payload == sum(map(len, self)), "(1) the payload is wrong"
        for node in self.nodes:
            if node.plain:
                assert [len(entry) for entry in node.entries] == [node.size], "(2) a plain node is its only element"
            else:
                assert node.size == packed_size(node.entries), "(2) a node's size is wrong"
            assert node.entries or (not self.count and self.encoding is LISTPACK), "(3) a node is empty"
        if self.encoding is LISTPACK:
            assert len(self.nodes) == 1 and not self.nodes[0].plain, "(4) a listpack is one node"
            assert self._limits is UNLIMITED, "(4) which may hold anything"

    # --- Nodes -------------------------------------------------------------------------------------------------------

    def _locate(self, at: int) -> tuple[int, int]:
        """The node that holds the element at `at`, and where in it; walked to from the nearer end."""
        nodes = self.nodes
        if at < len(nodes[0].entries):
            return 0, at
        if at < self.count // 2:
            for number, node in enumerate(nodes):
                if at < len(node.entries):
                    return number, at
                at -= len(node.entries)
        at = self.count - at  # >= 1, from the end
        for distance, node in enumerate(reversed(nodes)):
            if at <= len(node.entries):
                return len(nodes) - 1 - distance, len(node.entries) - at
            at -= len(node.entries)
        raise AssertionError("the index is in the list")

    def _fits(self, node: Node, element: bytes) -> bool:
        """Whether a node takes one more element; estimated as Redis does, rather too large."""
        size, count = self._limits
        return node.size + len(element) + _OVERHEAD <= size and len(node.entries) < count and not node.plain

    def _node_of(self, element: bytes) -> Node:
        if len(element) > self._limits.size:
            return Node([element], len(element), plain=True)
        return Node([element], EMPTY_SIZE + entry_size(element))

    def _drop(self, numbers: list[int]) -> None:
        """Remove emptied nodes, given by ascending number. O(m)."""
        if self.encoding is LISTPACK:
            if numbers:
                self.nodes[0].size = EMPTY_SIZE
        elif len(numbers) < 3:
            for number in reversed(numbers):
                del self.nodes[number]
        else:
            self.nodes = deque(node for node in self.nodes if node.entries)

    def _insert_at(self, number: int, offset: int, element: bytes, after: bool) -> None:
        """Put `element` beside the one at `offset` of a node; without counting it."""
        nodes = self.nodes
        node = nodes[number]
        if self._fits(node, element):
            node.entries.insert(offset + after, element)
            node.size += entry_size(element)
            return

        at_edge = offset == (len(node.entries) - 1 if after else 0)
        beside = number + 1 if after else number - 1
        large = len(element) > self._limits.size
        if at_edge and not large and 0 <= beside < len(nodes) and self._fits(nodes[beside], element):
            neighbour = nodes[beside]
            neighbour.entries.insert(0 if after else len(neighbour.entries), element)
            neighbour.size += entry_size(element)
        elif at_edge or node.plain:
            nodes.insert(number + after, self._node_of(element))
        elif large:
            # Both halves stay apart, with the plain node between them.
            self._split(number, offset + after)
            nodes.insert(number + 1, self._node_of(element))
        else:
            self._split(number, offset + after)
            half = nodes[number + after]
            half.entries.insert(0 if after else len(half.entries), element)
            half.size += entry_size(element)
            self._merge_around(number if after else number + 1)

    def _replace_plain(self, number: int, element: bytes) -> None:
        """Replace a plain node, by a plain one or by what an insertion behind it would bring about."""
        before = self.nodes[number].entries[0]
        self.payload += len(element) - len(before)
        if len(element) > self._limits.size:
            self.nodes[number] = self._node_of(element)
            return
        self._insert_at(number, 0, element, after=True)
        del self.nodes[number]

    def _replace_by_node(self, number: int, offset: int, element: bytes) -> None:
        """The element is large: it gets a node of its own, and its neighbours may merge with others."""
        nodes = self.nodes
        node = nodes[number]
        if offset < len(node.entries) - 1:
            self._split(number, offset + 1)
        nodes.insert(number + 1, self._node_of(element))
        before = node.entries.pop()
        self.payload += len(element) - len(before)
        if not node.entries:
            del nodes[number]
            return
        node.size -= entry_size(before)
        self._merge_around(number + 1)

    def _split(self, number: int, at: int) -> None:
        """Cut a node in two. O(its size)."""
        node = self.nodes[number]
        tail = Node(node.entries[at:], packed_size(node.entries[at:]))
        del node.entries[at:]
        node.size = packed_size(node.entries)
        self.nodes.insert(number + 1, tail)

    def _merge_around(self, center: int) -> None:
        """Merge what fits together around a node: the two before it, the two behind it, then itself with both."""
        if center >= 2 and self._merge(center - 2):
            center -= 1
        self._merge(center + 1)
        if center >= 1 and self._merge(center - 1):
            center -= 1
        self._merge(center)

    def _merge(self, number: int) -> bool:
        """Merge a node with the next one if there is one and both fit into one; whether they did."""
        nodes = self.nodes
        if number + 1 >= len(nodes):
            return False
        one, other = nodes[number], nodes[number + 1]
        size, count = self._limits
        merged = one.size + other.size - EMPTY_SIZE
        if one.plain or other.plain or merged > size or len(one.entries) + len(other.entries) > count:
            return False
        one.entries += other.entries
        one.size = merged
        del nodes[number + 1]
        return True


def of(elements: Iterable[bytes], fill: int) -> List:
    """The list that SORT stores: filled as a quicklist, then a listpack if that is enough. O(n)."""
    made = List()
    made.become_quicklist(fill)
    for element in elements:
        made.push_tail(element)
    made.settle(fill, shrunk=False)
    return made


def _remove_from(entries: list[bytes], element: bytes, times: int, from_tail: bool) -> None:
    """Remove an element that stands there at least so often. O(n)."""
    if from_tail:
        entries.reverse()
    if times == 1:
        entries.remove(element)
    else:
        kept: list[bytes] = []
        for entry in entries:
            if times and entry == element:
                times -= 1
            else:
                kept.append(entry)
        entries[:] = kept
    if from_tail:
        entries.reverse()
