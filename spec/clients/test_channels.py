"""channels_redis: a sorted set for each channel and a script for a group; or channels of pub/sub."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from server import Server

pytest.importorskip("channels_redis", reason="channels_redis is not installed: make install-test")
from channels.exceptions import ChannelFull  # noqa: E402
from channels_redis.core import RedisChannelLayer  # noqa: E402
from channels_redis.pubsub import RedisPubSubChannelLayer  # noqa: E402

pytestmark = pytest.mark.program("channels_redis")
Talk = Callable[[Any], Awaitable[None]]


def run(kind: type[Any], server: Server, talk: Talk, **options: Any) -> None:
    async def main() -> None:
        layer = kind(hosts=[server.url], **options)
        try:
            await asyncio.wait_for(talk(layer), timeout=60)
        finally:
            await layer.flush()

    asyncio.run(main())


@pytest.mark.parametrize("kind", [RedisChannelLayer, RedisPubSubChannelLayer], ids=["core", "pubsub"])
def test_a_group_hears_what_is_sent(kind: type[Any], server: Server) -> None:
    async def talk(layer: Any) -> None:
        names = [await layer.new_channel() for _ in range(3)]
        for name in names[:2]:
            await layer.group_add("room", name)
        await layer.group_send("room", {"type": "say", "text": "hello"})
        heard = await asyncio.gather(*(layer.receive(name) for name in names[:2]))
        assert [message["text"] for message in heard] == ["hello", "hello"]
        await layer.group_discard("room", names[0])
        await layer.group_send("room", {"type": "say", "text": "again"})
        await layer.send(names[0], {"type": "say", "text": "alone", "blob": b"\x00\xff"})
        assert (await layer.receive(names[1]))["text"] == "again"
        assert (await layer.receive(names[0])) == {"type": "say", "text": "alone", "blob": b"\x00\xff"}

    run(kind, server, talk)


@pytest.mark.parametrize("kind", [RedisChannelLayer, RedisPubSubChannelLayer], ids=["core", "pubsub"])
def test_a_receiver_waits(kind: type[Any], server: Server) -> None:
    async def talk(layer: Any) -> None:
        name = await layer.new_channel()
        receiving = asyncio.create_task(layer.receive(name))
        await layer.send(name, {"type": "late"})
        assert (await receiving)["type"] == "late"

    run(kind, server, talk)


def test_a_full_channel(server: Server) -> None:
    async def talk(layer: RedisChannelLayer) -> None:
        await layer.send("inbox", {"type": "1"})
        await layer.send("inbox", {"type": "2"})
        with pytest.raises(ChannelFull):
            await layer.send("inbox", {"type": "3"})
        for name in ("inbox", "other"):
            await layer.group_add("all", name)
        await layer.group_send("all", {"type": "4"})  # whoever is full does not get it
        assert [(await layer.receive("inbox"))["type"] for _ in range(2)] == ["1", "2"]
        assert (await layer.receive("other"))["type"] == "4"

    run(RedisChannelLayer, server, talk, capacity=2)


def test_messages_and_groups_expire(server: Server) -> None:
    async def talk(layer: RedisChannelLayer) -> None:
        await layer.group_add("room", "inbox")
        await layer.send("inbox", {"type": "old"})
        (key,) = server.ask("KEYS", "asgi:group:*")
        assert 80_000 < server.ask("TTL", key) <= 86_400
        assert 0 < server.ask("TTL", "asgiinbox") <= 60
        # As old as a message that nobody came for: the next sender throws it away.
        server.ask("ZUNIONSTORE", "asgiinbox", 1, "asgiinbox", "WEIGHTS", 0)
        await layer.send("inbox", {"type": "new"})
        assert (await layer.receive("inbox"))["type"] == "new"

    run(RedisChannelLayer, server, talk)


def test_what_a_receiver_took_with_it_is_put_back(server: Server) -> None:
    """A message that is taken waits in a second sorted set until its receiver has it; a script puts it back."""

    async def talk(layer: RedisChannelLayer) -> None:
        await layer.send("inbox", {"type": "first"})
        server.ask("RENAME", "asgiinbox", "asgiinbox$inflight")  # as a receiver that died left it
        await layer.send("inbox", {"type": "second"})
        assert [(await layer.receive("inbox"))["type"] for _ in range(2)] == ["first", "second"]

    run(RedisChannelLayer, server, talk)
