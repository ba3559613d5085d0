internal import ShardModel

/// One server of a shard in `GET /api/v1/shards/{id}/health`: what a probe just found, and what the manager makes of all its probes.
package struct ServerHealthResource: Codable, Hashable, Sendable {
    package enum Part: String, Codable, Hashable, Sendable, CaseIterable { case primary, replica }
    package enum State: String, Codable, Hashable, Sendable, CaseIterable { case unknown, healthy, degraded, unreachable }

    package struct Slot: Codable, Hashable, Sendable {
        package var name: String
        package var active: Bool
        package var retainedBytes: Int64?
        package enum CodingKeys: String, CodingKey, CaseIterable {
            case name, active
            case retainedBytes = "retained_bytes"
        }
        package init(name: String, active: Bool, retainedBytes: Int64?) {
            self.name = name
            self.active = active
            self.retainedBytes = retainedBytes
        }
    }

    package struct Transition: Codable, Hashable, Sendable {
        package var time: Timestamp
        package var from: State
        package var to: State
        package var reasons: [String]
        package enum CodingKeys: String, CodingKey, CaseIterable { case time, from, to, reasons }
        package init(time: Timestamp, from: State, to: State, reasons: [String]) {
            self.time = time
            self.from = from
            self.to = to
            self.reasons = reasons
        }
    }

    /// "host:port"
    package var server: String
    package var part: Part
    /// By this manager's probes until now.
    package var state: State
    package var since: Timestamp
    /// Why it is not healthy, by the probes until now: stable words.
    package var reasons: [String]
    /// Newest last.
    package var transitions: [Transition]
    /// When this manager's last probe ended, before the one of this request; absent before the first.
    package var probedAt: Timestamp?
    /// What the probe of this request found wrong; empty: nothing.
    package var found: [String] = []
    /// One sentence where it did not answer; without secrets.
    package var problem: String?
    package var latencyMilliseconds: Double?
    package var inRecovery: Bool?
    /// Bytes of log, written or replayed: a decimal string.
    package var position: String?
    /// Of a replica.
    package var lagMilliseconds: Int64?
    package var behindBytes: Int64?
    package var streaming: Bool?
    package var connections: Int64?
    package var connectionsMax: Int64?
    package var inDoubt: Int64?
    package var oldestInDoubtSeconds: Double?
    package var databaseBytes: Int64?
    /// Of the log's folder; absent where the role may not see it.
    package var logBytes: Int64?
    package var slots: [Slot]?

    package enum CodingKeys: String, CodingKey, CaseIterable {
        case server, part, state, since, reasons, transitions, found, problem, position, streaming, connections, slots
        case probedAt = "probed_at"
        case latencyMilliseconds = "latency_ms"
        case inRecovery = "in_recovery"
        case lagMilliseconds = "lag_ms"
        case behindBytes = "behind_bytes"
        case connectionsMax = "connections_max"
        case inDoubt = "in_doubt"
        case oldestInDoubtSeconds = "oldest_in_doubt_s"
        case databaseBytes = "database_bytes"
        case logBytes = "log_bytes"
    }

    package init(server: String, part: Part, state: State, since: Timestamp, reasons: [String], transitions: [Transition]) {
        self.server = server
        self.part = part
        self.state = state
        self.since = since
        self.reasons = reasons
        self.transitions = transitions
    }
}
