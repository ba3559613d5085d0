internal import LogicalReplication
internal import PGChannel

/// The slots of jobs, by name, in an ordinary session of their server.
enum JobSlot {
    private static let interval = Duration.milliseconds(20)
    private static let endLimit = Duration.seconds(20)

    /// Whoever reads the slot (a manager that led before, or a connection that is not known to be dead) is ended. Throws where there is no slot.
    static func free(_ slot: SlotName, _ client: PGClient) async throws {
        guard let status = try await end(slot, client) else {
            throw EffectFailure.impossible("the replication slot \(slot) is gone, and with it what has changed: start the job anew")
        }
        if status == "lost" {
            throw EffectFailure.impossible("the log that slot \(slot) needs was removed (max_slot_wal_keep_size): raise it, and start the job anew")
        }
    }

    static func drop(_ slot: SlotName, _ client: PGClient) async throws {
        guard try await end(slot, client) != nil else { return }
        _ = try await client.query("SELECT pg_catalog.pg_drop_replication_slot(slot_name) FROM pg_catalog.pg_replication_slots WHERE slot_name = $1", [.text(slot.text)])
    }

    /// What the server keeps of the log for the slot (`wal_status`); nil: there is no slot of this name in this database.
    private static func end(_ slot: SlotName, _ client: PGClient) async throws -> String? {
        let question = """
            SELECT s.wal_status, s.active_pid, s.active_pid IS NOT NULL AND pg_catalog.pg_terminate_backend(s.active_pid) FROM pg_catalog.pg_replication_slots s
            WHERE s.slot_name = $1 AND s.database = pg_catalog.current_database()
            """
        let start = ContinuousClock.now
        while true {
            guard let row = try await client.query(question, [.text(slot.text)]).rows.first else { return nil }
            if row.text(1) == nil { return row.text(0) ?? "unknown" }
            if ContinuousClock.now - start > endLimit { throw EffectFailure.unavailable("the replication slot \(slot) is in use by another session, which does not end") }
            try await Task.sleep(for: interval)
        }
    }
}
