"""Every configuration parameter, in one table: name, kind with its bounds, default, who may change it, what it needs.

Whatever the server says about its configuration follows from here: CONFIG GET and SET, the messages for wrong values,
redis.conf, CONFIG REWRITE, and the warning about a directive that does nothing yet. Names, defaults, bounds, aliases
and mutability are those of Redis 8.2.3; `conformance/test_config_surface.py` compares them all with the real server.

A parameter that nothing reads says so in one of two columns, and setting it in redis.conf or on the command line is
answered with a warning:

    needs   the part of mini_redis that will act on it, when it exists
    moot    why nothing can ever act on it here

Hidden parameters answer CONFIG GET only under their exact name. An alias is the same value under an older name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from mini_redis.server.config_kinds import (
    INT_MAX,
    UINT_MAX,
    AnyKind,
    BadValue,
    Bind,
    Choice,
    Directory,
    Integer,
    KeyspaceEvents,
    Memory,
    MemoryOrPercent,
    Octal,
    OomScores,
    Options,
    OutputLimit,
    OutputLimits,
    Percentiles,
    ReplicaOf,
    SavePoint,
    SavePoints,
    Text,
    YesNo,
)
from mini_redis.structures.numbers import INT64_MAX

IMMUTABLE: Final = 1  # only redis.conf and the command line set it
PROTECTED: Final = 2  # CONFIG SET only where enable-protected-configs allows
SENSITIVE: Final = 4  # its value is kept out of MONITOR and the slow log
HIDDEN: Final = 8


@dataclass(frozen=True, slots=True, eq=False)
class Parameter:
    """One row. `attribute` is its name in Python, where Config keeps the value."""

    name: bytes
    kind: AnyKind
    default: Any
    flags: int = 0
    needs: str = ""
    moot: str = ""
    aliases: tuple[bytes, ...] = ()

    @property
    def attribute(self) -> str:
        return self.name.decode().replace("-", "_")


def _row(
    name: str, kind: AnyKind, default: Any, flags: int = 0, *, needs: str = "", moot: str = "", alias: str = ""
) -> Parameter:
    return Parameter(name.encode(), kind, default, flags, needs, moot, (alias.encode(),) if alias else ())


# --- Values that are refused for a reason of their own ----------------------------------------------------------------


def _file_name(text: bytes) -> None:
    if b"/" in text:
        raise BadValue(b"dbfilename can't be a path, just a filename")


def _append_file_name(text: bytes) -> None:
    if not text:
        raise BadValue(b"appendfilename can't be empty")
    if b"/" in text:
        raise BadValue(b"appendfilename can't be a path, just a filename")


def _append_directory_name(text: bytes) -> None:
    if not text:
        raise BadValue(b"appenddirname can't be empty")
    if b"/" in text:
        raise BadValue(b"appenddirname can't be a path, just a dirname")


def _collation(text: bytes) -> None:
    # Which locales exist differs between machines, so only what cannot be the name of one is refused.
    if not re.fullmatch(rb"|POSIX|(?:C|[a-z]{2,3}_[A-Z]{2})(?:\.[\w-]+)?(?:@\w+)?", text):
        raise BadValue(b"Invalid locale name")


def _host_name(text: bytes) -> None:
    if len(text) >= 256:
        raise BadValue(b"Hostnames must be less than 256 characters")
    rest = text.translate(None, b"-.")
    if rest and not rest.isalnum():
        raise BadValue(b"Hostnames may only contain alphanumeric characters, hyphens or dots")


def _node_name(text: bytes) -> None:
    if any(byte in b"\0!#$%&()*+:;<>?@[]^{|}~" for byte in text):
        raise BadValue(b"Announced human node name contained invalid character")


_TITLE_VARIABLES = ("title", "listen-addr", "server-mode", "port", "tls-port", "unixsocket", "config-file")


def _title_template(text: bytes) -> None:
    rest = text
    for variable in _TITLE_VARIABLES:
        rest = rest.replace(b"{%b}" % variable.encode(), b"x")
    if not rest or b"{" in rest:
        raise BadValue(b"template format is invalid or contains unknown variables")


def _save_or_not(words: tuple[bytes, ...]) -> None:
    if b"save" in words and b"nosave" in words:
        raise BadValue(b"shutdown options SAVE and NOSAVE can't be used simultaneously")


# --- Kinds that many rows share ---------------------------------------------------------------------------------------

_YES_NO = YesNo()
_TEXT = Text()
_SECRET = Text(binary=True)
_KEPT_TEXT = Text(keep_empty=True)
_PORT = Integer(0, 65535)
_INT = Integer(0, INT_MAX)
_ANY_INT = Integer(-INT_MAX - 1, INT_MAX)
_POSITIVE = Integer(1, INT_MAX)
_LONG = Integer(0, INT64_MAX)
_UNSIGNED_LONG = Integer(0, INT64_MAX, unsigned=True)
_SIGNED_SIZE = Memory(0, INT64_MAX)
_SIZE = Memory(0, INT64_MAX, unsigned=True)
_PERCENT = Integer(0, 100)
_GUARD = Choice("no yes local")
_ON_SIGNAL = Options("default save nosave now force", _save_or_not)

_NO_ALLOCATOR = "memory belongs to Python's allocator"
_ONE_THREAD = "all commands and all input and output run on one thread, by design"
_NO_TITLE = "a Python process keeps its title"
_NO_CRASH = "an unexpected error is logged with its traceback and closes one connection; it never ends the server"
_NO_AFFINITY = "which CPU a process runs on is left to taskset(1)"
_NO_SUPERVISION = "logging goes to logfile or standard output, and the process stays in the foreground"

# --- The table --------------------------------------------------------------------------------------------------------

PARAMETERS: Final[tuple[Parameter, ...]] = (
    # Where to listen, and to whom
    _row("port", _PORT, 6379),
    _row("bind", Bind(), (b"*", b"-::*")),
    _row("protected-mode", _YES_NO, True),
    _row("unixsocket", _TEXT, b"", IMMUTABLE),
    _row("unixsocketperm", Octal(0, 0o777, unsigned=True), 0, IMMUTABLE),
    _row("tcp-backlog", _INT, 511, IMMUTABLE),
    _row("tcp-keepalive", _INT, 300),
    _row("timeout", _INT, 0),
    _row("maxclients", Integer(1, UINT_MAX, unsigned=True), 10000),
    _row(
        "max-new-connections-per-cycle",
        Integer(1, 1000, unsigned=True),
        10,
        moot="a turn of the loop accepts a fixed number of connections",
    ),
    _row("socket-mark-id", Integer(0, UINT_MAX, unsigned=True), 0, IMMUTABLE, moot="sockets are not marked"),
    # What one client may use
    _row("client-query-buffer-limit", Memory(2**20, INT64_MAX, unsigned=True), 2**30),
    _row("proto-max-bulk-len", Memory(2**20, INT64_MAX), 512 * 2**20),
    _row(
        "client-output-buffer-limit",
        OutputLimits(),
        {
            b"normal": OutputLimit(0, 0, 0),
            b"slave": OutputLimit(256 * 2**20, 64 * 2**20, 60),
            b"pubsub": OutputLimit(32 * 2**20, 8 * 2**20, 60),
        },
    ),
    _row("maxmemory-clients", MemoryOrPercent(-100, INT64_MAX), 0),
    # The process
    _row("daemonize", _YES_NO, False, IMMUTABLE, moot="the server stays in the foreground; use your service manager"),
    _row("supervised", Choice("upstart systemd auto no"), b"no", IMMUTABLE, moot=_NO_SUPERVISION),
    _row("pidfile", _TEXT, b"", IMMUTABLE),
    _row("dir", Directory(), b"", PROTECTED),
    _row("loglevel", Choice("debug verbose notice warning nothing"), b"notice"),
    _row("logfile", _KEPT_TEXT, b"", IMMUTABLE),
    _row("syslog-enabled", _YES_NO, False, IMMUTABLE, moot=_NO_SUPERVISION),
    _row("syslog-ident", _KEPT_TEXT, b"redis", IMMUTABLE, moot=_NO_SUPERVISION),
    _row(
        "syslog-facility",
        Choice("user local0 local1 local2 local3 local4 local5 local6 local7"),
        b"local0",
        IMMUTABLE,
        moot=_NO_SUPERVISION,
    ),
    _row("always-show-logo", _YES_NO, False, IMMUTABLE),
    _row("set-proc-title", _YES_NO, True, IMMUTABLE, moot=_NO_TITLE),
    _row(
        "proc-title-template",
        Text(_title_template, keep_empty=True),
        b"{title} {listen-addr} {server-mode}",
        moot=_NO_TITLE,
    ),
    _row("crash-log-enabled", _YES_NO, True, moot=_NO_CRASH),
    _row("crash-memcheck-enabled", _YES_NO, True, moot=_NO_CRASH),
    _row("use-exit-on-panic", _YES_NO, False, HIDDEN, moot=_NO_CRASH),
    _row("watchdog-period", _INT, 0, HIDDEN, moot="there is no software watchdog"),
    _row("hide-user-data-from-log", _YES_NO, False, moot="the log shows no keys and no values in any case"),
    _row("ignore-warnings", _KEPT_TEXT, b"", moot="the warnings that it silences do not exist here"),
    _row("locale-collate", Text(_collation, keep_empty=True), b"", needs="SORT"),
    _row("disable-thp", _YES_NO, True, IMMUTABLE, moot="huge pages are left to the system's settings"),
    _row(
        "oom-score-adj",
        Choice("no yes relative absolute", {b"relative": b"yes"}),
        b"no",
        moot="the kernel's choice of victims is left to the service manager",
    ),
    _row(
        "oom-score-adj-values",
        OomScores(),
        (0, 200, 800),
        moot="the kernel's choice of victims is left to the service manager",
    ),
    _row("io-threads", Integer(1, 128), 1, IMMUTABLE, moot=_ONE_THREAD),
    _row("prefetch-batch-max-size", Integer(0, 128), 16, HIDDEN, moot=_ONE_THREAD),
    _row("server-cpulist", _TEXT, b"", IMMUTABLE, moot=_NO_AFFINITY, alias="server_cpulist"),
    _row("bio-cpulist", _TEXT, b"", IMMUTABLE, moot=_NO_AFFINITY, alias="bio_cpulist"),
    _row("aof-rewrite-cpulist", _TEXT, b"", IMMUTABLE, moot=_NO_AFFINITY, alias="aof_rewrite_cpulist"),
    _row("bgsave-cpulist", _TEXT, b"", IMMUTABLE, moot=_NO_AFFINITY, alias="bgsave_cpulist"),
    # The keyspace and its housekeeping
    _row("databases", _POSITIVE, 16, IMMUTABLE),
    _row("hz", Integer(0, INT_MAX, clamp=(1, 500)), 10),
    _row("dynamic-hz", _YES_NO, True, moot="the cron runs hz times a second, however many clients there are"),
    _row("active-expire-effort", Integer(1, 10), 1),
    _row("activerehashing", _YES_NO, True, moot="dictionaries grow in small pieces by themselves"),
    _row("notify-keyspace-events", KeyspaceEvents(), 0),
    _row(
        "lazyexpire-nested-arbitrary-keys",
        _YES_NO,
        True,
        HIDDEN,
        moot="a script that comes across an expired key always removes it",
    ),
    _row("lazyfree-lazy-eviction", _YES_NO, False),
    _row("lazyfree-lazy-expire", _YES_NO, False),
    _row("lazyfree-lazy-server-del", _YES_NO, False),
    _row("lazyfree-lazy-user-del", _YES_NO, False),
    _row("lazyfree-lazy-user-flush", _YES_NO, False, moot="FLUSHALL and FLUSHDB always release memory lazily"),
    # Memory
    _row("maxmemory", _SIZE, 0),
    _row(
        "maxmemory-policy",
        Choice(
            "volatile-lru volatile-lfu volatile-random volatile-ttl allkeys-lru allkeys-lfu allkeys-random noeviction"
        ),
        b"noeviction",
    ),
    _row("maxmemory-samples", Integer(1, 64), 5),
    _row("maxmemory-eviction-tenacity", _PERCENT, 10),
    _row("lfu-log-factor", _INT, 10),
    _row("lfu-decay-time", _INT, 1),
    _row("activedefrag", _YES_NO, False, moot=_NO_ALLOCATOR),
    _row("active-defrag-cycle-min", Integer(1, 99), 1, moot=_NO_ALLOCATOR),
    _row("active-defrag-cycle-max", Integer(1, 99), 25, moot=_NO_ALLOCATOR),
    _row("active-defrag-threshold-lower", Integer(0, 1000), 10, moot=_NO_ALLOCATOR),
    _row("active-defrag-threshold-upper", Integer(0, 1000), 100, moot=_NO_ALLOCATOR),
    _row("active-defrag-ignore-bytes", Memory(1, INT64_MAX, unsigned=True), 100 * 2**20, moot=_NO_ALLOCATOR),
    _row("active-defrag-max-scan-fields", Integer(1, INT64_MAX), 1000, moot=_NO_ALLOCATOR),
    _row("jemalloc-bg-thread", _YES_NO, True, moot=_NO_ALLOCATOR),
    # Encodings
    _row("hash-max-listpack-entries", _UNSIGNED_LONG, 512, alias="hash-max-ziplist-entries"),
    _row("hash-max-listpack-value", _SIZE, 64, alias="hash-max-ziplist-value"),
    _row("list-max-listpack-size", _ANY_INT, -2, alias="list-max-ziplist-size"),
    _row("list-compress-depth", _INT, 0),
    _row("set-max-intset-entries", _UNSIGNED_LONG, 512),
    _row("set-max-listpack-entries", _UNSIGNED_LONG, 128),
    _row("set-max-listpack-value", _UNSIGNED_LONG, 64),
    _row("zset-max-listpack-entries", _UNSIGNED_LONG, 128, alias="zset-max-ziplist-entries"),
    _row("zset-max-listpack-value", _SIZE, 64, alias="zset-max-ziplist-value"),
    _row("hll-sparse-max-bytes", _SIZE, 3000),
    _row("stream-node-max-bytes", _SIZE, 4096),
    _row("stream-node-max-entries", _LONG, 100),
    _row("vset-force-single-threaded-execution", _YES_NO, False, moot=_ONE_THREAD),
    # Watching the server
    _row("slowlog-log-slower-than", Integer(-1, INT64_MAX), 10000),
    _row("slowlog-max-len", _LONG, 128),
    _row("latency-monitor-threshold", _LONG, 0),
    _row("latency-tracking", _YES_NO, True),
    _row("latency-tracking-info-percentiles", Percentiles(), (50.0, 99.0, 99.9)),
    # Who may do what
    _row("requirepass", _SECRET, b"", SENSITIVE),
    _row("enable-debug-command", _GUARD, b"no", IMMUTABLE),
    _row("enable-protected-configs", _GUARD, b"no", IMMUTABLE),
    _row("enable-module-command", _GUARD, b"no", IMMUTABLE, needs="modules"),
    _row("aclfile", _KEPT_TEXT, b"", IMMUTABLE),
    _row("acl-pubsub-default", Choice("allchannels resetchannels"), b"resetchannels"),
    _row("acllog-max-len", _LONG, 128),
    _row("tls-port", _PORT, 0, needs="security"),
    _row("tls-auth-clients", Choice("no yes optional"), b"yes", needs="security"),
    _row("tls-ca-cert-dir", _TEXT, b"", needs="security"),
    _row("tls-ca-cert-file", _TEXT, b"", needs="security"),
    _row("tls-cert-file", _TEXT, b"", needs="security"),
    _row("tls-key-file", _TEXT, b"", needs="security"),
    _row("tls-key-file-pass", _TEXT, b"", SENSITIVE, needs="security"),
    _row("tls-client-cert-file", _TEXT, b"", needs="security"),
    _row("tls-client-key-file", _TEXT, b"", needs="security"),
    _row("tls-client-key-file-pass", _TEXT, b"", SENSITIVE, needs="security"),
    _row("tls-dh-params-file", _TEXT, b"", needs="security"),
    _row("tls-protocols", _TEXT, b"", needs="security"),
    _row("tls-ciphers", _TEXT, b"", needs="security"),
    _row("tls-ciphersuites", _TEXT, b"", needs="security"),
    _row("tls-prefer-server-ciphers", _YES_NO, False, needs="security"),
    _row("tls-session-caching", _YES_NO, True, needs="security"),
    _row("tls-session-cache-size", _INT, 20480, needs="security"),
    _row("tls-session-cache-timeout", _INT, 300, needs="security"),
    _row("tls-replication", _YES_NO, False, needs="security"),
    _row("tls-cluster", _YES_NO, False, needs="security"),
    _row("max-new-tls-connections-per-cycle", Integer(1, 1000, unsigned=True), 1, needs="security"),
    # Persistence
    _row("save", SavePoints(), (SavePoint(3600, 1), SavePoint(300, 100), SavePoint(60, 10000)), needs="persistence"),
    _row("dbfilename", Text(_file_name, keep_empty=True), b"dump.rdb", PROTECTED, needs="persistence"),
    _row("rdbcompression", _YES_NO, True),
    _row("rdbchecksum", _YES_NO, True, IMMUTABLE, needs="persistence"),
    _row("rdb-del-sync-files", _YES_NO, False, needs="persistence"),
    _row("rdb-save-incremental-fsync", _YES_NO, True, needs="persistence"),
    _row("rdb-key-save-delay", _ANY_INT, 0, HIDDEN, needs="persistence"),
    _row("key-load-delay", _ANY_INT, 0, HIDDEN, needs="persistence"),
    _row("loading-process-events-interval-bytes", Integer(1024, INT_MAX), 512 * 1024, HIDDEN, needs="persistence"),
    _row("sanitize-dump-payload", Choice("no yes clients"), b"no", moot="every value that is read is checked"),
    _row("stop-writes-on-bgsave-error", _YES_NO, True, needs="persistence"),
    _row("appendonly", _YES_NO, False, needs="persistence"),
    _row("appendfilename", Text(_append_file_name, keep_empty=True), b"appendonly.aof", IMMUTABLE, needs="persistence"),
    _row(
        "appenddirname", Text(_append_directory_name, keep_empty=True), b"appendonlydir", IMMUTABLE, needs="persistence"
    ),
    _row("appendfsync", Choice("everysec always no"), b"everysec", needs="persistence"),
    _row("no-appendfsync-on-rewrite", _YES_NO, False, needs="persistence"),
    _row("auto-aof-rewrite-percentage", _INT, 100, needs="persistence"),
    _row("auto-aof-rewrite-min-size", _SIGNED_SIZE, 64 * 2**20, needs="persistence"),
    _row("aof-load-truncated", _YES_NO, True, needs="persistence"),
    _row("aof-use-rdb-preamble", _YES_NO, True, needs="persistence"),
    _row("aof-rewrite-incremental-fsync", _YES_NO, True, needs="persistence"),
    _row("aof-timestamp-enabled", _YES_NO, False, needs="persistence"),
    _row("aof-disable-auto-gc", _YES_NO, False, HIDDEN, needs="persistence"),
    _row("shutdown-on-sigint", _ON_SIGNAL, (), needs="persistence"),
    _row("shutdown-on-sigterm", _ON_SIGNAL, (), needs="persistence"),
    # Replication
    _row("replicaof", ReplicaOf(), None, IMMUTABLE, needs="replication", alias="slaveof"),
    _row("masteruser", _TEXT, b"", SENSITIVE, needs="replication"),
    _row("masterauth", _SECRET, b"", SENSITIVE, needs="replication"),
    _row("bind-source-addr", _TEXT, b"", needs="replication"),
    _row("replica-announce-ip", _TEXT, b"", needs="replication", alias="slave-announce-ip"),
    _row("replica-announce-port", _PORT, 0, needs="replication", alias="slave-announce-port"),
    _row("replica-announced", _YES_NO, True, needs="replication"),
    _row("replica-priority", _INT, 100, needs="replication", alias="slave-priority"),
    _row("replica-read-only", _YES_NO, True, needs="replication", alias="slave-read-only"),
    _row("replica-serve-stale-data", _YES_NO, True, needs="replication", alias="slave-serve-stale-data"),
    _row("replica-ignore-maxmemory", _YES_NO, True, needs="replication", alias="slave-ignore-maxmemory"),
    _row("replica-lazy-flush", _YES_NO, False, needs="replication", alias="slave-lazy-flush"),
    _row("replica-ignore-disk-write-errors", _YES_NO, False, needs="replication"),
    _row("replica-full-sync-buffer-limit", _SIGNED_SIZE, 0, needs="replication"),
    _row("min-replicas-to-write", _INT, 0, needs="replication", alias="min-slaves-to-write"),
    _row("min-replicas-max-lag", _INT, 10, needs="replication", alias="min-slaves-max-lag"),
    _row("repl-backlog-size", Memory(1, INT64_MAX, clamp=(16384, INT64_MAX)), 2**20, needs="replication"),
    _row("repl-backlog-ttl", _LONG, 3600, needs="replication"),
    _row("repl-timeout", _POSITIVE, 60, needs="replication"),
    _row("repl-ping-replica-period", _POSITIVE, 10, needs="replication", alias="repl-ping-slave-period"),
    _row("repl-disable-tcp-nodelay", _YES_NO, False, needs="replication"),
    _row("repl-diskless-load", Choice("disabled on-empty-db swapdb"), b"disabled", needs="replication"),
    _row("repl-diskless-sync", _YES_NO, True, needs="replication"),
    _row("repl-diskless-sync-delay", _INT, 5, needs="replication"),
    _row("repl-diskless-sync-max-replicas", _INT, 0, needs="replication"),
    _row("repl-rdb-channel", _YES_NO, True, HIDDEN, needs="replication"),
    _row("propagation-error-behavior", Choice("ignore panic panic-on-replicas"), b"ignore", needs="replication"),
    _row("shutdown-timeout", _INT, 10, needs="replication"),
    # Cluster
    _row("cluster-enabled", _YES_NO, False, IMMUTABLE, needs="cluster"),
    _row("cluster-config-file", _KEPT_TEXT, b"nodes.conf", IMMUTABLE, needs="cluster"),
    _row("cluster-port", _PORT, 0, IMMUTABLE, needs="cluster"),
    _row("cluster-node-timeout", _LONG, 15000, needs="cluster"),
    _row("cluster-ping-interval", _LONG, 0, HIDDEN, needs="cluster"),
    _row("cluster-announce-ip", _TEXT, b"", needs="cluster"),
    _row("cluster-announce-hostname", Text(_host_name), b"", needs="cluster"),
    _row("cluster-announce-human-nodename", Text(_node_name), b"", needs="cluster"),
    _row("cluster-announce-port", _PORT, 0, needs="cluster"),
    _row("cluster-announce-tls-port", _PORT, 0, needs="cluster"),
    _row("cluster-announce-bus-port", _PORT, 0, needs="cluster"),
    _row("cluster-preferred-endpoint-type", Choice("ip hostname unknown-endpoint"), b"ip", needs="cluster"),
    _row("cluster-require-full-coverage", _YES_NO, True, needs="cluster"),
    _row("cluster-allow-reads-when-down", _YES_NO, False, needs="cluster"),
    _row("cluster-allow-pubsubshard-when-down", _YES_NO, True, needs="cluster"),
    _row("cluster-allow-replica-migration", _YES_NO, True, needs="cluster"),
    _row("cluster-migration-barrier", _INT, 1, needs="cluster"),
    _row("cluster-replica-no-failover", _YES_NO, False, needs="cluster", alias="cluster-slave-no-failover"),
    _row("cluster-replica-validity-factor", _INT, 10, needs="cluster", alias="cluster-slave-validity-factor"),
    _row("cluster-link-sendbuf-limit", _SIZE, 0, needs="cluster"),
    _row("cluster-slot-stats-enabled", _YES_NO, False, needs="cluster"),
    _row("cluster-compatibility-sample-ratio", _PERCENT, 0, needs="cluster"),
    # Scripts and client-side caching
    _row("busy-reply-threshold", _LONG, 5000, alias="lua-time-limit"),
    _row(
        "lua-enable-deprecated-api",
        _YES_NO,
        False,
        IMMUTABLE | HIDDEN,
        moot="setfenv and its like would open the sandbox of scripts",
    ),
    _row("tracking-table-max-keys", _UNSIGNED_LONG, 1_000_000),
)

BY_NAME: Final[dict[bytes, Parameter]] = {
    name: parameter for parameter in PARAMETERS for name in (parameter.name, *parameter.aliases)
}
"""Every name, aliases included, in the order of the table."""

NO_LONGER_USED: Final = frozenset(
    (b"list-max-ziplist-entries", b"list-max-ziplist-value", b"lua-replicate-commands", b"io-threads-do-reads")
)
"""Directives of the past: read with one argument, and without consequence, as by Redis."""
