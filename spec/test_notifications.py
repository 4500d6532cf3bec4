"""`notify-keyspace-events`: its letters, and the two messages. Verified against CONFIG GET and PSUBSCRIBE of 8.2.3."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini_redis.keyspace import notifications
from mini_redis.keyspace.notifications import EVENTS, event_class, format_flags, notify, parse_flags


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (b"", b""),
        (b"K", b"K"),
        (b"E", b"E"),
        (b"AE", b"AE"),
        (b"EA", b"AE"),
        (b"g$lshzxetdmnocKE", b"AKEm"),
        (b"g$lshzxetdnKE", b"AKE"),
        (b"g$lshzxetKE", b"g$lshzxetKE"),
        (b"KEnA", b"AKE"),
        (b"KEmA", b"AKEm"),
        (b"mnKEgx", b"gxnKEm"),
        (b"KEoA", b"AKE"),
        (b"nmcoKE", b"nocKEm"),
        (b"nmocA", b"Am"),
        (b"KKgg", b"gK"),
        (b"K\0E", b"K"),
        (b"K\0?", b"K"),
    ],
)
def test_flags_are_read_in_any_order_and_told_in_one(said: bytes, told: bytes) -> None:
    assert format_flags(parse_flags(said)) == told


@pytest.mark.parametrize("said", [b"KEq", b"KEgqz", b" K", b"k", b"K,E", b"\xff"])
def test_an_unknown_letter_is_refused(said: bytes) -> None:
    with pytest.raises(ValueError, match=r"^Invalid event class character\. Use 'Ag\$lshzxeKEtmdn'\.$"):
        parse_flags(said)


@given(st.lists(st.sampled_from(list(b"KEg$lshzxetdm"))).map(bytes))
def test_what_is_told_means_what_was_said(said: bytes) -> None:
    flags = parse_flags(said)
    assert parse_flags(format_flags(flags)) == flags


def published(flags: bytes, event: str, key: bytes = b"k", db: int = 0) -> list[tuple[bytes, bytes]]:
    messages: list[tuple[bytes, bytes]] = []
    notify(parse_flags(flags), lambda channel, message: messages.append((channel, message)), db, key, event)
    return messages


def test_the_keyspace_channel_comes_first() -> None:
    assert published(b"KEA", "set") == [(b"__keyspace@0__:k", b"set"), (b"__keyevent@0__:set", b"k")]


def test_channels_are_chosen_by_k_and_e() -> None:
    assert published(b"KA", "del", b"a b\r\n", 12) == [(b"__keyspace@12__:a b\r\n", b"del")]
    assert published(b"EA", "del", b"", 3) == [(b"__keyevent@3__:del", b"")]
    assert published(b"A", "del") == []


def test_classes_are_chosen_by_their_letters() -> None:
    for event, letter in {
        "del": b"g",
        "expire": b"g",
        "set": b"$",
        "lpush": b"l",
        "sadd": b"s",
        "hset": b"h",
        "zadd": b"z",
        "xadd": b"t",
        "expired": b"x",
        "evicted": b"e",
        "keymiss": b"m",
        "new": b"n",
        "overwritten": b"o",
        "type_changed": b"c",
    }.items():
        assert len(published(b"K" + letter, event)) == 1, event
        others = bytes(set(b"g$lshzxetdmnoc") - set(letter))
        assert published(b"KE" + others, event) == [], event
        assert len(published(b"KA", event)) == (letter not in b"mnoc"), event


def test_each_event_has_one_class() -> None:
    for event in EVENTS:
        flag = event_class(event)
        assert flag & (flag - 1) == 0, "one bit"
        told = flag & ~(notifications.KEYSPACE | notifications.KEYEVENT)
        assert told or event == notifications.NO_EVENT, "a module's changes need not be events"
    with pytest.raises(KeyError):
        event_class("sett")
