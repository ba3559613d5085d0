/// What a primary and its replicas are asked to know how far these are. Every result column is taken as text.
package enum ReplicaQueries {
    package static let primary = """
        SELECT s.system_identifier::text, pg_catalog.pg_is_in_recovery(),
               CASE WHEN NOT pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_current_wal_insert_lsn()::text END,
               CASE WHEN NOT pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_current_wal_flush_lsn()::text END,
               pg_catalog.current_setting('wal_block_size'), pg_catalog.pg_size_bytes(pg_catalog.current_setting('wal_segment_size'))::text
        FROM pg_catalog.pg_control_system() s
        """

    package static let replica = """
        SELECT s.system_identifier::text, pg_catalog.pg_is_in_recovery(), pg_catalog.pg_last_wal_replay_lsn()::text
        FROM pg_catalog.pg_control_system() s
        """

    /// Of a session that is to read there, in this order: whether it is in recovery, and the system identifier.
    package static let greeting = "SELECT pg_catalog.pg_is_in_recovery(), s.system_identifier::text FROM pg_catalog.pg_control_system() s"
}

extension PrimarySight {
    /// A row of `ReplicaQueries.primary`; nil where it is none.
    package init?(_ row: [String?]) {
        guard row.count == 6, let system = row[0], let isInRecovery = row[1] else { return nil }
        self.init(system: system, isInRecovery: isInRecovery != "f", log: nil)
        if let insert = row[2].flatMap({ LogPosition(text: $0) }), let flush = row[3].flatMap({ LogPosition(text: $0) }) {
            let (page, segment) = (row[4].flatMap { UInt64($0) }, row[5].flatMap { UInt64($0) })
            log = PrimaryLog(insert: insert, flush: flush, pageSize: page ?? 0, segmentSize: segment ?? 0)
        }
    }
}

extension ReplicaSight {
    /// A row of `ReplicaQueries.replica`; nil where it is none.
    package init?(_ row: [String?]) {
        guard row.count == 3, let system = row[0], let isInRecovery = row[1] else { return nil }
        self.init(system: system, isInRecovery: isInRecovery == "t", replayed: row[2].flatMap { LogPosition(text: $0) })
    }
}
