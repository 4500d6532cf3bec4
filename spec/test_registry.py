"""Declarations: what a syntax line means, what follows from flags and key specifications, and how lookup fails."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from syntax_of_tree import tree_of_docs, write_line

import mini_redis.commands  # noqa: F401  declares every command
from conformance.endpoints import start
from conformance.wire import Reply as WireReply
from mini_redis.commands import registry
from mini_redis.commands.docs import describe_docs, describe_info
from mini_redis.commands.keyspecs import (
    OW,
    RW,
    counted_keys,
    key_after,
    key_at,
    key_flag_names,
    key_range,
    keys_of_set,
    unknown_keys,
)
from mini_redis.commands.registry import (
    ADMIN,
    BLOCKING,
    COMMANDS,
    DENYOOM,
    FAST,
    MOVABLE_KEYS,
    READONLY,
    WRITE,
    Command,
    build,
    help_reply,
    lookup,
    not_found,
    resolve,
)
from mini_redis.commands.syntax import Argument, arity_of, parse
from mini_redis.resp.encoder import encode


def declare(line: str, **facts: object) -> Command:
    """A command that is not registered."""
    defaults = {"handler": None, "summary": "Does it.", "since": "1.0.0", "group": "string", "table": {}}
    return build(line, **{**defaults, **facts})  # type: ignore[arg-type]


# -- the notation ------------------------------------------------------------------------------------------------------


def test_a_word_is_an_argument_whose_type_follows_from_its_name() -> None:
    key, seconds, word = parse("SETEX key seconds value").arguments
    assert (key.type, key.key_spec) == ("key", 0)
    assert (seconds.type, seconds.key_spec) == ("integer", None)
    assert (word.type, word.shown) == ("string", "value")


def test_a_type_and_a_shown_text_can_be_written_out() -> None:
    [increment] = parse("X increment/double").arguments
    [address] = parse("X ADDR addr:ip:port").arguments
    assert increment.type == "double"
    assert (address.name, address.shown, address.token) == ("addr", "ip:port", "ADDR")


def test_a_token_alone_is_an_argument_and_before_an_argument_belongs_to_it() -> None:
    get, seconds = parse("X [GET] [EX seconds]").arguments
    assert (get.type, get.name, get.token, get.optional) == ("pure-token", "get", "GET", True)
    assert (seconds.type, seconds.name, seconds.token, seconds.optional) == ("integer", "seconds", "EX", True)


def test_tokens_may_be_renamed_punctuated_quoted_and_empty() -> None:
    change, equal, unit, empty = parse('X change:CH equal:= m:"m" empty-string:""').arguments
    assert [part.token for part in (change, equal, unit, empty)] == ["CH", "=", "m", ""]
    assert all(part.type == "pure-token" for part in (change, equal, unit, empty))


def test_choices_and_blocks() -> None:
    line = "X [condition:(NX | XX)] BY (A | B) [LIMIT offset count] data:(field value) ..."
    condition, sort, limit, data = parse(line).arguments
    assert (condition.type, condition.name, condition.optional) == ("oneof", "condition", True)
    assert (sort.type, sort.name, sort.token) == ("oneof", "by", "BY")
    assert (limit.type, limit.name, limit.token) == ("block", "limit", "LIMIT")
    assert [part.token for part in limit.arguments] == [None, None]
    assert (data.type, data.multiple, len(data.arguments)) == ("block", True, 2)


def test_a_repetition_may_repeat_its_token() -> None:
    once, each_time = parse("X [PREFIX prefix ...] [(GET pattern) ...]").arguments
    assert (once.multiple, once.multiple_token) == (True, False)
    assert (each_time.multiple, each_time.multiple_token) == (True, True)


def test_versions() -> None:
    get, old = parse("X [GET@6.2.0] old@..2.8.12").arguments
    assert (get.since, old.deprecated_since) == ("6.2.0", "2.8.12")


def test_keys_are_numbered_in_reading_order_unless_told() -> None:
    first, second, third = parse("X source key2#0 destination").arguments
    assert [argument.key_spec for argument in (first, second, third)] == [0, 0, 1]


@pytest.mark.parametrize(
    ("line", "arity"),
    [
        ("GET key", 2),
        ("SET key value [GET]", -3),
        ("MSET data:(key value) ...", -3),
        ("X unit:(M | KM)", 2),
        ("X to:(ONE | pair:(host port))", -2),
        ("X [(GET pattern) ...]", -1),
        ("LIMIT (LIMIT offset count)", 4),
        ("X token:(EX seconds | PX milliseconds)", 3),
    ],
)
def test_the_arity_follows(line: str, arity: int) -> None:
    assert parse(line).arity == arity


@pytest.mark.parametrize("line", ["", "get key", "X (A | B)", "X (a b)", "X [a", "X a]", "X ()", "X a/nothing", "X a:"])
def test_a_mistake_in_a_line_is_ours(line: str) -> None:
    with pytest.raises(AssertionError):
        parse(line)


@pytest.fixture(scope="module")
def oracle_docs() -> Iterator[dict[str, dict[str, object]]]:
    """COMMAND DOCS of a real server: name -> facts, subcommands beside their containers."""
    server = start("redis-8.2")
    connection = server.connect()
    try:
        yield flatten(plain(connection.call(b"COMMAND", b"DOCS")))
    finally:
        connection.close()
        server.stop()


def plain(reply: WireReply) -> object:
    if isinstance(reply.value, tuple):
        return [plain(child) for child in reply.children]
    return int(reply.text) if reply.kind == ":" else reply.text.decode()


def flatten(pairs: object) -> dict[str, dict[str, object]]:
    assert isinstance(pairs, list)
    found: dict[str, dict[str, object]] = {}
    for name, fields in zip(pairs[::2], pairs[1::2], strict=True):
        facts = dict(zip(fields[::2], fields[1::2], strict=True))
        found[name] = facts
        found |= flatten(facts.get("subcommands", []))
    return found


def test_the_notation_expresses_every_command_of_a_real_server(oracle_docs: dict[str, dict[str, object]]) -> None:
    assert len(oracle_docs) > 350
    for name, facts in oracle_docs.items():
        raw = facts.get("arguments", [])
        assert isinstance(raw, list)
        tree: tuple[Argument, ...] = tuple(tree_of_docs(fields) for fields in raw)
        line = write_line(name, tree)
        words = 1 + name.count("|")
        assert parse(line, name_words=words) == (tuple(name.upper().split("|")), tree, arity_of(tree, words)), line


# -- what follows from flags and key specifications --------------------------------------------------------------------


def test_categories_follow_from_flags_in_protocol_order() -> None:
    assert declare("X", flags=WRITE | FAST, acl="string").categories == ("write", "string", "fast")
    assert declare("X", flags=ADMIN).categories == ("admin", "slow", "dangerous")
    assert declare("X", flags=READONLY | BLOCKING, acl="list").categories == ("read", "list", "slow", "blocking")
    assert declare("X", flags=READONLY, acl="scripting").categories == ("slow", "scripting")


def test_the_old_key_range_joins_neighbours() -> None:
    assert declare("X", keys=(key_at(1, "RO"), key_at(2, "OW"))).legacy_range == (1, 2, 1)
    assert declare("X", keys=(key_at(1, "RO"), key_at(3, "OW"))).legacy_range == (1, 1, 1)
    assert declare("X", keys=key_range(1, -1, "OW", step=2)).legacy_range == (1, -1, 2)
    assert declare("X", keys=(key_at(1, "OW"), key_range(2, -1, "RO"))).legacy_range == (1, -1, 1)
    assert declare("X", keys=counted_keys(1, "RO")).legacy_range == (0, 0, 0)


def test_keys_behind_a_count_or_a_word_are_movable() -> None:
    assert declare("X", keys=counted_keys(1, "RO")).flags & MOVABLE_KEYS
    assert declare("X", keys=(key_at(1, "RO"), unknown_keys("OW"))).flags & MOVABLE_KEYS
    assert not declare("X", keys=key_range(1, -1, "RO")).flags & MOVABLE_KEYS


def keys(command: Command, *words: bytes) -> list[bytes]:
    return [words[index] for index, _ in command.key_positions(words)]


def test_a_range_of_keys() -> None:
    mset = declare("MSET data:(key value) ...", keys=key_range(1, -1, "OW update", step=2))
    assert keys(mset, b"mset", b"a", b"1", b"b", b"2") == [b"a", b"b"]
    assert keys(mset, b"mset") == []


def test_counted_keys() -> None:
    zunion = declare("ZUNION numkeys key ...", keys=counted_keys(1, "RO access"))
    assert keys(zunion, b"zunion", b"2", b"a", b"b", b"weights") == [b"a", b"b"]
    for too_many in (b"4", b"0", b"-1", b"x", b"", b"99999999999999999999"):
        assert keys(zunion, b"zunion", too_many, b"a", b"b") == []


def test_a_sloppy_count_is_read_but_tells_no_flags_and_the_target_last() -> None:
    zunionstore = declare("ZUNIONSTORE destination numkeys key ...", keys=(key_at(1, "OW"), counted_keys(2, "RO")))
    call = (b"zunionstore", b"to", b"02", b"a", b"b")
    assert keys(zunionstore, *call) == [b"a", b"b", b"to"]
    assert [flags for _, flags in zunionstore.key_positions(call)] == [0, 0, 0]


def test_keys_after_a_word() -> None:
    streams = key_after("STREAMS", 1, "RO access", last=-1, limit=2)
    xread = declare("XREAD (STREAMS key ... id ...)", keys=streams)
    assert keys(xread, b"xread", b"count", b"1", b"streams", b"a", b"b", b"0", b"0") == [b"a", b"b"]
    assert keys(xread, b"xread", b"a", b"b", b"c") == []
    migrate = declare("MIGRATE", keys=key_after("KEYS", -2, "RW", last=-1))
    assert keys(migrate, b"migrate", b"h", b"p", b"keys", b"0", b"1", b"KEYS", b"b", b"c") == [b"b", b"c"]


def test_flags_that_vary_with_the_call_are_told_by_a_function() -> None:
    set_ = declare("SET key value [GET]", keys=key_at(1, "RW variable_flags"), getkeys=keys_of_set)
    [(index, plain_flags)] = set_.key_positions([b"set", b"get", b"get"])
    assert (index, plain_flags & RW, plain_flags & OW) == (1, 0, OW)
    [(_, flags)] = set_.key_positions([b"set", b"k", b"v", b"Get"])
    assert key_flag_names(flags) == ["RW", "access", "update"]


# -- lookup ------------------------------------------------------------------------------------------------------------


def test_lookup_ignores_case_and_finds_subcommands_by_their_full_name() -> None:
    assert lookup(b"cOMMAND") is COMMANDS[b"command"]
    assert lookup(b"Command|COUNT") is COMMANDS[b"command"].subcommands[b"count"]
    for absent in (b"", b"|", b"command|", b"command|nosuch", b"count", b"command|count|x"):
        assert lookup(absent) is None


def test_a_call_means_a_subcommand_if_there_is_a_second_word() -> None:
    assert resolve([b"COMMAND"]) is COMMANDS[b"command"]
    assert resolve([b"COMMAND", b"Count"]) is COMMANDS[b"command"].subcommands[b"count"]
    assert resolve([b"COMMAND", b"nosuch"]) is None
    assert resolve([b"command|count"]) is None


@pytest.mark.parametrize(
    ("call", "text"),
    [
        ([b"foo"], b"unknown command 'foo', with args beginning with: "),
        ([b"Foo", b"a", b""], b"unknown command 'Foo', with args beginning with: 'a' '' "),
        ([b"f\0o", b"a\0b", b"c"], b"unknown command 'f', with args beginning with: 'a' 'c' "),
        ([b"x" * 130], b"unknown command '%b', with args beginning with: " % (b"x" * 128)),
        ([b"x", b"y" * 124, b"zz"], b"unknown command 'x', with args beginning with: '%b' 'z' " % (b"y" * 124)),
        ([b"x", b"y" * 125, b"zz"], b"unknown command 'x', with args beginning with: '%b' " % (b"y" * 125)),
        ([b"command", b"Nosuch", b"a"], b"unknown subcommand 'Nosuch'. Try COMMAND HELP."),
        ([b"command", b"x" * 130], b"unknown subcommand '%b'. Try COMMAND HELP." % (b"x" * 128)),
    ],
)
def test_what_an_unknown_command_is_told(call: list[bytes], text: bytes) -> None:
    assert not_found(call).text == b"ERR " + text


def test_arity() -> None:
    get, delete = declare("GET key"), declare("DEL key ...")
    assert [get.accepts(argc) for argc in (1, 2, 3)] == [False, True, False]
    assert [delete.accepts(argc) for argc in (1, 2, 9)] == [False, True, True]


def test_declaring_twice_is_refused() -> None:
    with pytest.raises(AssertionError, match="declared twice"):
        registry.register(declare("COMMAND"))


def test_a_container_chooses_among_subcommands() -> None:
    parent = declare("BOX", arity=-2)
    child = declare("BOX OPEN key", table={b"box": parent}, keys=key_at(2, "RO"))
    assert (child.name, child.arity, child.container, parent.accepts(1)) == (b"box|open", 3, parent, False)


# -- replies -----------------------------------------------------------------------------------------------------------


def test_help_has_a_heading_and_explains_itself() -> None:
    assert encode(help_reply("BOX", "OPEN <key>", "    Open it."), 2) == (
        b"*5\r\n+BOX <subcommand> [<arg> [value] [opt] ...]. Subcommands are:\r\n"
        b"+OPEN <key>\r\n+    Open it.\r\n+HELP\r\n+    Print this help.\r\n"
    )


def test_info_is_positional_and_its_unordered_parts_are_sets() -> None:
    get = declare("GET key", flags=READONLY | FAST, acl="string", keys=key_at(1, "RO access"))
    assert encode(describe_info(get), 3) == (
        b"*10\r\n$3\r\nget\r\n:2\r\n~2\r\n+readonly\r\n+fast\r\n:1\r\n:1\r\n:1\r\n"
        b"~3\r\n+@read\r\n+@string\r\n+@fast\r\n~0\r\n"
        b"~1\r\n%3\r\n$5\r\nflags\r\n~2\r\n+RO\r\n+access\r\n"
        b"$12\r\nbegin_search\r\n%2\r\n$4\r\ntype\r\n$5\r\nindex\r\n$4\r\nspec\r\n%1\r\n$5\r\nindex\r\n:1\r\n"
        b"$9\r\nfind_keys\r\n%2\r\n$4\r\ntype\r\n$5\r\nrange\r\n$4\r\nspec\r\n"
        b"%3\r\n$7\r\nlastkey\r\n:0\r\n$7\r\nkeystep\r\n:1\r\n$5\r\nlimit\r\n:0\r\n~0\r\n"
    )


def test_docs_leave_out_what_is_not_there() -> None:
    assert describe_docs(declare("X", flags=WRITE | DENYOOM)) == {
        b"summary": b"Does it.",
        b"since": b"1.0.0",
        b"group": b"string",
    }


def everything() -> Iterator[Command]:
    for command in COMMANDS.values():
        yield command
        yield from command.subcommands.values()


def test_every_declaration_is_complete() -> None:
    for command in everything():
        assert command.summary.endswith("."), f"{command.name!r}: the summary is a sentence"
        assert command.handler is not None or command.subcommands, command.name
        assert command.arity != 0 and command.since, command.name
        last_spec = max(key_spec_indices(command.arguments), default=-1)
        assert last_spec < max(1, len(command.key_specs)), command.name


def key_spec_indices(arguments: tuple[Argument, ...]) -> Iterator[int]:
    for argument in arguments:
        if argument.key_spec is not None:
            yield argument.key_spec
        yield from key_spec_indices(argument.arguments)
