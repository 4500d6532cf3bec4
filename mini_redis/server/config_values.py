"""The configuration's values as attributes, for people and type checkers: `config.maxclients` is an int.

Names and types follow from the table, which `spec/test_config.py` compares with this list. Words of a choice are bytes
(`config.maxmemory_policy == b"allkeys-lru"`), an absent text is `b""`, sizes are bytes, a share of memory is negative
(-5 is 5 %), keyspace events are the bits of `mini_redis.keyspace.notifications`.
"""

from __future__ import annotations

from mini_redis.server.config_kinds import Address, OutputLimit, SavePoint


class Values:
    """Only declarations: `Config` sets all of them."""

    acl_pubsub_default: bytes
    aclfile: bytes
    acllog_max_len: int
    active_defrag_cycle_max: int
    active_defrag_cycle_min: int
    active_defrag_ignore_bytes: int
    active_defrag_max_scan_fields: int
    active_defrag_threshold_lower: int
    active_defrag_threshold_upper: int
    active_expire_effort: int
    activedefrag: bool
    activerehashing: bool
    always_show_logo: bool
    aof_disable_auto_gc: bool
    aof_load_truncated: bool
    aof_rewrite_cpulist: bytes
    aof_rewrite_incremental_fsync: bool
    aof_timestamp_enabled: bool
    aof_use_rdb_preamble: bool
    appenddirname: bytes
    appendfilename: bytes
    appendfsync: bytes
    appendonly: bool
    auto_aof_rewrite_min_size: int
    auto_aof_rewrite_percentage: int
    bgsave_cpulist: bytes
    bind: tuple[bytes, ...]
    bind_source_addr: bytes
    bio_cpulist: bytes
    busy_reply_threshold: int
    client_output_buffer_limit: dict[bytes, OutputLimit]
    client_query_buffer_limit: int
    cluster_allow_pubsubshard_when_down: bool
    cluster_allow_reads_when_down: bool
    cluster_allow_replica_migration: bool
    cluster_announce_bus_port: int
    cluster_announce_hostname: bytes
    cluster_announce_human_nodename: bytes
    cluster_announce_ip: bytes
    cluster_announce_port: int
    cluster_announce_tls_port: int
    cluster_compatibility_sample_ratio: int
    cluster_config_file: bytes
    cluster_enabled: bool
    cluster_link_sendbuf_limit: int
    cluster_migration_barrier: int
    cluster_node_timeout: int
    cluster_ping_interval: int
    cluster_port: int
    cluster_preferred_endpoint_type: bytes
    cluster_replica_no_failover: bool
    cluster_replica_validity_factor: int
    cluster_require_full_coverage: bool
    cluster_slot_stats_enabled: bool
    crash_log_enabled: bool
    crash_memcheck_enabled: bool
    daemonize: bool
    databases: int
    dbfilename: bytes
    dir: bytes
    disable_thp: bool
    dynamic_hz: bool
    enable_debug_command: bytes
    enable_module_command: bytes
    enable_protected_configs: bytes
    hash_max_listpack_entries: int
    hash_max_listpack_value: int
    hide_user_data_from_log: bool
    hll_sparse_max_bytes: int
    hz: int
    ignore_warnings: bytes
    io_threads: int
    jemalloc_bg_thread: bool
    key_load_delay: int
    latency_monitor_threshold: int
    latency_tracking: bool
    latency_tracking_info_percentiles: tuple[float, ...]
    lazyexpire_nested_arbitrary_keys: bool
    lazyfree_lazy_eviction: bool
    lazyfree_lazy_expire: bool
    lazyfree_lazy_server_del: bool
    lazyfree_lazy_user_del: bool
    lazyfree_lazy_user_flush: bool
    lfu_decay_time: int
    lfu_log_factor: int
    list_compress_depth: int
    list_max_listpack_size: int
    loading_process_events_interval_bytes: int
    locale_collate: bytes
    logfile: bytes
    loglevel: bytes
    lua_enable_deprecated_api: bool
    masterauth: bytes
    masteruser: bytes
    max_new_connections_per_cycle: int
    max_new_tls_connections_per_cycle: int
    maxclients: int
    maxmemory: int
    maxmemory_clients: int
    maxmemory_eviction_tenacity: int
    maxmemory_policy: bytes
    maxmemory_samples: int
    min_replicas_max_lag: int
    min_replicas_to_write: int
    no_appendfsync_on_rewrite: bool
    notify_keyspace_events: int
    oom_score_adj: bytes
    oom_score_adj_values: tuple[int, ...]
    pidfile: bytes
    port: int
    prefetch_batch_max_size: int
    proc_title_template: bytes
    propagation_error_behavior: bytes
    protected_mode: bool
    proto_max_bulk_len: int
    rdb_del_sync_files: bool
    rdb_key_save_delay: int
    rdb_save_incremental_fsync: bool
    rdbchecksum: bool
    rdbcompression: bool
    repl_backlog_size: int
    repl_backlog_ttl: int
    repl_disable_tcp_nodelay: bool
    repl_diskless_load: bytes
    repl_diskless_sync: bool
    repl_diskless_sync_delay: int
    repl_diskless_sync_max_replicas: int
    repl_ping_replica_period: int
    repl_rdb_channel: bool
    repl_timeout: int
    replica_announce_ip: bytes
    replica_announce_port: int
    replica_announced: bool
    replica_full_sync_buffer_limit: int
    replica_ignore_disk_write_errors: bool
    replica_ignore_maxmemory: bool
    replica_lazy_flush: bool
    replica_priority: int
    replica_read_only: bool
    replica_serve_stale_data: bool
    replicaof: Address | None
    requirepass: bytes
    sanitize_dump_payload: bytes
    save: tuple[SavePoint, ...]
    server_cpulist: bytes
    set_max_intset_entries: int
    set_max_listpack_entries: int
    set_max_listpack_value: int
    set_proc_title: bool
    shutdown_on_sigint: tuple[bytes, ...]
    shutdown_on_sigterm: tuple[bytes, ...]
    shutdown_timeout: int
    slowlog_log_slower_than: int
    slowlog_max_len: int
    socket_mark_id: int
    stop_writes_on_bgsave_error: bool
    stream_node_max_bytes: int
    stream_node_max_entries: int
    supervised: bytes
    syslog_enabled: bool
    syslog_facility: bytes
    syslog_ident: bytes
    tcp_backlog: int
    tcp_keepalive: int
    timeout: int
    tls_auth_clients: bytes
    tls_ca_cert_dir: bytes
    tls_ca_cert_file: bytes
    tls_cert_file: bytes
    tls_ciphers: bytes
    tls_ciphersuites: bytes
    tls_client_cert_file: bytes
    tls_client_key_file: bytes
    tls_client_key_file_pass: bytes
    tls_cluster: bool
    tls_dh_params_file: bytes
    tls_key_file: bytes
    tls_key_file_pass: bytes
    tls_port: int
    tls_prefer_server_ciphers: bool
    tls_protocols: bytes
    tls_replication: bool
    tls_session_cache_size: int
    tls_session_cache_timeout: int
    tls_session_caching: bool
    tracking_table_max_keys: int
    unixsocket: bytes
    unixsocketperm: int
    use_exit_on_panic: bool
    vset_force_single_threaded_execution: bool
    watchdog_period: int
    zset_max_listpack_entries: int
    zset_max_listpack_value: int
