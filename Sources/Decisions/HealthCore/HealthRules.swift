/// When figures are worth a word, and how many probes make a state.
package struct HealthRules: Hashable, Sendable {
    /// Failed probes in a row that make a server unreachable.
    package var failures: Int
    /// Good probes in a row that make a server healthy again.
    package var recoveries: Int
    /// Of a replica, behind its primary.
    package var lagMax: Duration
    /// Share of the server's connections in use, in percent.
    package var connectionsMaxPercent: Int
    /// Age of a prepared transaction.
    package var inDoubtMax: Duration
    /// Log that a replication slot keeps from being removed.
    package var slotBytesMax: Int64

    package init(
        failures: Int = 3, recoveries: Int = 2, lagMax: Duration = .seconds(30), connectionsMaxPercent: Int = 90, inDoubtMax: Duration = .seconds(300),
        slotBytesMax: Int64 = 10 << 30
    ) {
        self.failures = failures
        self.recoveries = recoveries
        self.lagMax = lagMax
        self.connectionsMaxPercent = connectionsMaxPercent
        self.inDoubtMax = inDoubtMax
        self.slotBytesMax = slotBytesMax
    }
}

/// What a probe may find wrong. Its raw value is stable: metrics, the API and logs name it.
package enum HealthReason: String, Hashable, Sendable, CaseIterable, Comparable {
    // It does not answer.
    case noConnection = "no_connection"
    case noAnswer = "no_answer"
    // It answers, and cannot be used.
    case refused = "refused"
    case connectionsExhausted = "connections_exhausted"
    case notTheShard = "not_the_shard"
    case inRecovery = "in_recovery"
    case notInRecovery = "not_in_recovery"
    // It can be used, with an eye on it.
    case manyConnections = "many_connections"
    case lagging = "lagging"
    case notStreaming = "not_streaming"
    case inDoubt = "in_doubt"
    case slotRetainsLog = "slot_retains_log"

    /// Whether the server itself said so: then it is there.
    package var isOfReachableServer: Bool { self != .noConnection && self != .noAnswer }

    package static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// Which part a server is to play.
package enum ServerPart: Hashable, Sendable { case primary, replica }

/// What one probe of one server found, as far as the server says it.
package struct ServerFigures: Hashable, Sendable {
    package var isShard = true
    package var inRecovery = false
    /// Of a primary: written; of a replica: replayed. nil: not known.
    package var position: UInt64?
    /// Of a replica, by `PrimaryTrack`; nil: not known.
    package var lag: Duration?
    /// Of a replica: whether it receives the log from its primary; nil: the role may not see it.
    package var isStreaming: Bool?
    package var connections: Int64 = 0
    package var connectionsMax: Int64 = 0
    package var inDoubt: Int64 = 0
    package var oldestInDoubt: Duration?
    package var slots: [Slot] = []
    package var databaseBytes: Int64 = 0
    /// nil: the role may not see it.
    package var logBytes: Int64?

    package struct Slot: Hashable, Sendable {
        package var name: String
        package var isActive: Bool
        /// Log that is kept because of it; nil: not known.
        package var retainedBytes: Int64?

        package init(name: String, isActive: Bool, retainedBytes: Int64?) {
            self.name = name
            self.isActive = isActive
            self.retainedBytes = retainedBytes
        }
    }

    package init() {}

    /// What is wrong, in a stable order.
    package func reasons(as part: ServerPart, _ rules: HealthRules) -> [HealthReason] {
        var reasons: Set<HealthReason> = []
        if !isShard { reasons.insert(.notTheShard) }
        if part == .primary, inRecovery { reasons.insert(.inRecovery) }
        if part == .replica, !inRecovery { reasons.insert(.notInRecovery) }
        if part == .replica, let lag, lag > rules.lagMax { reasons.insert(.lagging) }
        if part == .replica, inRecovery, isStreaming == false { reasons.insert(.notStreaming) }
        if connectionsMax > 0, connections * 100 >= connectionsMax * Int64(rules.connectionsMaxPercent) { reasons.insert(.manyConnections) }
        if let oldestInDoubt, oldestInDoubt > rules.inDoubtMax { reasons.insert(.inDoubt) }
        if slots.contains(where: { ($0.retainedBytes ?? 0) > rules.slotBytesMax }) { reasons.insert(.slotRetainsLog) }
        return reasons.sorted()
    }
}
