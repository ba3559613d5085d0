/// The answer of POST /v1/execute.
///
/// A server may write the rows straight from the wire with `JSONWriter` in this member order; this type is the shape.
package struct ExecuteAnswer: Hashable, Sendable {
    package struct Column: Hashable, Sendable {
        package var name: String
        /// PostgreSQL's type name ("int8", "text").
        package var type: String
        package init(name: String, type: String) {
            self.name = name
            self.type = type
        }
    }
    /// nil when more than one shard took part (DDL, reference writes).
    package var shardID: String?
    package var columns: [Column]
    /// Objects or arrays, as asked.
    package var rows: [JSONValue]
    package var affectedRows: Int64
    package var latencyMilliseconds: Double

    package static let fields = ["shard_id", "columns", "rows", "row_count", "affected_rows", "latency_ms"]

    package init(
        shardID: String?, columns: [Column], rows: [JSONValue], affectedRows: Int64, latencyMilliseconds: Double
    ) {
        self.shardID = shardID
        self.columns = columns
        self.rows = rows
        self.affectedRows = affectedRows
        self.latencyMilliseconds = latencyMilliseconds
    }

    package var json: JSONValue {
        [
            "shard_id": shardID.map { .string($0) } ?? .null,
            "columns": .array(columns.map { ["name": .string($0.name), "type": .string($0.type)] }),
            "rows": .array(rows),
            "row_count": .integer(Int64(rows.count)),
            "affected_rows": .integer(affectedRows),
            "latency_ms": .milliseconds(latencyMilliseconds),
        ]
    }
}

extension JSONValue {
    /// A duration with three decimals.
    package static func milliseconds(_ value: Double) -> JSONValue {
        let microseconds = Int64((value * 1000).rounded())
        let fraction = String(microseconds % 1000 + 1000).dropFirst()
        return .number("\(microseconds / 1000).\(fraction)")
    }
}

/// The answer of POST /v1/execute with `options.explain`: where the statement would go, and why. Nothing was run.
package struct RouteExplanation: Codable, Hashable, Sendable {
    /// "select", "insert", … (`StatementKind`)
    package var kind: String
    /// "keyed", "any_shard", "home_shard", "current_shard", "every_shard", "split_copy", "gather_rows", "every_key", "explain", "transaction", "session", "mosaic", "empty", "refused"
    package var route: String
    /// The shards it would run on; empty when the router answers itself or refuses.
    package var shards: [String]
    package var tables: [String]
    package var writes: Bool
    /// One sentence.
    package var reason: String
    /// The `PGM-…` code and the hint when the statement is refused.
    package var refusal: String?
    package var hint: String?
    package var epoch: UInt64

    package enum CodingKeys: String, CodingKey, CaseIterable {
        case kind, route, shards, tables, writes, reason, refusal, hint, epoch
    }

    package init(
        kind: String, route: String, shards: [String], tables: [String], writes: Bool, reason: String,
        refusal: String? = nil, hint: String? = nil, epoch: UInt64
    ) {
        self.kind = kind
        self.route = route
        self.shards = shards
        self.tables = tables
        self.writes = writes
        self.reason = reason
        self.refusal = refusal
        self.hint = hint
        self.epoch = epoch
    }
}

/// GET /v1/shard-for-key
package struct ShardForKeyAnswer: Codable, Hashable, Sendable {
    package var shardID: String
    /// A decimal string: 64 bits do not fit a JSON number.
    package var token: String
    package var epoch: UInt64
    package enum CodingKeys: String, CodingKey, CaseIterable {
        case token, epoch
        case shardID = "shard_id"
    }
    package init(shardID: String, token: UInt64, epoch: UInt64) {
        self.shardID = shardID
        self.token = String(token)
        self.epoch = epoch
    }
}
