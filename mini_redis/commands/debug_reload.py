"""DEBUG RELOAD: all data through the form that it has in an RDB file, and back.

Redis saves its data, forgets it, and loads the file. This server writes no file yet, so here each value goes the same
way by itself, in memory. What the way does to them is the same: an encoding is chosen anew, by the size that a value
has now; a key whose time is past does not come back, while a field's does; and whoever watches a key must take it for
changed. The options NOSAVE, NOFLUSH and MERGE are about the file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mini_redis.resp.reply import OK, Reply, ReplyError
from mini_redis.structures.hash import Hash
from mini_redis.structures.vector_set import VectorSet

if TYPE_CHECKING:
    from mini_redis.keyspace.database import Database
    from mini_redis.server.context import Context

FILE_OPTIONS = (b"NOSAVE", b"NOFLUSH", b"MERGE")
NO_FILE = ReplyError(b"ERR DEBUG RELOAD MERGE, NOFLUSH and NOSAVE need a file, and this server writes none")
NO_OPTION = ReplyError(b"ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.")


def debug_reload(ctx: Context, argv: list[bytes]) -> Reply:
    """RELOAD: make all values anew from what an RDB file would hold. O(size of the data)."""
    for word in argv[2:]:
        raise NO_FILE if word.upper() in FILE_OPTIONS else NO_OPTION
    server = ctx.server
    loaded = expired = 0
    for db in server.keyspace.databases:
        before = len(db)
        _reload(ctx, db)
        loaded += len(db)
        expired += before - len(db)
    server.tracking.flushed()
    server.dirty = 0
    server.stats.last_save.renew(server.now_us, loaded, expired)
    return OK


def _reload(ctx: Context, db: Database) -> None:
    keeps_clocks = ctx.server.config.maxmemory_policy.endswith((b"lru", b"lfu"))  # only then a file holds them
    db.touch_watched_in(None)
    for key in list(db.data):
        if db.is_expired(key):
            db.delete(key, lazily=True)
            continue
        value = ctx.server.saved_and_loaded(db.data[key])
        db.replace(key, value)
        if not keeps_clocks:
            db.clocks.touch(key, ctx.now_ms)
        if isinstance(value, Hash):
            db.deadlines_changed(key, value)
        elif isinstance(value, VectorSet):
            value.number = ctx.server.vector_sets_created
            ctx.server.vector_sets_created += 1
