"""IndexedDict: SCAN's guarantee and the invariants, over random histories; D1 of the promises for the keyspace."""

from __future__ import annotations

from collections import Counter
from random import Random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mini_redis.structures.indexed_dict import SHARDS, IndexedDict


class Tiny(IndexedDict[int]):
    """Splits among a dozen keys, so that every history meets the split."""

    __slots__ = ()
    SPLIT_AT = 12


keys = st.integers(0, 24).map(lambda number: b"key:%d" % number)


class AgainstDict(RuleBasedStateMachine):
    """A plain dict as the oracle, and one scan under way."""

    def __init__(self) -> None:
        super().__init__()
        self.dict = Tiny()
        self.model: dict[bytes, int] = {}
        self.cursor: int | None = None
        self.present_throughout: set[bytes] = set()
        self.returned: set[bytes] = set()
        self.rng = Random(1)

    @rule(key=keys, value=st.integers())
    def insert(self, key: bytes, value: int) -> None:
        self.dict[key] = self.model[key] = value

    @rule(key=keys, value=st.integers())
    def put(self, key: bytes, value: int) -> None:
        assert self.dict.put(key, value) == self.model.get(key)
        self.model[key] = value

    @rule(key=keys)
    def delete(self, key: bytes) -> None:
        assert self.dict.pop(key, "absent") == self.model.pop(key, "absent")
        self.present_throughout.discard(key)

    @rule(key=keys)
    def look_up(self, key: bytes) -> None:
        assert self.dict.get(key) == self.model.get(key)
        assert (key in self.dict) == (key in self.model)

    @rule()
    def drain(self) -> None:
        given = [value for values in self.dict.drain() for value in values]
        assert sorted(given) == sorted(self.model.values())
        self.dict = Tiny()
        self.model.clear()
        self.cursor = None
        self.present_throughout.clear()

    @rule()
    def clear(self) -> None:
        self.dict.clear()
        self.model.clear()
        self.present_throughout.clear()

    @rule(count=st.integers(1, 5))
    def scan(self, count: int) -> None:
        if self.cursor is None:
            self.cursor, self.present_throughout, self.returned = 0, set(self.model), set()
        self.cursor, found = self.dict.scan(self.cursor, count)
        assert set(found) <= set(self.model), "a scan returns only what is there"
        self.returned |= set(found)
        if self.cursor == 0:
            assert self.present_throughout <= self.returned, "what was present throughout is returned"
            self.cursor = None

    @precondition(lambda self: self.model)
    @rule()
    def draw(self) -> None:
        assert self.dict.random_key(self.rng) in self.model

    @rule(count=st.integers(0, 12))
    def sample(self, count: int) -> None:
        found = self.dict.sample(self.rng, count)
        assert len(found) == len(set(found)) == min(count, len(self.model)) and set(found) <= set(self.model)

    @precondition(lambda self: self.model)
    @rule()
    def pop_random(self) -> None:
        key, value = self.dict.pop_random(self.rng)
        assert self.model.pop(key) == value
        self.present_throughout.discard(key)

    @invariant()
    def agrees(self) -> None:
        self.dict.check()
        assert dict(self.dict.items()) == self.model
        assert len(self.dict) == len(self.model)


TestAgainstDict = AgainstDict.TestCase
TestAgainstDict.settings = settings(max_examples=150, stateful_step_count=60)


def test_any_cursor_is_accepted() -> None:
    numbers = IndexedDict[int]()
    for number in range(10):
        numbers[b"%d" % number] = number
    assert numbers.scan(2**63, 100) == (0, [b"%d" % number for number in reversed(range(10))])
    assert numbers.scan(-5, 3)[0] == 7
    assert IndexedDict[int]().scan(17, 10) == (0, [])


def test_random_keys_are_uniform_although_slots_are_stale() -> None:
    numbers = IndexedDict[int]()
    for number in range(1000):
        numbers[b"%d" % number] = number
    for number in range(0, 1000, 2):
        if number % 100 != 50:
            del numbers[b"%d" % number]
    rng = Random(7)
    draws = Counter(numbers.random_key(rng) for _ in range(len(numbers) * 100))
    assert set(draws) == set(numbers), "each key is drawn"
    chi_square = sum((count - 100) ** 2 / 100 for count in draws.values())
    assert chi_square < len(numbers) * 1.25  # the mean is n - 1, its deviation about 32


def test_past_the_split_keys_are_spread_and_order_does_not_follow_the_hash() -> None:
    numbers = IndexedDict[int]()
    names = [b"key:%d" % number for number in range(IndexedDict.SPLIT_AT + 5)]
    for number, name in enumerate(names):
        numbers[name] = number
    numbers.check()
    assert list(numbers) == names
    assert max(map(len, numbers._tables)) < 3 * len(names) / SHARDS
    assert numbers.get(names[-1]) == len(names) - 1 and numbers.get(b"absent", 7) == 7


def test_stale_slots_stay_few_while_everything_is_deleted() -> None:
    numbers = IndexedDict[int]()
    names = [b"key:%d" % number for number in range(20_000)]
    for name in names:
        numbers[name] = 0
    Random(3).shuffle(names)
    most = 0
    for name in names:
        del numbers[name]
        most = max(most, len(numbers._slots) - len(numbers))
    assert most < len(names) / 5
    numbers.check()
    assert not numbers._slots


def test_room_is_given_back_while_keys_go() -> None:
    """Not that of everything with the last key, when somebody would wait for it."""
    names = [b"key:%d" % number for number in range(60_000)]
    d: IndexedDict[int] = IndexedDict()
    for name in names:
        d[name] = 1

    def room() -> int:
        return sum(table.__sizeof__() for table in d._tables)

    most = room()
    Random(1).shuffle(names)
    for name in names[:57_000]:
        del d[name]
    assert room() < most / 3
    d.check()
    for name in names[57_000:]:
        assert d.pop(name) == 1
    assert not d
