package import ShardModel

/// The SQL of the commit protocol and of its recovery.
///
/// Names are written out in full and operators qualified, because what ends a client's transaction runs under that client's search_path.
/// The constants quote nothing but names of `GlobalTransactionID`, which need no escaping, and the shards' names.
package enum CommitStatements {
    /// Whoever prepares a shard for the cluster creates this table, in schema `pgmosaic`; repeatable.
    ///
    /// One row for each transaction decided here and not forgotten yet. `committed` false is the marker that excludes a commit.
    package static let decisionsTable = """
        CREATE TABLE IF NOT EXISTS pgmosaic.decisions (
            gid text COLLATE "C" PRIMARY KEY, committed bool NOT NULL, participants text[] NOT NULL,
            made_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp());
        """

    /// What COMMIT and PREPARE TRANSACTION of a failed transaction answer, without an error.
    package static let rollbackTag = "ROLLBACK"
    /// SQLSTATE of COMMIT PREPARED and ROLLBACK PREPARED when there is no such transaction (any more).
    package static let undefinedObject = "42704"

    // MARK: A participant's transaction

    package static let commit = "COMMIT"
    package static let rollBack = "ROLLBACK"

    /// Before a transaction is prepared, or its end recorded, by a session that may have another role than the one it logged in with: others end what
    /// is prepared, and only the role that prepared it may, or a superuser; and no other role may record decisions. What is deferred runs before, as
    /// the role whose doing it is. Each as a simple query of its own, sent at once with what follows.
    package static let leaveRole = ["SET CONSTRAINTS ALL IMMEDIATE", "SET LOCAL ROLE NONE"]
    /// The session has no role afterwards.
    package static func withoutRole(_ statement: String) -> [String] { ["SET ROLE NONE", statement, "RESET ROLE"] }

    package static func prepare(_ id: GlobalTransactionID, position: Int) -> String {
        "PREPARE TRANSACTION '\(id.name(of: position))'"
    }

    package static func commitPrepared(_ name: String) -> String { "COMMIT PREPARED \(literal(name))" }
    package static func rollBackPrepared(_ name: String) -> String { "ROLLBACK PREPARED \(literal(name))" }

    /// The decision: to be sent at once, each as a simple query of its own, so that the transaction ends even when the first one fails.
    ///
    /// The record must outlive a crash of the server before another participant commits, whatever the client set
    /// synchronous_commit to; every other value than `off` at least reaches this server's disk.
    package static func decide(_ id: GlobalTransactionID, participants: [ShardID]) -> [String] {
        let names = participants.map { literal($0.name) }.joined(separator: ", ")
        let record = """
            INSERT INTO pgmosaic.decisions (gid, committed, participants) VALUES ('\(id.key)', true, ARRAY[\(names)]::pg_catalog.text[]); \
            SELECT pg_catalog.set_config('synchronous_commit', 'on', true) \
            WHERE pg_catalog.current_setting('synchronous_commit') OPERATOR(pg_catalog.=) 'off'
            """
        return [record, commit]
    }

    // MARK: Recovery, on a session of its own

    /// Excludes that a commit of the transaction is recorded from now on, unless it is already; then `lookUp` says which of the two it is.
    ///
    /// One after the other, in the given order, stopping at an error (then the decision is unreachable). The insert waits for a decision
    /// under way, at most for `lockTimeoutMilliseconds`. A record that is there already is no error.
    package static func exclude(_ id: GlobalTransactionID, lockTimeoutMilliseconds: Int = 2000) -> [String] {
        [
            "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE",
            "SET LOCAL lock_timeout = \(lockTimeoutMilliseconds)",
            "SET LOCAL synchronous_commit = on",
            "INSERT INTO pgmosaic.decisions (gid, committed, participants) VALUES ('\(id.key)', false, '{}') ON CONFLICT (gid) DO NOTHING",
            commit,
        ]
    }

    /// Rows (gid text, committed bool): none for a transaction without a record. Must run on the primary.
    package static func lookUp(_ ids: [GlobalTransactionID]) -> String {
        let keys = ids.map { "'\($0.key)'" }.joined(separator: ", ")
        return "SELECT gid, committed FROM pgmosaic.decisions WHERE gid IN (\(keys.isEmpty ? "NULL" : keys))"
    }

    /// The most rows of a list; one of so many is not complete.
    package static let rowsMax = 10_000

    /// Rows (gid text, age in milliseconds int8): the cluster's prepared transactions in the session's database, oldest first.
    package static func preparedTransactions(cluster: String, rowsMax: Int = rowsMax) -> String {
        """
        SELECT gid, \(milliseconds(since: "prepared")) FROM pg_catalog.pg_prepared_xacts \
        WHERE database = pg_catalog.current_database() AND pg_catalog.starts_with(gid, '\(GlobalTransactionID.prefix(ofCluster: cluster))') \
        ORDER BY prepared LIMIT \(rowsMax)
        """
    }

    /// Rows (gid text, committed bool, age in milliseconds int8, participants text[]): the shard's records, oldest first.
    package static func decisions(rowsMax: Int = rowsMax) -> String {
        """
        SELECT gid, committed, \(milliseconds(since: "made_at")), participants FROM pgmosaic.decisions ORDER BY made_at LIMIT \(rowsMax)
        """
    }

    /// Deletes records that `RecoveryCore.forgettable` names.
    ///
    /// An abort marker stays for as long as a transaction is open that began before it: that one could still be the
    /// late decision which the marker is there to refuse. A session whose start the role may not see counts as such.
    package static func forget(_ ids: [GlobalTransactionID]) -> String {
        let keys = ids.map { "'\($0.key)'" }.joined(separator: ", ")
        return """
            DELETE FROM pgmosaic.decisions AS d WHERE d.gid IN (\(keys.isEmpty ? "NULL" : keys)) AND (d.committed OR NOT EXISTS (
                SELECT 1 FROM pg_catalog.pg_stat_activity AS a
                WHERE a.datname = pg_catalog.current_database() AND a.pid <> pg_catalog.pg_backend_pid()
                    AND (a.xact_start <= d.made_at OR a.backend_start IS NULL)))
            """
    }

    private static func milliseconds(since column: String) -> String {
        "(EXTRACT(EPOCH FROM pg_catalog.clock_timestamp() - \(column)) * 1000)::int8"
    }

    private static func literal(_ text: String) -> String {
        // By scalars: a mark and a combining one behind it are one `Character`, which is no mark. Written with E and doubled backslashes where there is one, so that it means the same under every standard_conforming_strings.
        let quoted = "'" + text.unicodeScalars.split(separator: "'", omittingEmptySubsequences: false).map { String($0) }.joined(separator: "''") + "'"
        guard text.utf8.contains(UInt8(ascii: "\\")) else { return quoted }
        return "E" + quoted.unicodeScalars.split(separator: "\\", omittingEmptySubsequences: false).map { String($0) }.joined(separator: "\\\\")
    }
}
