package import HealthCore
internal import NIOCore
internal import PGChannel
internal import PGWire
internal import Secrets
internal import ShardModel

/// What one probe of one server came to.
package enum ProbeOutcome: Hashable, Sendable {
    case answered(ServerFigures, latency: Duration)
    /// The reason, and a sentence without secrets.
    case failed(HealthReason, String)
}

/// The SQL of a probe.
enum ProbeQueries {
    /// One row, from functions that any role may call. Positions are bytes since the log's beginning.
    static let figures = """
        SELECT r.recovers, CASE WHEN r.recovers THEN pg_catalog.pg_last_wal_replay_lsn() ELSE pg_catalog.pg_current_wal_lsn() END - '0/0'::pg_lsn,
            EXISTS (SELECT FROM pg_catalog.pg_stat_wal_receiver w WHERE w.pid IS NOT NULL),
            (SELECT coalesce(sum(d.numbackends), 0) FROM pg_catalog.pg_stat_database d), pg_catalog.current_setting('max_connections')::bigint,
            (SELECT count(*) FROM pg_catalog.pg_prepared_xacts p WHERE p.database = pg_catalog.current_database()),
            (SELECT (extract(epoch FROM pg_catalog.clock_timestamp() - min(p.prepared)) * 1000)::bigint
                FROM pg_catalog.pg_prepared_xacts p WHERE p.database = pg_catalog.current_database()),
            pg_catalog.pg_database_size(pg_catalog.current_database()), pg_catalog.to_regclass('pgmosaic.identity') IS NOT NULL,
            pg_catalog.has_function_privilege('pg_catalog.pg_ls_waldir()', 'EXECUTE')
        FROM (SELECT pg_catalog.pg_is_in_recovery()) AS r(recovers)
        """

    /// The slots that hold the most log.
    static let slots = """
        SELECT s.slot_name, s.active,
            (CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn() ELSE pg_catalog.pg_current_wal_lsn() END - s.restart_lsn)::bigint
        FROM pg_catalog.pg_replication_slots s ORDER BY 3 DESC NULLS LAST, 1 LIMIT 100
        """

    static let logBytes = "SELECT coalesce(sum(f.size), 0)::bigint FROM pg_catalog.pg_ls_waldir() f"
}

extension PostgresShardInspector {
    package func probe(_ endpoint: String, as identity: ShardIdentity, within limit: Duration) async -> ProbeOutcome {
        let start = ContinuousClock.now
        let deadline = start + limit
        let target: PostgresEndpoint
        do {
            target = try PostgresEndpoint.parse(try EndpointSecrets.opened(endpoint, with: box))
        } catch {
            return .failed(.refused, "the endpoint or its password cannot be used")
        }
        do {
            var options = PGClient.Options()
            options.connectTimeout = TimeAmount(limit)
            options.overrides.parameters = [.init(name: "application_name", value: "pgmosaic-probe")]
            let client = try await PGClient.connect(to: target, on: group, options: options)
            let result: Result<ServerFigures, any Error>
            do {
                result = .success(try await Self.figures(client, identity, until: deadline))
            } catch {
                result = .failure(error)
            }
            // Not waited for: a server that hangs would hold it up.
            Task { await client.close() }
            return .answered(try result.get(), latency: .now - start)
        } catch let error as PGClientError {
            return Self.failed(error)
        } catch {
            return .failed(.noConnection, "\(type(of: error))")
        }
    }

    private static func figures(_ client: PGClient, _ identity: ShardIdentity, until deadline: ContinuousClock.Instant) async throws -> ServerFigures {
        func ask(_ sql: String) async throws -> [PGRow] {
            let left = ContinuousClock.now.duration(to: deadline)
            guard left > .zero else { throw PGClientError(.timedOut, execution: .didNotRun) }
            return try await client.query(sql, options: .init(timeout: TimeAmount(left))).rows
        }
        guard let row = try await ask(ProbeQueries.figures).first, row.count == 10 else { throw PGClientError(.connectionClosed, execution: .unknown) }
        var figures = ServerFigures()
        figures.inRecovery = row.bool(0) ?? false
        figures.position = row.text(1).flatMap(UInt64.init)
        figures.isStreaming = figures.inRecovery ? row.bool(2) : nil
        figures.connections = row.text(3).flatMap(Int64.init) ?? 0
        figures.connectionsMax = row.text(4).flatMap(Int64.init) ?? 0
        figures.inDoubt = row.text(5).flatMap(Int64.init) ?? 0
        figures.oldestInDoubt = row.text(6).flatMap(Int64.init).map { .milliseconds(max(0, $0)) }
        figures.databaseBytes = row.text(7).flatMap(Int64.init) ?? 0
        figures.isShard = false
        if row.bool(8) == true {
            figures.isShard = try await ask(ShardQueries.identity).first.map { mark in
                mark.text(0) == identity.clusterID && mark.text(1) == identity.database && mark.text(2) == identity.shard.name
            } ?? false
        }
        figures.slots = try await ask(ProbeQueries.slots).compactMap { slot in
            slot.text(0).map { .init(name: $0, isActive: slot.bool(1) ?? false, retainedBytes: slot.text(2).flatMap(Int64.init).map { max(0, $0) }) }
        }
        if row.bool(9) == true { figures.logBytes = try await ask(ProbeQueries.logBytes).first?.text(0).flatMap(Int64.init) }
        return figures
    }

    private static func failed(_ error: PGClientError) -> ProbeOutcome {
        switch error.cause {
        case .timedOut, .connect(.timedOut): return .failed(.noAnswer, "the server did not answer in time")
        case .connect(.unreachable), .connect(.closed), .connectionClosed, .cancelled: return .failed(.noConnection, error.description)
        default: break
        }
        switch error.sqlState {
        case .tooManyConnections: return .failed(.connectionsExhausted, error.description)
        // Starting, or ending: nobody can use it, and it says so.
        case .cannotConnectNow, .adminShutdown, .crashShutdown: return .failed(.noConnection, error.description)
        default: return .failed(.refused, error.description)
        }
    }
}
