"""Users and their rules: what a story of rules permits, what is told of it, and what follows for connections."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mini_redis.commands import COMMANDS
from mini_redis.commands.registry import ACL_CATEGORIES, NO_AUTH, lookup
from mini_redis.drivers.in_process import InProcess, InProcessClient
from mini_redis.resp.reply import ReplyError
from mini_redis.security.catalogue import catalogue
from mini_redis.security.log import AccessLog, Refusal
from mini_redis.security.selector import COMMAND_DENIED, KEY_DENIED, RuleError, Selector
from mini_redis.security.users import AclFileError, Users, joined, read_acl_file
from mini_redis.server.conf_file import ConfigError
from mini_redis.server.environment import Environment

NAMES = sorted(name.decode() for name in catalogue().everything)
CONTAINERS = sorted(name.decode() for name, command in COMMANDS.items() if command.subcommands)
ABOUT_COMMANDS = st.one_of(
    st.builds("{}{}".format, st.sampled_from("+-"), st.sampled_from([*NAMES, *CONTAINERS, "select", "get"])),
    st.builds("{}@{}".format, st.sampled_from("+-"), st.sampled_from([*ACL_CATEGORIES, "all"])),
    st.sampled_from(["+select|0", "+select|1", "+get|0", "allcommands", "nocommands"]),
)
PATTERNS = st.sampled_from(["a", "a*", "k:*", "[ab]", ""])
ABOUT_REST = st.one_of(
    st.builds("{}{}".format, st.sampled_from(["~", "%R~", "%W~", "&"]), PATTERNS),
    st.sampled_from(["allkeys", "resetkeys", "allchannels", "resetchannels"]),
)
SELECTORS = st.lists(st.one_of(ABOUT_COMMANDS, ABOUT_REST), max_size=3).map(lambda rules: f"({' '.join(rules)})")
ABOUT_USER = st.one_of(
    st.sampled_from(["on", "off", "nopass", "resetpass", ">p", ">q", "<p", "reset", "clearselectors",
                     "skip-sanitize-payload"]),
    SELECTORS,
)  # fmt: skip
STORIES = st.lists(st.one_of(ABOUT_COMMANDS, ABOUT_COMMANDS, ABOUT_REST, ABOUT_USER), max_size=25)


# --- Rules -----------------------------------------------------------------------------------------------------------


def speaks_of(rule: str, name: str) -> bool:
    """Whether a rule about commands means this one: the definition, one command at a time."""
    what = rule[1:]
    container = lookup(name.partition("|")[0].encode())
    command = lookup(name.encode())
    assert container is not None
    assert command is not None
    if what.startswith("@"):
        category = what[1:]
        return category == "all" or category in command.categories or category in container.categories
    return what in (name, container.name.decode())


@settings(max_examples=300)
@given(st.lists(ABOUT_COMMANDS, max_size=20), st.lists(st.sampled_from(NAMES), min_size=30, max_size=30))
def test_the_last_word_about_a_command_decides(story: list[str], names: list[str]) -> None:
    selector = Selector(catalogue())
    for rule in story:
        selector.apply(rule.encode())
    selector.check()
    spelled = [{"allcommands": "+@all", "nocommands": "-@all"}.get(rule, rule) for rule in story]
    for name in names:
        words = [rule for rule in spelled if "|" not in rule or rule[1:] in NAMES]
        last = next((rule for rule in reversed(words) if speaks_of(rule, name)), "-")
        assert (name.encode() in selector.allowed) == last.startswith("+"), name


@settings(max_examples=300)
@given(STORIES)
def test_what_is_told_of_a_user_makes_the_same_user_again(story: list[str]) -> None:
    users = Users()
    user = users.new(b"u")
    for rule in story:
        before = user.describe()
        try:
            user.apply(rule.encode())
        except RuleError:
            assert user.describe() == before, "a rule that is refused changes nothing"
        user.check()

    again = users.new(b"u")
    for rule in joined(user.describe().split(b" ")):
        again.apply(rule)
    again.check()
    assert again.describe() == user.describe()
    for mine, others in zip(user.selectors, again.selectors, strict=True):
        assert (mine.allowed, mine.keys, list(mine.channels)) == (others.allowed, others.keys, list(others.channels))
        assert (mine.all_keys, mine.all_channels) == (others.all_keys, others.all_channels)


def test_a_category_with_a_container_has_all_of_it() -> None:
    selector = Selector(catalogue())
    selector.apply(b"+@slow")
    assert b"acl|setuser" in selector.allowed


def test_a_call_needs_one_selector_that_permits_all_of_it() -> None:
    users = Users()
    user = users.changed(b"u", [b"+get", b"~a*", b"(+set %W~b*)"])
    get, set_ = lookup(b"get"), lookup(b"set")
    assert get is not None
    assert set_ is not None
    assert user.denial(get, [b"GET", b"a"]) is None
    assert user.denial(set_, [b"SET", b"b", b"v"]) is None
    assert user.denial(set_, [b"SET", b"a", b"v"]) == (KEY_DENIED, 1), "it came further in the second selector"
    assert user.denial(set_, [b"SET", b"b", b"v", b"GET"]) == (KEY_DENIED, 1), "GET reads as well"
    assert users.changed(b"v", []).denial(get, [b"GET", b"a"]) == (COMMAND_DENIED, 0)


def test_what_a_stranger_may_say_everybody_may() -> None:
    nobody = Users().new(b"u")
    for command in COMMANDS.values():
        if command.flags & NO_AUTH:
            assert nobody.denial(command, [command.name]) is None, command.name


# --- The gate --------------------------------------------------------------------------------------------------------


def logged_in(node: InProcess, user: str = "u") -> InProcessClient:
    client = node.connect()
    assert client.command("AUTH", user, "p") == b"+OK\r\n"
    return client


def test_nobody_pays_until_somebody_is_restricted() -> None:
    node = InProcess()
    admin = node.connect()
    get = node.server.commands[b"GET"]
    assert get.gates == ()
    admin.command("ACL", "SETUSER", "u", "on", "nopass", "~*", "&*", "+@all")
    assert get.gates == (), "who may do everything needs no gate"
    admin.command("ACL", "SETUSER", "u", "-flushall")
    assert len(get.gates) == 1
    admin.command("ACL", "DELUSER", "u")
    assert get.gates == ()


def test_a_script_has_the_permissions_of_its_caller() -> None:
    node = InProcess()
    node.connect().command("ACL", "SETUSER", "u", "on", "nopass", "+get", "~a*")
    client = logged_in(node).handle
    server = node.server
    assert server.acl_allows(client, [b"GET", b"a"])
    assert not server.acl_allows(client, [b"GET", b"b"])
    with pytest.raises(ReplyError, match="unknown command"):
        server.acl_allows(client, [b"NOTHING"])
    assert not server.access.log.entries, "asking is no offence"

    get = server.command_table.resolve([b"GET"]).command
    assert server.access.refusal_in_script(client, get, [b"GET", b"a"]) is None
    refusal = server.access.refusal_in_script(client, get, [b"GET", b"b"])
    assert refusal is not None
    assert refusal.text == b"ERR ACL failure in script: No permissions to access a key"
    assert [(entry.context, entry.object) for entry in server.access.log.entries] == [(b"lua", b"b")]


def test_protected_mode_is_over_when_the_default_user_has_a_password() -> None:
    node = InProcess()
    admin = node.connect()
    stranger = node.server.connected("10.0.0.1:5")
    assert stranger.closing
    node.server.take_effects()  # what it is told goes nowhere here
    admin.command("ACL", "SETUSER", "default", ">p")
    assert not node.server.connected("10.0.0.1:6").closing


def test_a_user_who_is_deleted_takes_his_connections_along_within_the_turn() -> None:
    node = InProcess()
    admin = node.connect()
    admin.command("ACL", "SETUSER", "u", "on", ">p", "~*", "+@all")
    client, himself = logged_in(node), logged_in(node)
    assert himself.talk(b"ACL DELUSER u\r\nSET k v\r\n") == b":1\r\n", "what he sent after it is not run"
    assert himself.closed
    assert client.closed
    assert admin.command("EXISTS", "k") == b":0\r\n"


# --- The log ---------------------------------------------------------------------------------------------------------


def refusal(at_ms: int, what: bytes = b"get") -> Refusal:
    return Refusal(COMMAND_DENIED, b"toplevel", what, b"u", b"client at %d" % at_ms, at_ms)


def test_the_same_refusal_within_a_minute_is_counted() -> None:
    log = AccessLog()
    log.add(refusal(0), 10)
    log.add(refusal(1, b"set"), 10)
    log.add(refusal(60_000), 10)
    assert [(entry.object, entry.count, entry.id) for entry in log.entries] == [(b"get", 2, 0), (b"set", 1, 1)]
    assert (log.entries[0].created_ms, log.entries[0].updated_ms) == (0, 60_000)
    assert log.entries[0].client == b"client at 60000"
    log.add(refusal(120_001), 10)
    assert [(entry.count, entry.id) for entry in log.entries] == [(1, 2), (2, 0), (1, 1)], "a minute later it is news"
    log.add(refusal(120_002, b"del"), 2)
    assert [entry.object for entry in log.entries] == [b"del", b"get"]
    log.clear()
    log.add(refusal(120_003), 0)
    assert log.entries == []
    assert log.counts[COMMAND_DENIED] == 6


def test_the_age_of_an_entry_follows_the_clock() -> None:
    node = InProcess()
    admin = node.connect()
    admin.command("AUTH", "nobody", "x")
    node.advance(1.5)
    assert b"$11\r\nage-seconds\r\n$3\r\n1.5\r\n" in admin.command("ACL", "LOG")


# --- The file --------------------------------------------------------------------------------------------------------


class Disk(Environment):
    """Files in a dict."""

    def __init__(self, **files: bytes) -> None:
        self.files = files

    def read_file(self, path: str) -> bytes:
        if path not in self.files:
            raise ReplyError(b"ERR No such file or directory")
        return self.files[path]

    def write_file(self, path: str, data: bytes) -> None:
        if path.startswith("/"):
            raise ReplyError(b"ERR Permission denied")
        self.files[path] = data


def with_file(disk: Disk, path: str = "users") -> InProcess:
    node = InProcess()
    node.server.environment = disk
    node.config.aclfile = path.encode()
    return node


def test_a_file_replaces_all_users_or_none() -> None:
    disk = Disk(users=b"user u on nopass ~* &* +@all\n\nuser v off\n")
    node = with_file(disk)
    admin = node.connect()
    admin.command("ACL", "SETUSER", "gone", "on", "nopass", "+@all")
    assert admin.command("ACL", "LOAD") == b"+OK\r\n"
    assert admin.command("ACL", "USERS") == b"*3\r\n$7\r\ndefault\r\n$1\r\nu\r\n$1\r\nv\r\n"

    disk.files["users"] = b"user u +nothing\nuser w on"
    reply = admin.command("ACL", "LOAD")
    assert reply.startswith(b"-ERR users:1: Error in applying operation '+nothing': Unknown command or category name")
    assert admin.command("ACL", "USERS") == b"*3\r\n$7\r\ndefault\r\n$1\r\nu\r\n$1\r\nv\r\n"


def test_loading_ends_connections_of_users_who_are_gone_or_may_not_hear() -> None:
    disk = Disk(users=b"user listens on nopass &b +@all\nuser stays on nopass +@all")
    node = with_file(disk)
    admin = node.connect()
    for name in ("gone", "listens", "stays"):
        admin.command("ACL", "SETUSER", name, "on", "nopass", "&a", "+@all")
    gone, listens, stays = (logged_in(node, name) for name in ("gone", "listens", "stays"))
    listens.command("SUBSCRIBE", "a")
    assert admin.command("ACL", "LOAD") == b"+OK\r\n"
    assert (gone.closed, listens.closed, stays.closed) == (True, True, False)
    assert stays.command("ACL", "WHOAMI") == b"$5\r\nstays\r\n"


def test_what_was_saved_is_loaded_again() -> None:
    disk = Disk()
    node = with_file(disk)
    admin = node.connect()
    admin.command("ACL", "SETUSER", "u", "on", ">p", "~a", "%R~b", "&c", "+@read", "-get", "(+set ~x)")
    before = admin.command("ACL", "LIST")
    assert admin.command("ACL", "SAVE") == b"+OK\r\n"
    admin.command("ACL", "SETUSER", "u", "reset")
    assert admin.command("ACL", "LOAD") == b"+OK\r\n"
    assert admin.command("ACL", "LIST") == before

    node.config.aclfile = b"/forbidden"
    assert b"There was an error trying to save the ACLs" in admin.command("ACL", "SAVE")
    assert any("Permission denied" in message for message in node.messages)
    assert b"opening file '/forbidden': No such file" in admin.command("ACL", "LOAD")


def test_a_file_that_is_wrong_in_several_ways_is_told_all_of_them() -> None:
    with pytest.raises(AclFileError) as error:
        read_acl_file(b"f", b"# no comments\nuser a on\nuser a off\nuser b (+get\nuser c on x y +z\nuser \t\nuser d\te")
    assert error.value.text == (
        b"f:1 should start with user keyword followed by the username. WARNING: Duplicate user 'a' found on line 3. "
        b"f:4: Unmatched parenthesis in acl selector starting at '(+get'. f:5: Syntax error. f:5: Error in applying "
        b"operation '+z': Unknown command or category name in ACL. f:6 should start with user keyword followed by the "
        b"username. 'f:7: username 'd\te' contains invalid characters. "
        b"WARNING: ACL errors detected, no change to the previously active ACL rules was performed"
    )


def test_users_of_the_configuration_are_there_at_the_start() -> None:
    node = InProcess("user u on >p +get ( ~x +set )", "requirepass secret", "user v +get")
    client = node.connect()
    assert client.command("GET", "k") == b"-NOAUTH Authentication required.\r\n"
    assert client.command("AUTH", "u", "p") == b"+OK\r\n"
    assert client.command("SET", "x", "1") == b"+OK\r\n"
    assert client.command("AUTH", "secret") == b"+OK\r\n"
    assert any("The user 'v' is disabled" in message for message in node.messages)
    # Who is declared begins anew: the password of requirepass is gone.
    node = InProcess("requirepass secret", "user default on ~* +@all >other")
    assert node.connect().command("AUTH", "secret").startswith(b"-WRONGPASS")


@pytest.mark.parametrize(
    ("directives", "reason"),
    [
        (["user u on", "aclfile x"], "at the same setting an ACL file path is invalid"),
        (["user u +nothing"], r"Error loading ACL rule '\+nothing' for the user named 'u': Unknown command"),
        (['user "a b" on'], "Spaces not allowed in ACL usernames"),
        (["aclfile x"], "Aborting Redis startup because of ACL errors: Error loading ACLs, opening file 'x'"),
    ],
)
def test_a_configuration_whose_users_make_no_sense_is_refused(directives: list[str], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        InProcess(*directives)


# --- Passwords -------------------------------------------------------------------------------------------------------


def test_a_generated_password_has_as_many_digits_as_its_bits_need() -> None:
    first, second = (InProcess(seed=seed).connect() for seed in (1, 2))
    for bits, digits in ((1, 1), (4, 1), (5, 2), (256, 64), (4096, 1024)):
        reply = first.command("ACL", "GENPASS", bits)
        size, _, password = reply.partition(b"\r\n")
        assert size == b"$%d" % digits
        assert len(bytes.fromhex(password.strip().decode().rjust(digits + digits % 2, "0"))) == (digits + 1) // 2
    assert first.command("ACL", "GENPASS") != second.command("ACL", "GENPASS")
    once, again = (InProcess(seed=3).connect() for _ in range(2))
    assert once.command("ACL", "GENPASS") == again.command("ACL", "GENPASS")


def test_a_stranger_who_does_not_read_is_soon_gone() -> None:
    node = InProcess("requirepass secret")
    known, stranger = node.connect(), node.connect()
    known.command("AUTH", "secret")
    for client, unread in ((stranger, 1024), (known, 1_000_000), (stranger, 1025)):
        assert not stranger.handle.closing
        node.server.unsent(client.handle, unread)
    assert stranger.handle.closing and not known.handle.closing
    assert b"client_output_buffer_limit_disconnections:1" in known.command("INFO", "stats")


def test_the_parser_trusts_who_needs_no_password() -> None:
    """The limits for strangers follow the default user, also for those who are connected already."""
    node = InProcess("requirepass secret")
    admin, stranger = node.connect(), node.connect()
    admin.command("AUTH", "secret")
    assert not stranger.handle.parser.authenticated
    admin.command("CONFIG", "SET", "requirepass", "")
    assert stranger.handle.parser.authenticated
    assert stranger.command("SET", "k", b"x" * 20_000) == b"+OK\r\n"
    assert stranger.command("HELLO").startswith(b"-NOAUTH"), "HELLO remembers how the connection began"
