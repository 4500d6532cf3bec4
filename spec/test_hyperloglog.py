"""HyperLogLogs: the registers against a dict, the estimate against its promise, and who is told of what."""

from __future__ import annotations

from contextlib import suppress
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from observer import Consequences, Observer

from mini_redis.structures import hyperloglog
from mini_redis.structures import hyperloglog_sparse as sparse
from mini_redis.structures.hyperloglog import RANK_BITS, REGISTERS, STANDARD_ERROR
from mini_redis.structures.hyperloglog_sparse import CorruptError

# Registers that lie together, so that runs are cut and joined; and some far away.
INDEXES = st.one_of(st.integers(0, 12), st.integers(60, 70), st.integers(0, REGISTERS - 1), st.just(REGISTERS - 1))
LOW_RANKS = st.integers(1, 3)
RANKS = st.one_of(LOW_RANKS, LOW_RANKS, st.integers(1, RANK_BITS + 1))
SETTINGS = st.lists(st.tuples(INDEXES, RANKS), max_size=60)
LOW_SETTINGS = st.lists(st.tuples(INDEXES, LOW_RANKS), max_size=60)
MOST_BYTES = st.sampled_from([0, 24, 40, 3000])


def made_of(settings: list[tuple[int, int]], most_bytes: int = 3000) -> bytearray:
    hll = hyperloglog.empty()
    for index, rank in settings:
        hyperloglog.set_register(hll, index, rank, most_bytes)
    return hll


def modelled(settings: list[tuple[int, int]]) -> dict[int, int]:
    """The model: the registers that are not 0."""
    model: dict[int, int] = {}
    for index, rank in settings:
        model[index] = max(rank, model.get(index, 0))
    return model


def as_dict(spread: bytes) -> dict[int, int]:
    assert len(spread) == REGISTERS
    return {index: rank for index, rank in enumerate(spread) if rank}


# --- Registers -------------------------------------------------------------------------------------------------------


@given(SETTINGS, MOST_BYTES)
def test_a_dict_is_the_model(settings: list[tuple[int, int]], most_bytes: int) -> None:
    hll, model = hyperloglog.empty(), {}  # type: ignore[var-annotated]
    for index, rank in settings:
        changes = rank > model.get(index, 0)
        assert hyperloglog.set_register(hll, index, rank, most_bytes) == changes
        if changes:
            model[index] = rank
    hyperloglog.check(hll)
    assert as_dict(hyperloglog.registers(hll)) == model
    if hyperloglog.encoding(hll) == b"sparse":
        assert len(hll) <= max(most_bytes, len(hyperloglog.empty()))
        assert all(rank <= sparse.LARGEST for rank in model.values())
        assert hyperloglog.to_dense(hll)
        assert as_dict(hyperloglog.registers(hll)) == model
    assert not hyperloglog.to_dense(hll)
    hyperloglog.check(hll)


@given(LOW_SETTINGS)
def test_what_is_in_writing_are_the_runs(settings: list[tuple[int, int]]) -> None:
    registers: list[int] = []
    for word in sparse.decode(made_of(settings)).decode().split():
        kind, _, rest = word.partition(":")
        value, length = (0, int(rest)) if kind in "zZ" else map(int, rest.split(","))
        registers += [value] * length
        assert kind == ("v" if value else "z" if length <= 64 else "Z")
    assert bytes(registers) == hyperloglog.registers(made_of(settings))


@given(st.lists(SETTINGS, min_size=1, max_size=4), MOST_BYTES, st.booleans())
def test_a_union_has_the_larger_registers(histories: list[list[tuple[int, int]]], most: int, wide: bool) -> None:
    hlls = [made_of(settings, most) for settings in histories]
    largest = hyperloglog.NO_REGISTERS
    for hll in hlls:
        largest = hyperloglog.merge(largest, hll, wide=wide)
    expected = modelled([setting for settings in histories for setting in settings])
    assert as_dict(largest) == expected

    dense = any(hyperloglog.encoding(hll) == b"dense" for hll in hlls)
    target = hlls[0]
    hyperloglog.raise_to(target, largest, dense=dense, sparse_most_bytes=most)
    hyperloglog.check(target)
    assert as_dict(hyperloglog.registers(target)) == expected
    assert hyperloglog.known_cardinality(target) is None


@given(LOW_SETTINGS, LOW_SETTINGS, MOST_BYTES)
def test_ascending_order_saves_the_walk_and_changes_no_byte(
    before: list[tuple[int, int]], added: list[tuple[int, int]], most: int
) -> None:
    """Where a run was found, the search for the next register goes on; the bytes must be those of searches from the
    beginning, runs that are not joined included."""
    walked = made_of(before)
    largest = hyperloglog.merge(hyperloglog.registers(walked), made_of(added))
    near = bytearray(walked)
    hyperloglog.raise_to(near, largest, dense=False, sparse_most_bytes=most)
    for index, rank in enumerate(largest):
        if rank:
            hyperloglog.set_register(walked, index, rank, most)
    hyperloglog.forget_cardinality(walked)
    assert near == walked


@given(st.integers(0, 2**32))
def test_packing_is_reversible(seed: int) -> None:
    spread = bytes(byte & 63 for byte in Random(seed).randbytes(REGISTERS))
    packed = hyperloglog.pack(spread)
    assert len(packed) == 12_288 and hyperloglog.unpack(packed) == spread
    as_number = int.from_bytes(packed, "little")
    for index in (0, 1, 2, 3, 4, 8191, REGISTERS - 1):
        assert as_number >> 6 * index & 63 == spread[index]


# --- Elements and estimates ------------------------------------------------------------------------------------------


@given(st.binary(max_size=40))
def test_an_element_chooses_one_register(element: bytes) -> None:
    hashed = hyperloglog.murmur64(element)
    bits = f"{hashed:064b}"
    index, rank = hyperloglog.register_of(element)
    assert index == int(bits[-14:], 2)
    assert rank == len(bits[:-14]) - len(bits[:-14].rstrip("0")) + 1
    assert 1 <= rank <= RANK_BITS + 1


def test_the_bytes_of_redis() -> None:
    hll = hyperloglog.empty()
    assert hll == b"HYLL\1" + bytes(11) + b"\x7f\xff"
    for element in (b"a", b"b", b"c"):
        assert hyperloglog.add(hll, element, 3000)
    assert sparse.decode(hll) == b"Z:8436 v:1,1 Z:4274 v:2,1 Z:3068 v:1,1 Z:603"
    assert not hyperloglog.add(hll, b"b", 3000)
    assert hyperloglog.count(hll) == 3
    assert hll == b"HYLL\1\0\0\0\3" + bytes(7) + b"\x60\xf3\x80\x50\xb1\x84\x4b\xfb\x80\x42\x5a"


@pytest.mark.parametrize(
    ("registers", "estimate"),
    [(0, 0), (1, 23_637), (2, 47_274), (30, 12_690_079_782_337), (49, 6_653_256_548_922_161_152), (50, -(2**63))],
)
def test_estimates_of_equal_registers(registers: int, estimate: int) -> None:
    """As Redis 8.2.3 answers for such a value."""
    assert hyperloglog.estimate(bytes((registers,)) * REGISTERS) == estimate


def test_the_error_is_what_was_promised() -> None:
    """Forty counts: six standard errors at most, and a mean error near the standard one."""
    squares = []
    for seed in range(40):
        rng, hll = Random(seed), hyperloglog.empty()
        hyperloglog.to_dense(hll)
        for _ in range(5000):
            hyperloglog.add(hll, rng.randbytes(12), 3000)
        error = hyperloglog.count(hll) / 5000 - 1
        assert abs(error) < 6 * STANDARD_ERROR
        squares.append(error * error)
    assert sum(squares) / len(squares) < (1.3 * STANDARD_ERROR) ** 2


def test_the_self_test_finds_nothing_here_and_finds_what_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    assert hyperloglog.self_test(Random(1), most=10_000) == ""
    for name, broken, complaint in [
        ("unpack", lambda packed: bytes(REGISTERS), "Register 0 should be"),
        ("pack", lambda spread: bytes(12_288), "Register"),
        ("_larger", lambda one, other: one, "larger registers"),
        ("murmur64", lambda element: 1, "Too big error"),
        ("estimate", lambda spread: 1, "Too big error"),
    ]:
        with monkeypatch.context() as patched:
            patched.setattr(hyperloglog, name, broken)
            assert complaint in hyperloglog.self_test(Random(1), most=10_000), name


# --- Damage ----------------------------------------------------------------------------------------------------------


@given(LOW_SETTINGS, st.data())
def test_damage_is_refused_or_makes_other_registers(settings: list[tuple[int, int]], data: st.DataObject) -> None:
    hll = made_of(settings)
    at = data.draw(st.integers(0, len(hll) - 1))
    if data.draw(st.booleans()):
        del hll[at:]
    else:
        hll[at] = data.draw(st.integers(0, 255))
    if not hyperloglog.is_hyperloglog(hll):
        assert at < 5 or len(hll) < sparse.HEADER_SIZE
        return
    try:
        spread = hyperloglog.registers(hll)
    except CorruptError:
        with pytest.raises(CorruptError):
            hyperloglog.to_dense(hll)
    else:
        hyperloglog.check(hll)
        assert hyperloglog.estimate(spread) >= 0
    with suppress(CorruptError):
        hyperloglog.add(hll, data.draw(st.binary(max_size=3)), 3000)
    sparse.decode(hll)


# --- What one command brings about ------------------------------------------------------------------------------------

NEW, PFADD = b"0:new h", b"0:pfadd h"
ZERO, ONE, TWO, OK = b":0\r\n", b":1\r\n", b":2\r\n", b"+OK\r\n"

WITHOUT_KEY = {
    b"PFADD h": Consequences(ONE, [b"PFADD h"], [NEW, PFADD], 1),
    b"PFADD h a b a": Consequences(ONE, [b"PFADD h a b a"], [NEW, PFADD], 3),
    b"PFCOUNT h": Consequences(ZERO, [], [b"0:keymiss h"]),
    b"PFMERGE h": Consequences(OK, [b"PFMERGE h"], [b"0:keymiss h", NEW, PFADD], 1),
    b"PFMERGE h g": Consequences(OK, [b"PFMERGE h g"], [b"0:keymiss h", b"0:keymiss g", NEW, PFADD], 1),
}

WITH_TWO = {  # after PFADD h a b
    b"PFADD h": Consequences(ZERO),
    b"PFADD h b a": Consequences(ZERO),
    b"PFADD h b c d": Consequences(ONE, [b"PFADD h b c d"], [PFADD], 2),
    b"PFCOUNT h": Consequences(TWO, [b"PFCOUNT h"], [], 1),
    b"PFCOUNT h h": Consequences(TWO),
    b"PFMERGE h h": Consequences(OK, [b"PFMERGE h h"], [PFADD], 1),
    b"PFDEBUG ENCODING h": Consequences(b"+sparse\r\n"),
    b"PFDEBUG TODENSE h": Consequences(ONE, [b"PFDEBUG TODENSE h"], [], 1),
    b"PFDEBUG SIMD OFF": Consequences(b"+disabled\r\n"),
}


@pytest.mark.parametrize("line", WITHOUT_KEY)
def test_without_key(seen: Observer, line: bytes) -> None:
    assert seen(line) == WITHOUT_KEY[line]


@pytest.mark.parametrize("line", WITH_TWO)
def test_with_two_elements(seen: Observer, line: bytes) -> None:
    seen(b"PFADD h a b")
    assert seen(line) == WITH_TWO[line]


def test_counting_is_a_change_once(seen: Observer) -> None:
    seen(b"PFADD h a b")
    assert seen(b"PFCOUNT h").dirty == 1
    assert seen(b"PFCOUNT h") == Consequences(TWO)
    seen(b"PFADD h c")
    assert seen(b"PFCOUNT h") == Consequences(b":3\r\n", [b"PFCOUNT h"], [], 1)


def test_the_log_makes_the_same_bytes(seen: Observer) -> None:
    """Whoever replays the log has the same value, the kept cardinality included."""
    lines = [b"PFADD h a b c", b"PFCOUNT h", b"PFADD g x y", b"PFMERGE h g", b"PFDEBUG TODENSE g", b"PFCOUNT h"]
    log = [line for sent in lines for line in seen(sent).log]
    again = Observer()
    for line in log:
        again(line)
    for key in (b"h", b"g"):
        assert again.talk(b"GET " + key) == seen.talk(b"GET " + key)


def test_elements_before_the_damage_are_added_and_nobody_is_told(seen: Observer) -> None:
    """PFADD walks as far as it must: here the runs end before the register of the second element."""
    for node in seen.nodes:
        node.server.keyspace.databases[0].set(b"h", bytearray(b"HYLL\1" + bytes(11) + b"\x5f\xff"))  # half of them
    assert hyperloglog.register_of(b"f")[0] < 8192 < hyperloglog.register_of(b"a")[0]
    assert seen(b"PFADD h f a") == Consequences(b"-INVALIDOBJ Corrupted HLL object detected\r\n")
    assert seen.talk(b"STRLEN h") == b":21\r\n"
    assert seen(b"PFCOUNT h") == Consequences(b"-INVALIDOBJ Corrupted HLL object detected\r\n")
