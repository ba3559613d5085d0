/// The row that answers IDENTIFY_SYSTEM.
package struct SystemIdentity: Hashable, Sendable {
    /// The same on a primary and its replicas, and on no other server.
    package var systemID: String
    package var timeline: UInt32
    /// Where the log ends, flushed.
    package var position: LSN
    /// nil: a session without a database.
    package var database: String?

    /// Reads the row's text values; nil where they are not of that form.
    package init?(row: [String?]) {
        guard row.count >= 4, let systemID = row[0], let timeline = row[1].flatMap({ UInt32($0) }), let position = row[2].flatMap({ LSN(text: $0) })
        else { return nil }
        self.systemID = systemID
        self.timeline = timeline
        self.position = position
        database = row[3]
    }
}

/// The row that answers CREATE_REPLICATION_SLOT.
package struct CreatedSlot: Hashable, Sendable {
    package var slot: SlotName
    /// Everything that committed before it is in the snapshot, everything else is in the stream.
    package var consistentPoint: LSN
    /// Of an exported snapshot.
    package var snapshot: String?

    /// Reads the row's text values; nil where they are not of that form.
    package init?(row: [String?]) {
        guard row.count >= 4, let slot = row[0].flatMap({ SlotName($0) }), let point = row[1].flatMap({ LSN(text: $0) }) else { return nil }
        self.slot = slot
        consistentPoint = point
        snapshot = row[2]
    }
}
