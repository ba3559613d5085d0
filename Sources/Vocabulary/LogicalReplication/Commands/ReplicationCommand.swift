/// A command of a session that was opened with `replication=database`, sent as a simple query (chapter 55.4 of PostgreSQL's documentation).
package enum ReplicationCommand: Hashable, Sendable {
    /// Answered by one row: `SystemIdentity`.
    case identifySystem
    /// Answered by one row: `CreatedSlot`.
    case createSlot(SlotName, isTemporary: Bool, snapshot: SlotSnapshot, decodesPrepared: Bool)
    /// Answered by CopyBothResponse, and the stream. Once in a session: the server (15, seen) ends a second stream at once, as if the first one's end
    /// were its own.
    case start(StreamRequest)
    /// `waits`: until nobody uses the slot; otherwise a slot in use is an error (55006).
    case dropSlot(SlotName, waits: Bool)

    /// What becomes of the snapshot that shows exactly what the new slot will not stream.
    package enum SlotSnapshot: String, Hashable, Sendable, CaseIterable {
        /// Other sessions may take it by its name, until this session's next command.
        case export = "EXPORT_SNAPSHOT"
        /// This session's transaction, which must be REPEATABLE READ, read only and new, has it.
        case use = "USE_SNAPSHOT"
        case none = "NOEXPORT_SNAPSHOT"
    }

    /// One statement. The words of the older grammar for options: every version from 10 on takes them (TWO_PHASE: from 15 on).
    package var text: String {
        switch self {
        case .identifySystem: return "IDENTIFY_SYSTEM"
        case .createSlot(let slot, let isTemporary, let snapshot, let decodesPrepared):
            return "CREATE_REPLICATION_SLOT \(ReplicationText.identifier(slot.text))\(isTemporary ? " TEMPORARY" : "") LOGICAL pgoutput "
                + snapshot.rawValue + (decodesPrepared ? " TWO_PHASE" : "")
        case .start(let request): return request.text
        case .dropSlot(let slot, let waits): return "DROP_REPLICATION_SLOT \(ReplicationText.identifier(slot.text))\(waits ? " WAIT" : "")"
        }
    }

    /// The statement that gives a transaction (REPEATABLE READ, nothing read yet) an exported snapshot. For ordinary sessions, too.
    package static func setSnapshot(_ name: String) -> String { "SET TRANSACTION SNAPSHOT \(ReplicationText.literal(name))" }

    /// What the startup packet of a session for replication asks for. Text forms of values then mean the same on every server: they are what
    /// PostgreSQL's own subscriber asks for (libpqwalreceiver.c).
    package static let sessionParameters: [(name: String, value: String)] = [
        ("replication", "database"), ("client_encoding", "UTF8"), ("DateStyle", "ISO"), ("IntervalStyle", "postgres"), ("extra_float_digits", "3"),
    ]
}

/// What START_REPLICATION asks a logical slot for.
package struct StreamRequest: Hashable, Sendable {
    package var slot: SlotName
    /// Transactions whose commit record starts before it are not sent. Below what the slot has been told to forget, the server starts there instead.
    package var start: LSN
    package var version: PGOutputVersion
    package var publications: [String]
    /// Values in binary form, where their type has one (14).
    package var isBinary = false
    /// Large transactions before their commit (14, version 2).
    package var streamsInProgress = false
    /// What `pg_logical_emit_message` writes (14).
    package var sendsMessages = false
    /// Prepared transactions at their PREPARE (15, version 3).
    package var sendsPrepared = false

    package init(slot: SlotName, start: LSN, version: PGOutputVersion, publications: [String]) {
        self.slot = slot
        self.start = start
        self.version = version
        self.publications = publications
    }

    var text: String {
        var options = [
            "proto_version '\(version.rawValue)'",
            "publication_names \(ReplicationText.literal(ReplicationText.identifierList(publications)))",
        ]
        // What is not wanted is not named: servers before 14 know none of these.
        if isBinary { options.append("binary 'true'") }
        if streamsInProgress { options.append("streaming 'on'") }
        if sendsMessages { options.append("messages 'true'") }
        if sendsPrepared { options.append("two_phase 'on'") }
        return "START_REPLICATION SLOT \(ReplicationText.identifier(slot.text)) LOGICAL \(start) (\(options.joined(separator: ", ")))"
    }
}
