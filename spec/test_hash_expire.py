"""Fields with times to live: the structure against a model, the active cycle, and what the log sees."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mini_redis.drivers.in_process import InProcess
from mini_redis.resp.parser import encode_request
from mini_redis.structures.deadlines import Deadlines
from mini_redis.structures.hash import HASHTABLE, LISTPACK, LISTPACK_EX, Hash

FIELDS = st.sampled_from([b"a", b"b", b"c", b"d"])
TIMES = st.integers(1, 6)


@given(st.lists(st.tuples(FIELDS, st.one_of(st.none(), TIMES)), max_size=30), TIMES)
def test_a_dict_is_the_model_of_deadlines(actions: list[tuple[bytes, int | None]], now_ms: int) -> None:
    deadlines, model = Deadlines(), {}  # type: ignore[var-annotated]
    for name, at_ms in actions:
        if at_ms is None:
            assert deadlines.discard(name) == (model.pop(name, None) is not None)
        else:
            deadlines.set(name, at_ms)
            model[name] = at_ms
        deadlines.check()
    assert deadlines.at == model and len(deadlines) == len(model)
    assert deadlines.soonest == min(model.values(), default=None)
    assert deadlines.past(now_ms) == sorted((n for n in model if model[n] < now_ms), key=lambda n: (model[n], n))
    assert deadlines.past(now_ms, at_most=1) == deadlines.past(now_ms)[:1]
    twin = deadlines.copy()
    twin.set(b"new", 1)
    assert b"new" not in deadlines.at


ACTIONS = st.one_of(
    st.tuples(st.just("set"), FIELDS, st.booleans()),
    st.tuples(st.just("expire"), FIELDS, TIMES),
    st.tuples(st.sampled_from(["persist", "delete"]), FIELDS, st.none()),
)


@given(st.lists(ACTIONS, max_size=30), st.integers(0, 40), TIMES)
def test_dicts_are_the_model_of_a_hash_with_times(
    actions: list[tuple[str, bytes, int | None]], table_after: int, now_ms: int
) -> None:
    fields, values, times = Hash(), {}, {}  # type: ignore[var-annotated]
    for number, (verb, field, detail) in enumerate(actions):
        if number == table_after:
            fields.become_table()
        if verb == "set":
            fields.set(field, b"%d" % number, keep_ttl=bool(detail))
            values[field] = b"%d" % number
            if not detail:
                times.pop(field, None)
        elif verb == "expire" and field in values:
            assert detail is not None
            fields.set_expire_at(field, detail)
            times[field] = detail
        elif verb == "persist":
            assert fields.persist(field) == (times.pop(field, None) is not None)
        elif verb == "delete":
            assert fields.delete(field) == (values.pop(field, None) is not None)
            times.pop(field, None)
        fields.check()
        fields.copy().check()
    past = {field for field in times if times[field] < now_ms}
    assert dict(fields.fields.items()) == values
    assert {field: fields.expire_at(field) for field in values} == {field: times.get(field) for field in values}
    assert set(fields.past(now_ms)) == past
    assert dict(fields.live(now_ms).items()) == {field: values[field] for field in values if field not in past}
    assert fields.encoding in (LISTPACK, LISTPACK_EX, HASHTABLE)


def logged(node: InProcess) -> list[bytes]:
    """The calls in the log since the last time, without MULTI, EXEC and SELECT."""
    calls, rest = [], node.log
    node.log = b""
    while rest:
        count, _, rest = rest[1:].partition(b"\r\n")
        words = []
        for _ in range(int(count)):
            size, _, rest = rest[1:].partition(b"\r\n")
            words.append(rest[: int(size)])
            rest = rest[int(size) + 2 :]
        if words[0] not in (b"MULTI", b"EXEC", b"SELECT"):
            calls.append(b" ".join(words))
    return calls


def test_the_log_sees_dates_and_deletions() -> None:
    node = InProcess(logging=True)
    a = node.connect()
    now_ms = node.clock.wall_us() // 1000
    for call, seen in {
        "HSET h a 1 b 2 c 3 d 4": ["HSET h a 1 b 2 c 3 d 4"],
        "HEXPIRE h 10 FIELDS 2 a zz": [f"HPEXPIREAT h {now_ms + 10_000} FIELDS 1 a"],
        "HEXPIRE h 20 NX FIELDS 3 a b c": [f"HPEXPIREAT h {now_ms + 20_000} NX FIELDS 2 b c"],
        "HGETEX h EX 5 FIELDS 2 b zz": [f"HPEXPIREAT h {now_ms + 5_000} FIELDS 2 b zz"],
        "HGETEX h PERSIST FIELDS 2 b d": ["HPERSIST h FIELDS 2 b d"],
        "HGETEX h FIELDS 1 a": [],
        "HINCRBYFLOAT h a 1.5": ["HSETEX h KEEPTTL FIELDS 1 a 2.5"],
        "HINCRBYFLOAT h d 1.5": ["HSETEX h KEEPTTL FIELDS 1 d 5.5"],
        "HSETEX h FXX EX 3 FIELDS 1 c 9": [f"HSETEX h FXX PXAT {now_ms + 3_000} FIELDS 1 c 9"],
        "HSETEX h EXAT 1 FIELDS 2 x 9 y 9": ["HDEL h x", "HDEL h y"],
        "HEXPIREAT h 1 FIELDS 1 b": ["HDEL h b"],
        "HGETDEL h FIELDS 2 a zz": ["HDEL h a zz"],
    }.items():
        a.command(*call.split())
        assert logged(node) == [line.encode() for line in seen], call


def test_the_active_cycle_deletes_what_nobody_asks_for() -> None:
    node = InProcess("notify-keyspace-events KEA", logging=True)
    a, b = node.connect(), node.connect()
    a.command("HSET", "h", "a", "1", "b", "2")
    a.command("HSET", "all", "a", "1")
    a.command("HPEXPIRE", "h", "50", "FIELDS", "1", "a")
    a.command("HPEXPIRE", "all", "60", "FIELDS", "1", "a")
    b.command("SUBSCRIBE", "__keyevent@0__:hexpired", "__keyevent@0__:del")
    node.log = b""
    node.advance(0.3)
    assert b.take().count(b"hexpired\r\n") == 2
    assert logged(node) == [b"HDEL h a", b"HDEL all a"]
    assert a.command("HLEN", "h") == b":1\r\n" and a.command("EXISTS", "all") == b":0\r\n"
    assert b"expired_subkeys:2" in a.command("INFO", "stats") and b"subexpiry=0" in a.command("INFO", "keyspace")


def test_the_active_cycle_takes_its_time() -> None:
    node = InProcess()
    a = node.connect()
    for key in ("h", "i"):
        a.send(encode_request([b"HSET", key.encode(), *(b"%d" % n for n in range(3000))]))
        a.command("HPEXPIRE", key, "1", "FIELDS", "1500", *(str(n) for n in range(0, 3000, 2)))
    a.take()
    node.clock.advance(0.01)
    node.server.tick()
    left = [int(a.command("HLEN", key)[1:] or 0) for key in ("h", "i")]
    assert sum(left) == 2000, "a thousand in a cron, so that 10,000 in a second"
    node.advance(0.3)
    assert a.command("EXISTS", "h", "i") == b":0\r\n"


def test_a_hash_that_goes_is_not_looked_for() -> None:
    node = InProcess()
    a = node.connect()
    for end in ("DEL h", "SET h v", "RENAME h i", "COPY h i", "MOVE h 1", "FLUSHALL", "SWAPDB 0 1"):
        a.command("FLUSHALL")
        a.command("HSET", "h", "a", "1", "b", "2")
        a.command("HEXPIRE", "h", "1", "FIELDS", "1", "a")
        a.command(*end.split())
        for db in node.server.keyspace.databases:
            db.field_deadlines.check()
            assert set(db.field_deadlines) == {
                key for key, value in db.data.items() if isinstance(value, Hash) and value.deadlines
            }, end
        node.advance(2)
        assert not any(len(db.field_deadlines) for db in node.server.keyspace.databases)


def test_at_its_very_millisecond_a_field_is_there_but_not_for_httl() -> None:
    """Redis compares by `<=` for the HTTL family, in a listpackex alone; for everybody else it is past one later."""
    for entries, asked in ((128, b"*1\r\n:-2\r\n"), (0, b"*1\r\n:0\r\n")):
        node = InProcess(f"hash-max-listpack-entries {entries}")
        a = node.connect()
        a.command("HSET", "h", "a", "1", "b", "2")
        a.command("HPEXPIRE", "h", "5", "FIELDS", "1", "a")
        node.clock.advance(0.005)
        assert a.command("HPTTL", "h", "FIELDS", "1", "a") == asked
        assert a.command("HGET", "h", "a") == b"$1\r\n1\r\n"
        node.clock.advance(0.001)
        assert a.command("HPTTL", "h", "FIELDS", "1", "a") == b"*1\r\n:-2\r\n"
        assert a.command("HGET", "h", "a") == b"$-1\r\n"
