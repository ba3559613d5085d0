internal import LogicalReplication
package import NIOCore
package import PGChannel

/// Which end of a transfer a session is of. Targets are counted as they are given.
package enum TransferEnd: Hashable, Sendable {
    case source
    case target(Int)
}

/// Told of each session that a transfer opens, when it is open: whoever ends all sessions but his own must know them.
package typealias TransferNoting = @Sendable (PGClient, TransferEnd) -> Void

/// Sessions that rows are read and written by: what both ends do with values must not depend on how each server, database or role is set up.
package enum TransferSession {
    /// For text forms the same on both sides; nothing ends a long copy, and no policy hides rows.
    static let settings = """
        SET search_path = pg_catalog; SET client_encoding = 'UTF8'; SET datestyle = 'ISO, YMD'; SET intervalstyle = 'postgres'; SET timezone = 'UTC';
        SET extra_float_digits = 3; SET bytea_output = 'hex'; SET xmloption = 'content'; SET lc_monetary = 'C'; SET row_security = off;
        SET statement_timeout = 0; SET lock_timeout = 0; SET idle_in_transaction_session_timeout = 0
        """
    /// A COPY may take as long as it takes, while it comes on: `silenceMax`.
    static let unlimited = TimeAmount.hours(24 * 365)
    /// For how long a server may send nothing that it is asked for, and take nothing: a stopped one, and one whose network is gone, say nothing else.
    /// Longer than somebody's lock on a table is to last.
    static let silenceMax = TimeAmount.minutes(5)
    /// For a statement about all rows of a reference table.
    static let wholeTable = TimeAmount.hours(1)

    package static func open(_ endpoint: PostgresEndpoint, on group: any EventLoopGroup) async throws -> PGClient {
        let client = try await PGClient.connect(to: endpoint, on: group)
        _ = try await client.execute(settings)
        return client
    }

    /// A session of the source that sees what `snapshot` saw: the name that an export of a snapshot, or the making of a slot, gave.
    package static func open(_ endpoint: PostgresEndpoint, snapshot: String, on group: any EventLoopGroup) async throws -> PGClient {
        let client = try await open(endpoint, on: group)
        _ = try await client.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; \(ReplicationCommand.setSnapshot(snapshot))")
        return client
    }
}
