"""Stream: a log. Entries are added at the end, each under a greater id than all before, and read by ranges of ids.

Question it answers: how does one keep a million small records in order, find one by its id, forget the oldest,
and not pay a pointer for each? As a list of *nodes*, each of some hundred entries:

    nodes    SortedDict  id of the node's first entry -> Node
    Node     ids         [id, id, ...]            ascending
             bodies      [(field, value, field, value, ...), ...]
             dead        {index, ...}              the tombstones among them

An id is found by two bisections, over the nodes and inside of one. Adding touches the last node only.

**What a node is in Redis**: one listpack, in a radix tree (radix_tree.py). It begins with a *master entry*, the field
names of the first entry; an entry with the same names stores values only, and its id as a difference:

    live  deleted  fields  name name ...  0  |  flags  ms  seq  [fields  name] value ...  length  |  flags ...

**Deleting marks.** XDEL cannot take an entry out of the middle of a listpack without copying the rest, so it marks it
as a tombstone, whose bytes stay. The node goes when nothing in it lives; only an exact trim by id may leave a
node without life (it asks for the last id of the node, dead or not).

**Why all this is seen from outside**: `MAXLEN ~` removes whole nodes and nothing else, and that is quick because it
never looks into one. How many entries remain hangs on where nodes begin, which `stream-node-max-entries` decides (dead
ones count) and `stream-node-max-bytes`. So we fill nodes as Redis does and know the size of each listpack without
making it; `Node.listpack` makes it, for files.

Invariants (`check`):

    (1) ids ascend, those of the living strictly, within nodes and from node to node; a node's key is its first id;
        `tail` is the last node, None without any;
    (2) `length` is the number of living entries;
    (3) `first_id` is that of the first living entry, 0 without any; `last_id` is not less than any id;
    (4) `Node.size` is that of its listpack, without the two counters it begins with; `payload` is the sum;
    (5) `radix_nodes` is what Redis's tree would have.

What Redis does differently: it keeps an index from id to the groups where it is pending; we ask each group.

n entries, m nodes, g groups below; a node has a bounded size unless both limits are 0. Verified against Redis 8.2.3.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import Final, NamedTuple

from sortedcontainers import SortedDict

from mini_redis.structures.consumer_group import Group
from mini_redis.structures.listpack import BEHIND_DIGITS, EMPTY_SIZE, entry_size, number_size, pack
from mini_redis.structures.numbers import INT64_MAX, INT64_MIN, parse_integer
from mini_redis.structures.piecemeal import piecemeal
from mini_redis.structures.radix_tree import EMPTY_NODES, nodes_gained
from mini_redis.structures.stream_id import MAX_ID, MAX_PART, MIN_ID, SEQUENCE_BITS, StreamId, make_id

Body = tuple[bytes, ...]
"""An entry's fields and values, alternating."""
Entry = tuple[StreamId, Body]

KEEPREF: Final = b"KEEPREF"
DELREF: Final = b"DELREF"
ACKED: Final = b"ACKED"
"""What a deletion does to groups where the entry is pending: nothing; forget it there; not delete it then."""

MAX_NODE_BYTES: Final = 1 << 30
"""Of a node, and of an entry, whatever is configured."""
_SAME_FIELDS: Final = 2
_DELETED: Final = 1
_FLAGS_SIZE: Final = number_size(_SAME_FIELDS | _DELETED)
_TWO_SMALL: Final = 2 * number_size(0)


class Trim(NamedTuple):
    """What to leave: so many entries, or those from an id on. `limit` bounds what may go, 0 does not."""

    maxlen: int | None = None
    min_id: StreamId = MIN_ID
    approximate: bool = False
    limit: int = 0
    policy: bytes = KEEPREF


class Node:
    """Some entries in a row: what Redis keeps in one listpack."""

    __slots__ = ("bodies", "dead", "fields", "first_ms", "first_sequence", "ids", "same_fields_size", "size")

    def __init__(self, first_id: StreamId, fields: list[bytes]) -> None:
        self.ids: list[StreamId] = []
        self.bodies: list[Body] = []
        self.dead: set[int] = set()
        self.fields = fields
        self.first_ms, self.first_sequence = first_id >> SEQUENCE_BITS, first_id & MAX_PART
        names_size = sum(map(entry_size, fields))
        self.size = EMPTY_SIZE + number_size(len(fields)) + names_size + number_size(0)
        # What an entry with these fields takes, beside its id, and beside its fields and values as they are.
        self.same_fields_size = _FLAGS_SIZE + number_size(len(fields) + 3) - names_size

    @property
    def live(self) -> int:
        """How many entries are no tombstones. O(1)."""
        return len(self.ids) - len(self.dead)

    @property
    def listpack_size(self) -> int:
        """O(1)."""
        if len(self.ids) < 128:
            return self.size + _TWO_SMALL
        return self.size + number_size(self.live) + number_size(len(self.dead))

    def append(self, entry_id: StreamId, body: list[bytes], packed: int) -> int:
        """Add an entry; by how much `size` grows. `body` is the node's from now on, `packed` its size. O(len(body))."""
        self.ids.append(entry_id)
        grown = packed + (_TWO_SMALL if entry_id - self.ids[0] < 128 else self._distance_size(entry_id))
        if body[::2] == self.fields:
            body[::2] = self.fields  # equal names are kept once, here as in a listpack
            grown += self.same_fields_size
        else:
            count = len(body) // 2
            grown += _FLAGS_SIZE + number_size(count) + number_size(2 * count + 4)
        self.bodies.append(tuple(body))
        self.size += grown
        return grown

    def _distance(self, entry_id: StreamId) -> tuple[int, int]:
        """What is stored of an id: how far it is from the node's first, each part as a signed 64 bit number."""
        ms, sequence = (entry_id >> SEQUENCE_BITS) - self.first_ms, (entry_id & MAX_PART) - self.first_sequence
        return _signed(ms), _signed(sequence)

    def _distance_size(self, entry_id: StreamId) -> int:
        ms, sequence = (entry_id >> SEQUENCE_BITS) - self.first_ms, (entry_id & MAX_PART) - self.first_sequence
        if ms > INT64_MAX or not INT64_MIN <= sequence <= INT64_MAX:
            ms, sequence = _signed(ms), _signed(sequence)
        return number_size(ms) + number_size(sequence)

    def draw_in(self, last_id: StreamId) -> int:
        """The stream goes back to an id: tombstones with greater ones get this one, so that ids ascend.

        By how much `size` grows. O(log n), and the tombstones.
        """
        before = self.size
        for at in range(bisect_right(self.ids, last_id), len(self.ids)):
            self.size += self._distance_size(last_id) - self._distance_size(self.ids[at])
            self.ids[at] = last_id
        return self.size - before

    def bury(self, at: int) -> None:
        """Make a tombstone of the entry at an index. O(1)."""
        self.dead.add(at)

    def listpack(self) -> bytes:
        """The bytes of the node in Redis, tombstones included. O(size)."""
        return pack(self._elements())

    def _elements(self) -> Iterator[bytes]:
        yield b"%d" % self.live
        yield b"%d" % len(self.dead)
        yield b"%d" % len(self.fields)
        yield from self.fields
        yield b"0"
        for at, (entry_id, body) in enumerate(zip(self.ids, self.bodies, strict=True)):
            same_fields = list(body[::2]) == self.fields
            stored = body[1::2] if same_fields else (b"%d" % (len(body) // 2), *body)
            yield b"%d" % (_SAME_FIELDS * same_fields | _DELETED * (at in self.dead))
            for part in self._distance(entry_id):
                yield b"%d" % part
            yield from stored
            yield b"%d" % (len(stored) + 3)

    @classmethod
    def of_listpack(cls, first_id: StreamId, elements: list[bytes]) -> Node:
        """The node that has this listpack, unpacked, and this key. ValueError if there is none. O(size)."""
        rest = iter(elements)
        try:
            live, dead = _number(rest), _number(rest)
            node = cls(first_id, [next(rest) for _ in range(_number(rest))])
            if _number(rest):
                raise ValueError("not a node of a stream: its master entry does not end")
            for _ in range(live + dead):
                node._append_packed(first_id, rest)
        except StopIteration:
            raise ValueError("not a node of a stream: it ends too early") from None
        if len(node.dead) != dead or not node.ids or node.ids[0] != first_id or next(rest, None) is not None:
            raise ValueError("not a node of a stream: it does not hold what it says")
        return node

    def _append_packed(self, first_id: StreamId, rest: Iterator[bytes]) -> None:
        """Append the entry that comes next in a listpack."""
        flags, ms, sequence = [_number(rest, fewest=INT64_MIN) for _ in range(3)]
        entry_id = make_id(
            (first_id >> SEQUENCE_BITS) + ms & MAX_PART, (first_id & MAX_PART) + sequence & MAX_PART
        )
        if flags & _SAME_FIELDS:
            body = [word for name in self.fields for word in (name, next(rest))]
        else:
            body = [next(rest) for _ in range(2 * _number(rest))]
        length = len(self.fields) if flags & _SAME_FIELDS else len(body) + 1
        if flags & ~(_SAME_FIELDS | _DELETED) or _number(rest) != length + 3 or (self.ids and entry_id < self.ids[-1]):
            raise ValueError("not a node of a stream: an entry is not what it says")
        self.append(entry_id, body, sum(map(entry_size, body)))
        if flags & _DELETED:
            self.bury(len(self.ids) - 1)


class Stream:
    """The value of a stream key. An empty one is a value like any other: its ids and groups outlive its entries."""

    __slots__ = (
        "accounted",
        "entries_added",
        "first_id",
        "groups",
        "last_id",
        "length",
        "max_deleted_id",
        "nodes",
        "payload",
        "radix_nodes",
        "tail",
    )

    encoding: Final = b"stream"

    def __init__(self) -> None:
        self.nodes: SortedDict[StreamId, Node] = SortedDict()
        self.tail: Node | None = None
        self.groups: SortedDict[bytes, Group] = SortedDict()
        self.length = 0
        self.first_id: StreamId = MIN_ID
        self.last_id: StreamId = MIN_ID
        self.max_deleted_id: StreamId = MIN_ID  # of what was deleted, not trimmed: where the log has a hole
        self.entries_added = 0
        self.radix_nodes = EMPTY_NODES
        self.payload = 0
        self.accounted = 0

    def __len__(self) -> int:
        return self.length

    # --- Add and read ------------------------------------------------------------------------------------------------

    def append(self, entry_id: StreamId, body: list[bytes], max_bytes: int, max_entries: int) -> bool:
        """Add an entry of fields and values, alternating, unless no node can hold it; whether one can.

        Its id must be greater than `last_id`. `body` is the stream's from now on; the limits are those of a node,
        0 for none. O(len(body)), and O(log m) where a node begins.
        """
        assert entry_id > self.last_id, "ids strictly increase"
        length = packed = 0
        for word in body:
            size = len(word)
            length += size
            packed += size + 2 if size < 64 and word >= BEHIND_DIGITS else entry_size(word)
        if length > MAX_NODE_BYTES:
            return False
        node = self.tail
        if (
            node is None
            or 0 < max_entries <= len(node.ids)
            or node.listpack_size + length >= (max_bytes if 0 < max_bytes <= MAX_NODE_BYTES else MAX_NODE_BYTES)
        ):
            node = self.tail = Node(entry_id, body[::2])
            self.radix_nodes += nodes_gained(self.nodes, entry_id)
            self.nodes[entry_id] = node
            self.payload += node.size
        self.payload += node.append(entry_id, body, packed)
        self.length += 1
        self.entries_added += 1
        self.last_id = entry_id
        if self.length == 1:
            self.first_id = entry_id
        return True

    def adopt(self, node: Node) -> None:
        """Add a node that has been filled elsewhere, behind all there are: a file is read. ValueError if it is not.

        O(log m), and what is dead in the first.
        """
        key, nodes = node.ids[0], self.nodes
        if nodes and key <= nodes.peekitem()[1].ids[-1]:
            raise ValueError("a node of a stream that overlaps with the one before it")
        self.radix_nodes += nodes_gained(nodes, key)
        nodes[key] = self.tail = node
        self.payload += node.size
        self.length += node.live
        if self.length == node.live:
            self.first_id = next((entry_id for entry_id, _ in self.range(key)), MIN_ID)

    def range(self, start: StreamId, end: StreamId = MAX_ID) -> Iterator[Entry]:
        """The living entries from one id to another, both included. O(log n), then O(1) each."""
        nodes = self.nodes
        for key in nodes.islice(max(0, nodes.bisect_right(start) - 1)):
            node = nodes[key]
            if key > end:
                return
            ids, bodies, dead = node.ids, node.bodies, node.dead
            for at in range(bisect_left(ids, start), bisect_right(ids, end)):
                if at not in dead:
                    yield ids[at], bodies[at]

    def reverse_range(self, start: StreamId = MIN_ID, end: StreamId = MAX_ID) -> Iterator[Entry]:
        """As `range`, from the end backwards. O(log n + entries)."""
        nodes = self.nodes
        for key in nodes.islice(0, nodes.bisect_right(end), reverse=True):
            node = nodes[key]
            ids, bodies, dead = node.ids, node.bodies, node.dead
            for at in reversed(range(bisect_left(ids, start), bisect_right(ids, end))):
                if at not in dead:
                    yield ids[at], bodies[at]
            if key <= start:
                return

    def get(self, entry_id: StreamId) -> Body | None:
        """The entry with this id; None if there is none, or no longer. O(log n)."""
        found = self._find(entry_id)
        return None if found is None else found[1].bodies[found[2]]

    def last_living_id(self) -> StreamId:
        """The greatest id of an entry, 0 without any. O(1), and the tombstones of the last node."""
        return next((entry_id for entry_id, _ in self.reverse_range()), MIN_ID)

    def _find(self, entry_id: StreamId) -> tuple[StreamId, Node, int] | None:
        """The node's key, the node, and where in it the living entry is."""
        number = self.nodes.bisect_right(entry_id) - 1
        if number < 0:
            return None
        key, node = self.nodes.peekitem(number)
        at = bisect_left(node.ids, entry_id)
        is_there = at < len(node.ids) and node.ids[at] == entry_id and at not in node.dead
        return (key, node, at) if is_there else None

    # --- Delete ------------------------------------------------------------------------------------------------------

    def delete(self, entry_id: StreamId) -> bool:
        """Delete an entry; whether there was one. O(log n)."""
        found = self._find(entry_id)
        if found is None:
            return False
        key, node, at = found
        if node.live == 1:
            self._drop(key)
        else:
            node.bury(at)
        self.length -= 1
        self.max_deleted_id = max(self.max_deleted_id, entry_id)
        if entry_id == self.first_id:
            self._find_first()
        return True

    def release(self, entry_id: StreamId, policy: bytes) -> bool:
        """Whether `policy` lets an entry be deleted; DELREF sees to it that nothing is pending then. O(g log p)."""
        if policy == DELREF:
            for group in self.groups.values():
                group.acknowledge(entry_id)
        # Referenced is what some group is yet to read, or has not acknowledged.
        return policy != ACKED or not any(
            group.last_id < entry_id or entry_id in group.pel for group in self.groups.values()
        )

    def trim(self, rule: Trim) -> int:
        """Delete the oldest entries; how many. O(nodes that go + entries of one), with a policy O(entries that go).

        An approximate trim stops before the first node that it may not remove as a whole. With another policy than
        KEEPREF it may never do so, and Redis then trims nothing.
        """
        deleted = number = 0
        nodes = self.nodes
        while number < len(nodes) and (rule.maxlen is None or self.length > rule.maxlen):
            key, node = nodes.peekitem(number)
            entries = node.live
            if rule.limit and deleted + entries > rule.limit:
                break
            all_may_go = self.length - entries >= rule.maxlen if rule.maxlen is not None else node.ids[-1] < rule.min_id
            if not (all_may_go and rule.policy == KEEPREF):
                if rule.approximate:
                    break
                buried = self._trim_inside(node, rule)
                deleted += buried
                if not all_may_go:
                    break  # the rest may stay
                if buried < entries:
                    number += 1  # something in here is referenced
                    continue
            else:
                self.length -= entries
                deleted += entries
            self._drop(key)
        if deleted:
            self._find_first()
        return deleted

    def _trim_inside(self, node: Node, rule: Trim) -> int:
        """Bury what a trim wants gone of one node; how many entries."""
        buried = 0
        for at in range(bisect_left(node.ids, self.first_id), len(node.ids)):
            entry_id = node.ids[at]
            if self.length <= rule.maxlen if rule.maxlen is not None else entry_id >= rule.min_id:
                break
            if at not in node.dead and self.release(entry_id, rule.policy):
                node.bury(at)
                self.length -= 1
                buried += 1
        return buried

    def _drop(self, key: StreamId) -> None:
        node = self.nodes.pop(key)
        self.payload -= node.size
        self.radix_nodes -= nodes_gained(self.nodes, key)
        if node is self.tail:
            self.tail = self.nodes.peekitem()[1] if self.nodes else None

    def _find_first(self) -> None:
        self.first_id = next((entry_id for entry_id, _ in self.range(self.first_id)), MIN_ID)

    def set_last_id(self, last_id: StreamId) -> None:
        """Let the next entry come after this id, which may be less than before, but not than that of a living entry.

        O(log n) for each node of dead entries at the end, of which there is rarely one.
        """
        self.last_id = last_id
        while self.nodes:
            key, node = self.nodes.peekitem()
            if key <= last_id:
                self.payload += node.draw_in(last_id)
                return
            self._drop(key)  # nothing in here lives

    # --- Groups ------------------------------------------------------------------------------------------------------

    def add_group(self, name: bytes, last_id: StreamId, entries_read: int | None = None) -> bool:
        """Make a consumer group; whether there was none of that name. O(log g)."""
        if name in self.groups:
            return False
        self.groups[name] = Group(last_id, entries_read)
        return True

    def advance(self, group: Group, entry_id: StreamId) -> None:
        """An entry after its `last_id` was given to a group: count it, if the count is known or can be. O(1)."""
        if (
            group.entries_read is not None
            and group.last_id >= self.first_id
            and not self._has_hole_from(group.last_id)
        ):
            group.entries_read += 1
        elif self.entries_added:
            group.entries_read = self.entries_up_to(entry_id)
        group.last_id = entry_id

    def lag(self, group: Group) -> int | None:
        """How many entries a group is yet to read; None if nobody knows without counting. O(1)."""
        if not self.entries_added or not self.length:
            return 0
        if group.last_id < self.first_id and self.max_deleted_id < self.first_id:
            return self.length
        if group.entries_read is not None and not self._has_hole_from(group.last_id):
            return self.entries_added - group.entries_read
        read = self.entries_up_to(group.last_id)
        return None if read is None else self.entries_added - read

    def entries_up_to(self, entry_id: StreamId) -> int | None:
        """How many entries, of all that were ever added, have ids up to this one; None if that is unknown. O(1).

        It is known at the ends: before and at the first entry, if everything deleted lies before that, and at the last.
        """
        if not self.entries_added:
            return 0
        if not self.length and entry_id <= self.last_id:
            return self.entries_added
        if entry_id and entry_id < self.max_deleted_id:
            return None
        if entry_id >= self.last_id:
            return self.entries_added if entry_id == self.last_id else None
        if not self.max_deleted_id or self.max_deleted_id < self.first_id:
            if entry_id < self.first_id:
                return self.entries_added - self.length
            if entry_id == self.first_id:
                return self.entries_added - self.length + 1
        return None

    def _has_hole_from(self, start: StreamId) -> bool:
        """Whether something that was deleted lies at or behind an id."""
        return self.length > 0 and self.max_deleted_id != MIN_ID and start <= self.max_deleted_id

    # --- As a whole --------------------------------------------------------------------------------------------------

    def copy(self) -> Stream:
        """A stream that shares nothing but the entries' contents; groups and tombstones included. O(n)."""
        twin = Stream()
        for key, node in self.nodes.items():
            other = twin.tail = twin.nodes[key] = Node(key, node.fields)
            other.ids, other.bodies, other.dead = list(node.ids), list(node.bodies), set(node.dead)
            other.size = node.size
        for name, group in self.groups.items():
            twin.groups[name] = group.copy()
        twin.length, twin.entries_added, twin.payload = self.length, self.entries_added, self.payload
        twin.first_id, twin.last_id, twin.max_deleted_id = self.first_id, self.last_id, self.max_deleted_id
        twin.radix_nodes = self.radix_nodes
        return twin

    def dismantle(self) -> Iterator[int]:
        """Let go of all entries, and of all that is pending, step by step; see piecemeal.py. O(n + p)."""
        if self.nodes:
            yield from piecemeal(len(self.nodes), self.nodes.popitem, weight=max(1, self.length // len(self.nodes)))
        for group in self.groups.values():
            for pel in (group.pel, *(consumer.pel for consumer in group.consumers.values())):
                yield from piecemeal(len(pel), pel.popitem)

    def check(self) -> None:
        """Assert the invariants of the module's docstring, and those of the groups. O(n)."""
        ids = [entry_id for node in self.nodes.values() for entry_id in node.ids]
        assert ids == sorted(ids), "(1) ids do not ascend"
        assert [node.ids[0] for node in self.nodes.values()] == list(self.nodes), "(1) a node's key is not its first id"
        assert self.tail is (self.nodes.peekitem()[1] if self.nodes else None), "(1) the tail is not the last node"
        living = [entry_id for entry_id, _ in self.range(MIN_ID)]
        assert living == sorted(dict.fromkeys(living)), "(1) an id occurs twice"
        assert self.length == len(living), "(2) the entries are miscounted"
        assert self.first_id == (living[0] if living else MIN_ID), "(3) the first id is another"
        assert not ids or self.last_id >= ids[-1], "(3) an id is greater than the last"
        gained: SortedDict[StreamId, None] = SortedDict()
        radix_nodes = EMPTY_NODES
        for key, node in self.nodes.items():
            assert all(0 <= at < len(node.ids) for at in node.dead), "(2) a tombstone of no entry"
            assert node.listpack_size == len(node.listpack()), "(4) a node's size is wrong"
            radix_nodes += nodes_gained(gained, key)
            gained[key] = None
        assert self.payload == sum(node.size for node in self.nodes.values()), "(4) the payload is wrong"
        assert self.radix_nodes == radix_nodes, "(5) the radix tree has other nodes"
        for group in self.groups.values():
            group.check()


def _number(elements: Iterator[bytes], fewest: int = 0) -> int:
    """The next element, which must be an integer."""
    number = parse_integer(next(elements))
    if number is None or number < fewest:
        raise ValueError("not a node of a stream: a number is none")
    return number


def _signed(number: int) -> int:
    """The lower 64 bits as a signed number."""
    return number if -(1 << 63) <= number < 1 << 63 else (number + (1 << 63) & MAX_PART) - (1 << 63)
