/// Every metric that a router or a manager exposes. Source of `docs/reference/metrics.md`; a test keeps the two equal.
///
/// Labels are closed sets or bounded by the catalog (shards): no label ever holds a value that a client chose.
package enum MetricCatalogue {
    // Statements
    package static let statements = MetricFamily(
        "pgmosaic_statements_total", .counter, labels: ["shard", "kind", "outcome"],
        "Statements finished, by the shard that ran them (\"none\": the router itself; \"many\": several), kind and outcome (ok, error, refused, cancelled, unknown).")
    package static let statementSeconds = MetricFamily(
        "pgmosaic_statement_seconds", .histogram, labels: ["shard"],
        "Time from the last byte of a statement's request to the last byte of its answer.")
    package static let refusals = MetricFamily(
        "pgmosaic_refusals_total", .counter, labels: ["code"],
        "Statements refused, by the PGM code of the refusal.")
    package static let twoPhase = MetricFamily(
        "pgmosaic_twophase_total", .counter, labels: ["outcome"],
        "Two-phase commits, by outcome (committed, rolled_back, unknown, recovered_commit, recovered_rollback).")

    package static let scattered = MetricFamily(
        "pgmosaic_scattered_pipelines_total", .counter, labels: ["outcome"],
        "Pipelines of reads that several shards answered at the same time, by outcome (answered; failed, or given up by the client; left: something else than a read made a transaction of it).")

    package static let heldStatements = MetricFamily(
        "pgmosaic_held_statements_total", .counter, labels: [], "Statements that waited while vnodes changed their owner.")
    package static let endedTransactions = MetricFamily(
        "pgmosaic_ended_transactions_total", .counter, labels: [], "Open transactions that were ended with 40001, because rows of their shard were to change their owner.")
    package static let deadlocks = MetricFamily(
        "pgmosaic_deadlocks_total", .counter, labels: [], "Transactions that were ended with 40P01, because they and others waited for each other on several shards.")
    package static let heldSeconds = MetricFamily(
        "pgmosaic_held_seconds", .histogram, labels: [], "How long they waited.")

    // Clients
    package static let clients = MetricFamily(
        "pgmosaic_clients", .gauge, labels: ["state"], "Client connections, by state (idle, active, waiting).")
    package static let clientsTotal = MetricFamily(
        "pgmosaic_clients_total", .counter, labels: ["outcome"],
        "Client connections taken, by outcome of the start (accepted, rejected_auth, rejected_limit, rejected_protocol).")
    package static let pinnedSessions = MetricFamily(
        "pgmosaic_sessions_pinned", .gauge, labels: ["reason"],
        "Shard connections that client sessions keep, by what they are kept for (listen, advisory_lock, held_cursor, temporary, session_state); one may count several times.")
    package static let bytes = MetricFamily(
        "pgmosaic_bytes_total", .counter, labels: ["side", "direction"],
        "Bytes moved, by side (client, backend) and direction (in, out).")

    // Backends
    package static let poolBackends = MetricFamily(
        "pgmosaic_pool_backends", .gauge, labels: ["shard", "state"],
        "Connections to a shard, by state (idle, busy, connecting, closing).")
    package static let poolWaiting = MetricFamily(
        "pgmosaic_pool_waiting", .gauge, labels: ["shard"], "Sessions waiting for a connection to a shard.")
    package static let poolWaitSeconds = MetricFamily(
        "pgmosaic_pool_wait_seconds", .histogram, labels: ["shard"], "Time a session waited for a connection to a shard.")
    package static let poolSharedReads = MetricFamily(
        "pgmosaic_pool_shared_reads_total", .counter, labels: ["shard", "outcome"],
        "Reads sent behind others' on a connection that they share (shared), and those of them that were then done on another one (moved).")
    package static let poolFailures = MetricFamily(
        "pgmosaic_pool_failures_total", .counter, labels: ["shard", "reason"],
        "Requests for a connection that failed, by reason (connect, timeout, queue_full, closed).")

    // Replicas
    package static let replicaUsable = MetricFamily(
        "pgmosaic_replica_usable", .gauge, labels: ["shard", "replica"], merge: .min,
        "1 while the replica (host and port) may be read from: it answers, follows the shard's primary, and lags by no more than `replica.lag_max`.")
    package static let replicaLagSeconds = MetricFamily(
        "pgmosaic_replica_lag_seconds", .gauge, labels: ["shard", "replica"], merge: .max,
        "Time since the last moment whose commits the replica is known to have; absent while that is unknown. Grows by up to `replica.probe_interval` between two looks.")
    package static let replicaBackends = MetricFamily(
        "pgmosaic_replica_backends", .gauge, labels: ["shard", "replica", "state"],
        "Connections to a replica, by state (idle, busy, connecting, closing).")
    package static let eventualReads = MetricFamily(
        "pgmosaic_eventual_reads_total", .counter, labels: ["shard", "served_by"],
        "Reads that a replica might have answered, by who did: replica, primary (no replica qualified), retried (sent to a replica that failed, and then answered by the primary; counted under replica, too).")

    // Caches and catalog
    package static let cacheHits = MetricFamily(
        "pgmosaic_cache_hits_total", .counter, labels: ["cache"], "Cache hits, by cache (text, shape, prepared).")
    package static let cacheMisses = MetricFamily(
        "pgmosaic_cache_misses_total", .counter, labels: ["cache"], "Cache misses, by cache (text, shape, prepared).")
    package static let cacheEntries = MetricFamily(
        "pgmosaic_cache_entries", .gauge, labels: ["cache"], "Entries held, by cache (text, shape, prepared).")
    package static let catalogEpoch = MetricFamily(
        "pgmosaic_catalog_epoch", .gauge, merge: .min,
        "The catalog epoch this process serves; of several event loops, the oldest.")
    package static let catalogConnected = MetricFamily(
        "pgmosaic_catalog_connected", .gauge, merge: .min,
        "1 while the catalog store answers, 0 while the process serves from what it last knew.")
    package static let catalogCommits = MetricFamily(
        "pgmosaic_catalog_commits_total", .counter, labels: ["outcome"],
        "Changes of the catalog by this process, by outcome (ok, conflict, invalid, unavailable, unknown, fenced).")
    package static let schemaLoads = MetricFamily(
        "pgmosaic_schema_loads_total", .counter, labels: ["outcome"],
        "Reads of a database's schema from its shards, by outcome (ok, error).")

    // Managers
    package static let leader = MetricFamily("pgmosaic_leader", .gauge, merge: .max, "1 while this manager leads, 0 while it follows.")
    package static let leaderChanges = MetricFamily(
        "pgmosaic_leader_changes_total", .counter, labels: ["event"],
        "Changes of this manager's role, by event: gained, or why it was lost (lost, expired, fenced, stopping).")
    package static let forwardedRequests = MetricFamily(
        "pgmosaic_forwarded_requests_total", .counter, labels: ["outcome"],
        "Writes that this manager did not carry out itself, by outcome (answered, redirected, no_leader, unknown, refused); attempts that were made again count as again.")

    // Health of the shards' servers, as a manager probes them
    package static let catalogCopyEpoch = MetricFamily(
        "pgmosaic_catalog_copy_epoch", .gauge, labels: ["shard"],
        "The catalog's epoch of the copy that is kept on the shard, by the manager that leads; absent while it is not known.")
    package static let catalogCopyBehind = MetricFamily(
        "pgmosaic_catalog_copy_behind_seconds", .gauge, labels: ["shard"],
        "For how long the shard's copy of the catalog has not been the newest, by the manager that leads; 0: it is.")

    // Jobs that move vnodes
    package static let reshardJobs = MetricFamily(
        "pgmosaic_reshard_jobs", .gauge, labels: ["state"],
        "Jobs that move vnodes, by state (pending, precopy, deltasync, cutover, completed, failed, cancelled), by the manager that leads; those that are over are counted while they are kept.")
    package static let reshardPauseSeconds = MetricFamily(
        "pgmosaic_reshard_pause_seconds", .gauge, merge: .max,
        "How long statements waited at most in the last cutover that this manager carried out: from the hold to the new owners.")
    package static let reshardAbandoned = MetricFamily(
        "pgmosaic_reshard_attempts_abandoned_total", .counter, "Attempts at a cutover that this manager gave up.")

    package static let serverState = MetricFamily(
        "pgmosaic_server_state", .gauge, labels: ["shard", "server", "state"],
        "1 for the state that the server (host and port) has, by this manager's probes: unknown, healthy, degraded, unreachable; 0 for the others.")
    package static let serverProbeSeconds = MetricFamily(
        "pgmosaic_server_probe_seconds", .gauge, labels: ["shard", "server"], "How long the last probe took; this and the following are absent while the server does not answer.")
    package static let serverConnections = MetricFamily(
        "pgmosaic_server_connections", .gauge, labels: ["shard", "server"], "Connections to the server.")
    package static let serverConnectionsMax = MetricFamily(
        "pgmosaic_server_connections_max", .gauge, labels: ["shard", "server"], "The server's max_connections.")
    package static let serverLagSeconds = MetricFamily(
        "pgmosaic_server_lag_seconds", .gauge, labels: ["shard", "server"],
        "Of a replica: time since the last moment whose log it is known to have replayed, by what the primary's probes saw written; absent while that is unknown.")
    package static let serverInDoubt = MetricFamily(
        "pgmosaic_server_in_doubt", .gauge, labels: ["shard", "server"], "Prepared transactions that are neither committed nor rolled back.")
    package static let serverInDoubtSeconds = MetricFamily(
        "pgmosaic_server_in_doubt_seconds", .gauge, labels: ["shard", "server"], "Age of the oldest of them.")
    package static let serverDatabaseBytes = MetricFamily(
        "pgmosaic_server_database_bytes", .gauge, labels: ["shard", "server"], "Size of the shard's database.")
    package static let serverLogBytes = MetricFamily(
        "pgmosaic_server_log_bytes", .gauge, labels: ["shard", "server"], "Size of the folder of the write-ahead log; absent where the role may not see it.")
    package static let serverSlotBytes = MetricFamily(
        "pgmosaic_server_slot_retained_bytes", .gauge, labels: ["shard", "server"], "Log that the replication slot furthest behind keeps from being removed.")

    // REST
    package static let httpRequests = MetricFamily(
        "pgmosaic_http_requests_total", .counter, labels: ["method", "path", "status"],
        "REST requests, by method, path template (\"none\" for unknown paths) and status; a stream that ended with an error has the error's.")
    package static let httpSeconds = MetricFamily(
        "pgmosaic_http_request_seconds", .histogram, labels: ["path"], "Time to answer a REST request, by path template; of a stream, to its last line.")

    // Audit
    package static let auditEvents = MetricFamily(
        "pgmosaic_audit_events_total", .counter, labels: ["outcome"],
        "Events for the audit trail, by what became of them: written, dropped (the trail could not be written, or too many waited).")
    package static let auditFailing = MetricFamily(
        "pgmosaic_audit_failing", .gauge, merge: .max, "1 while the audit trail cannot be written; absent where there is none.")

    // Process
    package static let build = MetricFamily(
        "pgmosaic_build_info", .gauge, labels: ["version", "role"], merge: .max, "Always 1; the labels tell the version and the role (router, manager).")
    package static let logDropped = MetricFamily(
        "pgmosaic_log_records_dropped_total", .counter, "Log records dropped because standard error did not take them fast enough.")
    package static let residentMemory = MetricFamily(
        "process_resident_memory_bytes", .gauge, merge: .max, "Resident memory.")
    package static let cpuSeconds = MetricFamily(
        "process_cpu_seconds_total", .counter, merge: .max, "CPU time used, user and system.")
    package static let startTime = MetricFamily(
        "process_start_time_seconds", .gauge, merge: .max, "When the process started, in seconds since 1970.")
    package static let openFiles = MetricFamily(
        "process_open_fds", .gauge, merge: .max, "Open file descriptors.")

    /// In the order of exposition and of the reference.
    package static let all: [MetricFamily] = [
        statements, statementSeconds, refusals, twoPhase, deadlocks, scattered, heldStatements, endedTransactions, heldSeconds,
        clients, clientsTotal, pinnedSessions, bytes,
        poolBackends, poolWaiting, poolWaitSeconds, poolSharedReads, poolFailures,
        replicaUsable, replicaLagSeconds, replicaBackends, eventualReads,
        cacheHits, cacheMisses, cacheEntries, catalogEpoch, catalogConnected, catalogCommits, schemaLoads,
        leader, leaderChanges, forwardedRequests,
        catalogCopyEpoch, catalogCopyBehind,
        reshardJobs, reshardPauseSeconds, reshardAbandoned,
        serverState, serverProbeSeconds, serverConnections, serverConnectionsMax, serverLagSeconds, serverInDoubt, serverInDoubtSeconds,
        serverDatabaseBytes, serverLogBytes, serverSlotBytes,
        httpRequests, httpSeconds, auditEvents, auditFailing,
        build, logDropped, residentMemory, cpuSeconds, startTime, openFiles,
    ]
}
