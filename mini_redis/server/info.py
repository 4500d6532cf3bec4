"""INFO: how is the server doing? One function a section, one line a fact.

What monitoring reads, so every name stands where Redis has it and every value is true of *this* process:

- **Measured**: counters of stats.py, the command table, the keyspace, the process (environment.py).
- **Constant, because true**: what this server does not have yet, such as replicas, scripts or a log of writes, is told
  as Redis tells it of a server that does not use them: `connected_slaves:0`, `aof_enabled:0`. Whoever builds the
  machinery replaces the constant.
- **Memory is two numbers.** `used_memory` is what Redis would use for the same data, estimated by its layout
  (memory.py); `used_memory_rss` is what this process takes. `mem_fragmentation_ratio` is their quotient: how much
  larger Python's objects are. The peak is that of `used_memory`, sampled ten times a second. Python's allocator tells
  nothing, so the `allocator_*` lines repeat the resident memory.
- **Counted when asked**: "keysizes"; keysizes.py tells how, and how old it may be.

Beside Redis's own, the section "server" has two more lines, `server_name:mini_redis` and `python_version`, and "stats"
has the longest turn of the event loop since the start or CONFIG RESETSTAT: `mini_redis_worst_turn_usec`, by the clock,
and `mini_redis_worst_turn_cpu_usec`, by the thread's own running time. Nobody waits longer than that for the others.

The table `SECTIONS` is the order of the reply. A section's heading comes even if nothing follows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from hashlib import sha1
from typing import TYPE_CHECKING, Final

from mini_redis.commands.module import MODULES
from mini_redis.security.selector import AUTH_DENIED, CHANNEL_DENIED, COMMAND_DENIED, KEY_DENIED
from mini_redis.server.keysizes import MEASURES, told
from mini_redis.server.stats import commands_processed
from mini_redis.server.version import REDIS_VERSION
from mini_redis.structures.histogram import percentiles_ns

if TYPE_CHECKING:
    from mini_redis.server.client import Client
    from mini_redis.server.memory import Account
    from mini_redis.server.node import Server

Section = Callable[["Server"], Iterator[str]]

NO_REPLID: Final = "0" * 40
_UNSAFE: Final = str.maketrans("#:\n\r", "____")
"""What would break a line of INFO in two."""


def describe(node: Server, words: Sequence[bytes]) -> bytes:
    """The text of INFO for the sections that `words` name; what is no section's name is ignored."""
    texts = []
    for name in _selected(words):
        title, section = SECTIONS[name]
        texts.append(f"# {title}\r\n" + "".join(f"{line}\r\n" for line in section(node)))
    return "\r\n".join(texts).encode("utf-8", "surrogateescape")


def _selected(words: Sequence[bytes]) -> list[str]:
    """Names of sections in the order of the table, each once."""
    asked = [word.partition(b"\0")[0].lower().decode("latin-1") for word in words] or ["default"]
    if "all" in asked or "everything" in asked:
        asked += [name for name in SECTIONS if name not in HIDDEN]
    elif "default" in asked:
        asked += [name for name in SECTIONS if name not in LONG + HIDDEN]
    return [name for name in SECTIONS if name in asked]


def _human(size: int) -> str:
    """A number of bytes for people: 677.90K."""
    if size < 1024:
        return f"{size}B"
    amount = size / 1024
    for unit in "KMGTP":
        if amount < 1024:
            return f"{amount:.2f}{unit}"
        amount /= 1024
    return f"{size}B"


# --- The process -----------------------------------------------------------------------------------------------------


def _server(node: Server) -> Iterator[str]:
    environment, config = node.environment, node.config
    uptime_s = (node.now_us - node.stats.started_us) // 1_000_000
    build = sha1(f"mini_redis {REDIS_VERSION} {environment.python}".encode()).hexdigest()[:16]
    yield f"redis_version:{REDIS_VERSION}"
    yield "redis_git_sha1:00000000"  # what Redis says when it was not built in a git tree
    yield "redis_git_dirty:0"
    yield f"redis_build_id:{build}"
    yield "redis_mode:standalone"
    yield f"os:{environment.os}"
    yield f"arch_bits:{environment.arch_bits}"
    yield f"monotonic_clock:{environment.monotonic_clock}"
    yield f"multiplexing_api:{environment.multiplexing_api}"
    yield "atomicvar_api:none"  # one thread: nothing needs to be atomic
    yield "gcc_version:0.0.0"
    yield f"process_id:{environment.process_id}"
    yield "process_supervised:no"
    yield f"run_id:{node.run_id.decode()}"
    yield f"tcp_port:{environment.tcp_port or config.port}"
    yield f"server_time_usec:{node.now_us}"
    yield f"uptime_in_seconds:{uptime_s}"
    yield f"uptime_in_days:{uptime_s // 86400}"
    yield f"hz:{config.hz}"
    yield f"configured_hz:{config.hz}"
    yield f"lru_clock:{node.now_ms // 1000 & 0xFFFFFF}"
    yield f"executable:{environment.executable}"
    yield f"config_file:{environment.config_file}"
    yield "io_threads_active:0"
    yield from (f"listener{number}:{line}" for number, line in enumerate(_listeners(node)))
    yield "server_name:mini_redis"
    yield f"python_version:{environment.python}"


def _listeners(node: Server) -> Iterator[str]:
    config = node.config
    port = node.environment.tcp_port or config.port
    if port:
        yield "name=tcp" + "".join(f",bind={address.decode()}" for address in config.bind) + f",port={port}"
    if config.unixsocket:
        yield "name=unix,bind=" + config.unixsocket.decode("utf-8", "surrogateescape")


def _clients(node: Server) -> Iterator[str]:
    # A watch that has fired is over, though EXEC is yet to find it out.
    watching = sum(1 for client in node.clients.values() if client.watching and not client.dirty_cas)
    watched = [watchers for db in node.keyspace.databases for watchers in db.watched.values()]
    largest_input, largest_output = node.stats.recent_buffers.largest(node.now_ms)
    yield f"connected_clients:{len(node.clients)}"
    yield "cluster_connections:0"
    yield f"maxclients:{node.config.maxclients}"
    yield f"client_recent_max_input_buffer:{largest_input}"
    yield f"client_recent_max_output_buffer:{largest_output}"
    yield f"blocked_clients:{len(node.postponed) + len(node.waiting.clients)}"
    yield f"tracking_clients:{len(node.tracking.clients)}"
    yield f"pubsub_clients:{len(node.pubsub.subscribers)}"
    yield f"watching_clients:{watching}"
    yield f"clients_in_timeout_table:{len(node.waiting.deadlines)}"
    yield f"total_watched_keys:{sum(any(not one.dirty_cas for one in watchers) for watchers in watched)}"
    blocked = [waiters for db in node.keyspace.databases for waiters in db.blocked.values()]
    yield f"total_blocking_keys:{len(blocked)}"
    yield f"total_blocking_keys_on_nokey:{sum(any(map(_waits_for_deletion, waiters)) for waiters in blocked)}"


def _waits_for_deletion(client: Client) -> bool:
    return client.waiting is not None and client.waiting.block.when_gone


def _memory(node: Server) -> Iterator[str]:
    told, config = node.account_memory(), node.config
    resident, system = told.resident, node.environment.total_memory_bytes()

    yield f"used_memory:{told.used}"
    yield f"used_memory_human:{_human(told.used)}"
    yield f"used_memory_rss:{resident}"
    yield f"used_memory_rss_human:{_human(resident)}"
    yield f"used_memory_peak:{told.peak}"
    yield f"used_memory_peak_human:{_human(told.peak)}"
    yield f"used_memory_peak_time:{node.stats.peak_memory.at_ms // 1000}"
    yield f"used_memory_peak_perc:{told.peak_percent:.2f}%"
    yield f"used_memory_overhead:{told.overhead}"
    yield f"used_memory_startup:{told.startup}"
    yield f"used_memory_dataset:{told.dataset}"
    yield f"used_memory_dataset_perc:{told.dataset_percent:.2f}%"
    yield f"allocator_allocated:{resident}"
    yield f"allocator_active:{resident}"
    yield f"allocator_resident:{resident}"
    yield "allocator_muzzy:0"
    yield f"total_system_memory:{system}"
    yield f"total_system_memory_human:{_human(system)}"
    yield from _memory_of_scripts(node, told)
    yield f"maxmemory:{config.maxmemory}"
    yield f"maxmemory_human:{_human(config.maxmemory)}"
    yield f"maxmemory_policy:{config.maxmemory_policy.decode()}"
    yield "allocator_frag_ratio:1.00"
    yield "allocator_frag_bytes:0"
    yield "allocator_rss_ratio:1.00"
    yield "allocator_rss_bytes:0"
    yield "rss_overhead_ratio:1.00"
    yield "rss_overhead_bytes:0"
    yield f"mem_fragmentation_ratio:{told.resident_ratio:.2f}"
    yield f"mem_fragmentation_bytes:{resident - told.used}"
    yield "mem_not_counted_for_evict:0"
    yield "mem_replication_backlog:0"
    yield "mem_total_replication_buffers:0"
    yield "mem_replica_full_sync_buffer:0"
    yield "mem_clients_slaves:0"
    yield f"mem_clients_normal:{told.clients}"
    yield "mem_cluster_links:0"
    yield "mem_aof_buffer:0"
    yield "mem_allocator:python"
    yield "mem_overhead_db_hashtable_rehashing:0"
    yield "active_defrag_running:0"
    yield f"lazyfree_pending_objects:{node.keyspace.graveyard.pending}"
    yield f"lazyfreed_objects:{node.keyspace.graveyard.freed}"


def _memory_of_scripts(node: Server, told: Account) -> Iterator[str]:
    """The `vm` figures are Lua's own, beside the texts that are kept."""
    libraries = node.scripting.libraries
    vm_eval, vm_functions = told.interpreters
    scripts, functions = told.scripts, told.functions
    yield f"used_memory_lua:{vm_eval}"
    yield f"used_memory_vm_eval:{vm_eval}"
    yield f"used_memory_lua_human:{_human(vm_eval)}"
    yield f"used_memory_scripts_eval:{scripts}"
    yield f"number_of_cached_scripts:{len(node.scripting.scripts)}"
    yield f"number_of_functions:{len(libraries.functions)}"
    yield f"number_of_libraries:{len(libraries.by_name)}"
    yield f"used_memory_vm_functions:{vm_functions}"
    yield f"used_memory_vm_total:{vm_eval + vm_functions}"
    yield f"used_memory_vm_total_human:{_human(vm_eval + vm_functions)}"
    yield f"used_memory_functions:{functions}"
    yield f"used_memory_scripts:{scripts + functions}"
    yield f"used_memory_scripts_human:{_human(scripts + functions)}"


def _persistence(node: Server) -> Iterator[str]:
    """Nothing is written yet: what counts as saved is what a server starts with, and what DEBUG RELOAD has seen."""
    saved = node.stats.last_save
    yield "loading:0"
    yield "async_loading:0"
    yield "current_cow_peak:0"
    yield "current_cow_size:0"
    yield "current_cow_size_age:0"
    yield "current_fork_perc:0.00"
    yield "current_save_keys_processed:0"
    yield "current_save_keys_total:0"
    yield f"rdb_changes_since_last_save:{node.dirty}"
    yield "rdb_bgsave_in_progress:0"
    yield f"rdb_last_save_time:{saved.at_us // 1_000_000}"
    yield "rdb_last_bgsave_status:ok"
    yield "rdb_last_bgsave_time_sec:-1"
    yield "rdb_current_bgsave_time_sec:-1"
    yield "rdb_saves:0"
    yield "rdb_last_cow_size:0"
    yield f"rdb_last_load_keys_expired:{saved.expired}"
    yield f"rdb_last_load_keys_loaded:{saved.loaded}"
    yield "aof_enabled:0"
    yield "aof_rewrite_in_progress:0"
    yield "aof_rewrite_scheduled:0"
    yield "aof_last_rewrite_time_sec:-1"
    yield "aof_current_rewrite_time_sec:-1"
    yield "aof_last_bgrewrite_status:ok"
    yield "aof_rewrites:0"
    yield "aof_rewrites_consecutive_failures:0"
    yield "aof_last_write_status:ok"
    yield "aof_last_cow_size:0"
    yield "module_fork_in_progress:0"
    yield "module_fork_last_cow_size:0"


def _threads(node: Server) -> Iterator[str]:
    """There is one, and it does everything."""
    yield f"io_thread_0:clients={len(node.clients)},reads={node.stats.reads},writes={node.stats.writes}"


def _cpu(node: Server) -> Iterator[str]:
    system, user, children_system, children_user = node.environment.cpu_seconds()
    yield f"used_cpu_sys:{system:.6f}"
    yield f"used_cpu_user:{user:.6f}"
    yield f"used_cpu_sys_children:{children_system:.6f}"
    yield f"used_cpu_user_children:{children_user:.6f}"
    system, user = node.environment.thread_cpu_seconds()
    yield f"used_cpu_sys_main_thread:{system:.6f}"
    yield f"used_cpu_user_main_thread:{user:.6f}"


# --- What has happened -----------------------------------------------------------------------------------------------


def _stats(node: Server) -> Iterator[str]:
    stats, keyspace, active_expire = node.stats, node.keyspace, node.active_expire
    in_commands_us = sum(live.duration_ns for live in node.command_table) // 1000
    yield f"total_connections_received:{stats.connections}"
    yield f"total_commands_processed:{commands_processed(node)}"
    yield f"instantaneous_ops_per_sec:{int(stats.operations.average)}"
    yield f"total_net_input_bytes:{stats.net_input}"
    yield f"total_net_output_bytes:{stats.net_output}"
    yield "total_net_repl_input_bytes:0"
    yield "total_net_repl_output_bytes:0"
    yield f"instantaneous_input_kbps:{stats.input_rate.average / 1024:.2f}"
    yield f"instantaneous_output_kbps:{stats.output_rate.average / 1024:.2f}"
    yield "instantaneous_input_repl_kbps:0.00"
    yield "instantaneous_output_repl_kbps:0.00"
    yield f"rejected_connections:{stats.rejected_connections}"
    yield "sync_full:0"
    yield "sync_partial_ok:0"
    yield "sync_partial_err:0"
    yield f"expired_subkeys:{node.keyspace.expired_fields}"
    yield f"expired_keys:{keyspace.expired_keys}"
    yield f"expired_stale_perc:{active_expire.stale_percent:.2f}"
    yield f"expired_time_cap_reached_count:{active_expire.time_cap_reached}"
    yield f"expire_cycle_cpu_milliseconds:{active_expire.time_used_us // 1000}"
    exceeded_ms, exceeded_now_ms = node.eviction.exceeded_ms
    yield f"evicted_keys:{node.eviction.evicted_keys}"
    yield f"evicted_clients:{node.limits.evicted_clients}"
    yield f"evicted_scripts:{node.scripting.evicted}"
    yield f"total_eviction_exceeded_time:{exceeded_ms}"
    yield f"current_eviction_exceeded_time:{exceeded_now_ms}"
    yield f"keyspace_hits:{keyspace.hits}"
    yield f"keyspace_misses:{keyspace.misses}"
    channels, patterns, shards = node.pubsub.tables
    yield f"pubsub_channels:{len(channels)}"
    yield f"pubsub_patterns:{len(patterns)}"
    yield f"pubsubshard_channels:{len(shards)}"
    yield "latest_fork_usec:0"
    yield "total_forks:0"
    yield "migrate_cached_sockets:0"
    yield "slave_expires_tracked_keys:0"
    yield "active_defrag_hits:0"
    yield "active_defrag_misses:0"
    yield "active_defrag_key_hits:0"
    yield "active_defrag_key_misses:0"
    yield "total_active_defrag_time:0"
    yield "current_active_defrag_time:0"
    yield f"tracking_total_keys:{len(node.tracking.table)}"
    yield f"tracking_total_items:{node.tracking.items}"
    yield f"tracking_total_prefixes:{len(node.tracking.prefixes)}"
    yield "unexpected_error_replies:0"
    yield f"total_error_replies:{stats.error_replies}"
    yield "dump_payload_sanitizations:0"
    yield f"total_reads_processed:{stats.reads}"
    yield f"total_writes_processed:{stats.writes}"
    yield "io_threaded_reads_processed:0"
    yield "io_threaded_writes_processed:0"
    yield "io_threaded_total_prefetch_batches:0"
    yield "io_threaded_total_prefetch_entries:0"
    yield f"client_query_buffer_limit_disconnections:{stats.query_buffer_disconnections}"
    yield f"client_output_buffer_limit_disconnections:{stats.output_buffer_disconnections}"
    yield "reply_buffer_shrinks:0"
    yield "reply_buffer_expands:0"
    yield f"eventloop_cycles:{stats.turns}"
    yield f"eventloop_duration_sum:{stats.turns_ns // 1000}"
    yield f"eventloop_duration_cmd_sum:{in_commands_us}"
    yield f"instantaneous_eventloop_cycles_per_sec:{int(stats.turn_rate.average)}"
    yield f"instantaneous_eventloop_duration_usec:{int(stats.turn_duration.average)}"
    denied = node.access.log.counts  # CONFIG RESETSTAT leaves them
    yield f"acl_access_denied_auth:{denied[AUTH_DENIED]}"
    yield f"acl_access_denied_cmd:{denied[COMMAND_DENIED]}"
    yield f"acl_access_denied_key:{denied[KEY_DENIED]}"
    yield f"acl_access_denied_channel:{denied[CHANNEL_DENIED]}"
    yield f"mini_redis_worst_turn_usec:{stats.worst_turn_ns // 1000}"
    yield f"mini_redis_worst_turn_cpu_usec:{stats.worst_turn_cpu_ns // 1000}"


def _commandstats(node: Server) -> Iterator[str]:
    for live in node.command_table:
        if not (live.calls or live.rejected_calls or live.failed_calls):
            continue
        usec = live.duration_ns // 1000
        yield (
            f"cmdstat_{live.name.decode()}:calls={live.calls},usec={usec},"
            f"usec_per_call={usec / live.calls if live.calls else 0:.2f},"
            f"rejected_calls={live.rejected_calls},failed_calls={live.failed_calls}"
        )


def _errorstats(node: Server) -> Iterator[str]:
    for code, count in sorted(node.stats.errors.items()):
        name = code.decode("utf-8", "surrogateescape").translate(_UNSAFE)
        yield f"errorstat_{name}:count={count}"


def _latencystats(node: Server) -> Iterator[str]:
    if not node.config.latency_tracking:
        return
    percentiles = node.config.latency_tracking_info_percentiles
    labels = [f"{percentile:f}".rstrip("0").rstrip(".") for percentile in percentiles]
    for live in node.command_table:
        if live.latencies:
            found = percentiles_ns(live.latencies, percentiles)
            told = ",".join(f"p{label}={ns / 1000:.3f}" for label, ns in zip(labels, found, strict=True))
            yield f"latency_percentiles_usec_{live.name.decode()}:{told}"


# --- Data and where it is --------------------------------------------------------------------------------------------


def _replication(node: Server) -> Iterator[str]:
    """A master without replicas, which therefore keeps no backlog and counts no offset."""
    yield "role:master"
    yield "connected_slaves:0"
    yield "master_failover_state:no-failover"
    yield f"master_replid:{node.replid.decode()}"
    yield f"master_replid2:{NO_REPLID}"
    yield "master_repl_offset:0"
    yield "second_repl_offset:-1"
    yield "repl_backlog_active:0"
    yield f"repl_backlog_size:{node.config.repl_backlog_size}"
    yield "repl_backlog_first_byte_offset:0"
    yield "repl_backlog_histlen:0"


def _modules(node: Server) -> Iterator[str]:
    for name, version in MODULES.items():
        yield (
            f"module:name={name.decode()},ver={version},api=1,filters=0,usedby=[],using=[],"
            "options=[handle-io-errors|handle-repl-async-load]"
        )


def _cluster(node: Server) -> Iterator[str]:
    yield "cluster_enabled:0"


def _keyspace(node: Server) -> Iterator[str]:
    """Databases that are not empty. `avg_ttl`, in ms, is what the active expire cycle has seen so far."""
    for db in node.keyspace.databases:
        if len(db.data):
            expiring = f"expires={len(db.expires)},avg_ttl={db.average_ttl_ms},subexpiry={len(db.field_deadlines)}"
            yield f"db{db.id}:keys={len(db.data)},{expiring}"


def _keysizes(node: Server) -> Iterator[str]:
    for db in node.keyspace.databases:
        counts = node.keysizes.of(db, node.now_ms)
        for measure in MEASURES.values():
            if measure in counts:
                yield f"db{db.id}_distrib_{measure}:{told(counts[measure])}"


def _debug(node: Server) -> Iterator[str]:
    """The extremes of the event loop. Lua's allocator is Python's, which tells nothing."""
    stats, lua = node.stats, sum(node.account_memory().interpreters)
    yield "eventloop_duration_aof_sum:0"
    yield f"eventloop_duration_cron_sum:{stats.cron_ns // 1000}"
    yield f"eventloop_duration_max:{stats.worst_turn_ns // 1000}"
    yield f"eventloop_cmd_per_cycle_max:{stats.most_requests}"
    yield f"allocator_allocated_lua:{lua}"
    yield f"allocator_active_lua:{lua}"
    yield "allocator_resident_lua:0"
    yield "allocator_frag_bytes_lua:0"


SECTIONS: Final[dict[str, tuple[str, Section]]] = {
    "server": ("Server", _server),
    "clients": ("Clients", _clients),
    "memory": ("Memory", _memory),
    "persistence": ("Persistence", _persistence),
    "threads": ("Threads", _threads),
    "stats": ("Stats", _stats),
    "replication": ("Replication", _replication),
    "cpu": ("CPU", _cpu),
    "modules": ("Modules", _modules),
    "commandstats": ("Commandstats", _commandstats),
    "errorstats": ("Errorstats", _errorstats),
    "latencystats": ("Latencystats", _latencystats),
    "cluster": ("Cluster", _cluster),
    "keyspace": ("Keyspace", _keyspace),
    "keysizes": ("Keysizes", _keysizes),
    "debug": ("Debug", _debug),
}
"""Name -> heading and function, in the order of the reply."""

LONG: Final = ("commandstats", "latencystats")
"""Not part of INFO without argument."""

HIDDEN: Final = ("debug",)
"""Told only to who asks for it by name."""
