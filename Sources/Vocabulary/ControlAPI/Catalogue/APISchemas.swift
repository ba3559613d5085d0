internal import ShardModel

/// The named shapes of the OpenAPI document. A test compares their fields with what the types encode and accept.
package enum APISchemas {
    package static func named(_ name: String) -> [APISchema.Field]? { all.first { $0.name == name }?.fields }

    package static let all: [(name: String, fields: [APISchema.Field])] = [
        ("Error", [.init("error", errorMembers)]),
        ("Health", [.init("status", .string), .init("version", .string)]),
        ("Ready", [
            .init("ready", .boolean), .init("epoch", .integer), .init("catalog_connected", .boolean),
            .init("shards", .array(.object([.init("id", .string), .init("reachable", .boolean)]))), .optional("role", managerRole),
            .optional("leader", .string),
        ]),
        ("LogLevels", [.init("level", logLevel), .init("subsystems", logLevelsOfSubsystems)]),
        ("ChangeLogLevels", [.optional("level", logLevel), .optional("subsystems", logLevelsOfSubsystems)]),
        ("Database", [
            .init("name", .string), .init("vnode_count", .integer), .init("default_consistency", consistency),
            .init("default_placement", placement), .init("key_column_rules", .array(.string)),
            .optional("home_shard", .string), .init("shard_count", .integer), .init("table_count", .integer),
            .init("version", .integer),
        ]),
        ("CreateDatabase", [
            .init("name", name), .optional("vnode_count", .bounded(RequestLimits.vnodeCount)), .optional("default_consistency", consistency),
            .optional("default_placement", placement), .optional("key_column_rules", .list(name, RequestLimits.keyColumnRules, isUnique: true)),
        ]),
        ("Table", [
            .init("name", .string), .init("kind", tableKind), .optional("shard_key", .string),
            .optional("home_shard", .string), .init("version", .integer),
        ]),
        ("DeclareTable", [
            .init("name", tableName), .init("kind", tableKind), .optional("shard_key", name), .optional("home_shard", .string),
        ]),
        ("VNode", [
            .init("id", .integer), .init("shard_id", .string), .init("hash", .choice([VNodeResource.hashName])),
            .init("start", .token), .init("end", .token),
        ]),
        ("Shard", [
            .init("id", .string), .init("name", .string), .init("database", .string),
            .optional("hash_range_start", .token), .optional("hash_range_end", .token),
            .init("primary_endpoint", .string), .init("replicas", .array(.string)), .init("status", shardStatus),
            .init("is_home", .boolean), .init("version", .integer), .init("vnodes", .array(.reference("VNode"))),
            .init("created_at", .timestamp), .init("updated_at", .timestamp),
        ]),
        ("RegisterShard", [
            .optional("id", id), .optional("name", name), .init("database", name), .init("primary_endpoint", endpoint),
            .optional("replicas", .list(endpoint, RequestLimits.replicas, isUnique: true)),
        ]),
        ("ShardStatus", [.init("status", .choice(["active", "readonly", "inactive"])), .init("version", .count)]),
        ("ShardReplicas", [.init("replicas", .list(endpoint, RequestLimits.replicas, isUnique: true)), .init("version", .count)]),
        ("ShardHealth", [
            .init("shard_id", .string), .init("healthy", .boolean), .optional("latency_ms", .number),
            .optional("server_version", .string), .optional("in_recovery", .boolean), .optional("problem", .string),
            .init("servers", .array(.reference("ServerHealth"))),
        ]),
        ("ServerHealth", [
            .init("server", .string), .init("part", .choice(ServerHealthResource.Part.allCases.map(\.rawValue))), .init("state", healthState),
            .init("since", .timestamp), .init("reasons", .array(.string)),
            .init("transitions", .array(.object([
                .init("time", .timestamp), .init("from", healthState), .init("to", healthState), .init("reasons", .array(.string)),
            ]))),
            .optional("probed_at", .timestamp), .init("found", .array(.string)), .optional("problem", .string), .optional("latency_ms", .number), .optional("in_recovery", .boolean),
            .optional("position", .string), .optional("lag_ms", .integer), .optional("behind_bytes", .integer), .optional("streaming", .boolean),
            .optional("connections", .integer), .optional("connections_max", .integer), .optional("in_doubt", .integer),
            .optional("oldest_in_doubt_s", .number), .optional("database_bytes", .integer), .optional("log_bytes", .integer),
            .optional("slots", .array(.object([.init("name", .string), .init("active", .boolean), .optional("retained_bytes", .integer)]))),
        ]),
        ("ShardStats", [
            .init("shard_id", .string), .init("database_bytes", .integer), .init("connections", .integer),
            .init("connections_max", .integer), .init("prepared_transactions", .integer), .init("vnode_count", .integer),
            .init("tables", .array(.object([.init("name", .string), .init("row_estimate", .integer), .init("bytes", .integer)]))),
        ]),
        ("Catalog", [
            .init("epoch", .integer), .init("cluster_id", .string),
            .init("databases", .array(.object([
                .init("database", .reference("Database")), .init("shards", .array(.reference("Shard"))),
                .init("tables", .array(.reference("Table"))),
            ]))),
        ]),
        ("SplitShard", [.init("source_shard_id", id), .init("target_shards", ids), .optional("split_point", .token), .optional("end_transactions", .boolean)]),
        ("MergeShards", [.init("source_shard_ids", ids), .init("target_shard", id), .optional("end_transactions", .boolean)]),
        ("MoveVNodes", [
            .init("vnodes", .list(.bounded(0...Int(UInt32.max)), RequestLimits.movedVNodes, isUnique: true)), .init("source", id), .init("target", id),
            .optional("end_transactions", .boolean),
        ]),
        ("EvenShard", [.init("shard_id", id), .optional("end_transactions", .boolean)]),
        ("ReshardPlan", [
            .init("type", jobType), .init("database", .string),
            .init("moves", .array(.object([
                .init("source_shard", .string), .init("target_shard", .string), .init("vnodes", .integer), .init("share_of_ring", .number),
                .init("share_of_source", .number), .optional("row_estimate", .integer), .optional("byte_estimate", .integer),
            ]))),
            .init("cuts", .integer), .init("retiring", .array(.string)), .optional("conflict", .string),
            .optional("sampled_rows", .integer), .optional("seconds_estimate", .number),
        ]),
        ("Job", [
            .init("id", .string), .init("type", jobType), .init("database", .string), .init("source_shards", .array(.string)),
            .init("target_shards", .array(.string)),
            .init("status", .choice(["pending", "precopy", "deltasync", "cutover", "completed", "failed", "cancelled"])), .init("step", .string),
            .init("direction", .choice(["forward", "back"])), .init("has_way_back", .boolean), .init("vnodes", .integer), .init("progress", .number),
            .init("keys_migrated", .integer), .init("total_keys", .integer), .init("bytes_copied", .integer), .init("total_bytes", .integer),
            .init("lag_bytes", .integer), .optional("pause_ms", .number), .init("attempts_abandoned", .integer), .init("retries", .integer),
            .optional("error_message", .string), .init("started_at", .timestamp), .init("updated_at", .timestamp), .optional("switched_at", .timestamp),
            .optional("completed_at", .timestamp), .optional("end_transactions", .boolean), .init("version", .integer),
            .init("tables", .array(.object([
                .init("name", .string), .init("rows_copied", .integer), .init("total_rows", .integer), .init("bytes_copied", .integer),
            ]))),
            .init("streams", .array(.object([
                .init("source_shard", .string), .init("state", .string), .init("lag_bytes", .integer), .init("changes", .integer), .optional("reason", .string),
            ]))),
            .init("loads", .array(.object([
                .init("source_shard", .string), .optional("bytes_per_second_max", .integer), .optional("commit_ms", .number), .optional("commit_ms_before", .number),
            ]))),
        ]),
        ("Router", [
            .init("id", .string), .init("url", .string), .init("wire_address", .string), .init("epoch", .integer),
            .init("epoch_lag", .integer), .init("version", .string), .init("started_at", .timestamp),
        ]),
        ("Manager", [
            .init("id", .string), .init("url", .string), .init("role", managerRole), .init("since", .timestamp), .init("epoch", .integer),
            .init("version", .string), .init("started_at", .timestamp),
        ]),
        ("User", [
            .init("name", .string), .init("roles", .array(role)), .optional("databases", .array(.string)), .optional("grants", grants),
            .init("version", .integer),
        ]),
        ("AuditEntry", [
            .init("seq", .integer), .init("time", .timestamp), .init("server", .string), .init("action", .string),
            .init("outcome", .choice(["ok", "refused", "failed", "unknown"])), .optional("user", .string), .optional("address", .string),
            .optional("object", .string), .optional("code", .string), .optional("request_id", .string), .optional("trace_id", .string), .optional("statement", .string),
            .optional("count", .integer), .init("prev", .string), .optional("mac", .string),
        ]),
        ("Setup", [.init("username", name), .init("password", password)]),
        ("Login", [.init("username", .string), .init("password", .string)]),
        ("LoginAnswer", [.init("token", .string), .init("username", .string), .init("roles", .array(role)), .init("expires_in", .integer)]),
        ("Revoke", [.optional("jti", .string), .optional("username", name)]),
        ("CreateUser", [
            .init("name", name), .init("password", password), .optional("roles", .array(role)),
            .optional("databases", grantedDatabases), .optional("grants", givenGrants),
        ]),
        ("UpdateUser", [
            .init("version", .count), .optional("password", password), .optional("roles", .array(role)),
            .optional("databases", .nullable(grantedDatabases)), .optional("grants", givenGrants),
        ]),
        ("Execute", [
            .optional("database", .string), .optional("shard_key", shardKey), .init("query", query), .optional("params", params),
            .optional("consistency", consistency),
            .optional("options", .object([
                .optional("timeout_ms", positive), .optional("row_format", .choice(ExecuteRequest.Options.RowFormat.allCases.map(\.rawValue))),
                .optional("max_rows", positive), .optional("explain", .boolean),
            ])),
        ]),
        ("ExecuteAnswer", [
            .init("shard_id", .nullable(.string)), .init("columns", columns), .init("rows", .array(.any)), .init("row_count", .integer),
            .init("affected_rows", .integer), .init("latency_ms", .number), .optional("notices", notices),
        ]),
        ("Batch", [
            .optional("database", .string),
            .init("statements", .list(.object([
                .init("query", query), .optional("params", params), .optional("shard_key", shardKey),
            ]), 1...BatchRequest.statementsMax, isUnique: false)),
            .optional("options", .object([
                .optional("timeout_ms", positive), .optional("row_format", .choice(ExecuteRequest.Options.RowFormat.allCases.map(\.rawValue))),
                .optional("max_rows", positive),
            ])),
        ]),
        ("BatchAnswer", [
            .init("shard_id", .nullable(.string)),
            .init("results", .array(.object([
                .init("shard_id", .nullable(.string)), .init("columns", columns), .init("rows", .array(.any)), .init("row_count", .integer),
                .init("affected_rows", .integer), .optional("notices", notices),
            ]))),
            .init("latency_ms", .number),
        ]),
        ("StreamHead", [.init("columns", columns)]),
        ("StreamEnd", [
            .init(StreamLines.endMember, .choice(StreamLines.End.allCases.map(\.rawValue))), .optional("shard_id", .nullable(.string)),
            .optional("tag", .nullable(.string)), .optional("row_count", .integer), .optional("affected_rows", .integer),
            .optional("latency_ms", .number), .optional("notices", notices), .optional("error", errorMembers),
        ]),
        ("RouteExplanation", [
            .init("kind", .string), .init("route", .string), .init("shards", .array(.string)), .init("tables", .array(.string)),
            .init("writes", .boolean), .init("reason", .string), .optional("refusal", .string), .optional("hint", .string),
            .init("epoch", .integer),
        ]),
        ("ShardForKey", [.init("shard_id", .string), .init("token", .token), .init("epoch", .integer)]),
    ]

    private static let errorMembers = APISchema.object([
        .init("code", .choice(APIErrorCode.allCases.map(\.rawValue))), .init("message", .string), .init("request_id", .string),
        .optional("sqlstate", .string), .optional("details", .any),
    ])
    private static let healthState = APISchema.choice(ServerHealthResource.State.allCases.map(\.rawValue))
    private static let jobType = APISchema.choice(["split", "merge", "move"])
    private static let managerRole = APISchema.choice(ManagerRole.allCases.map(\.rawValue))
    private static let columns = APISchema.array(.object([.init("name", .string), .init("type", .string)]))
    private static let notices = APISchema.array(.object([
        .init("severity", .string), .init("sqlstate", .string), .init("message", .string), .optional("hint", .string),
    ]))
    private static let consistency = APISchema.choice(["strong", "eventual"])
    private static let placement = APISchema.choice(["refuse", "local"])
    private static let tableKind = APISchema.choice(TableKind.allCases.map(\.rawValue))
    private static let shardStatus = APISchema.choice(["active", "migrating", "readonly", "inactive"])
    private static let grants = APISchema.array(.object([
        .init("database", .string), .init("rights", .array(.choice(QueryRight.allCases.map(\.rawValue)))),
    ]))
    /// Of requests: names are at most 63 bytes, and JSON Schema can only count characters.
    private static let name = APISchema.text(RequestLimits.nameBytes, pattern: "^[^\\u0000-\\u001f\\u007f]+$")
    /// "schema.table", or a table of public.
    static let tableName = APISchema.text(1...(2 * RequestLimits.nameBytes.upperBound + 1), pattern: "^[^\\u0000-\\u001f\\u007f]+$")
    private static let id = APISchema.text(RequestLimits.idLength, pattern: "^(?!\\.{1,2}$)[A-Za-z0-9._-]+$")
    private static let ids = APISchema.list(id, RequestLimits.movedShards, isUnique: true)
    private static let endpoint = APISchema.text(1...4096, pattern: "^postgres(ql)?://[^\\s/@]+@[^\\s/@]+/\\S+$")
    private static let password = APISchema.text(RequestLimits.passwordBytes, pattern: "^")
    private static let query = APISchema.text(1...Int.max, pattern: "^[^\\u0000]+$")
    private static let params = APISchema.list(.any, 0...ExecuteRequest.paramsMax, isUnique: false)
    private static let shardKey = APISchema.oneOf([.string, .bounded(Int.min...Int.max)])
    private static let positive = APISchema.bounded(1...(1 << 53))
    private static let grantedDatabases = APISchema.list(name, RequestLimits.grants, isUnique: true)
    private static let givenGrants = APISchema.list(
        .object([
            .init("database", name), .init("rights", .list(.choice(QueryRight.allCases.map(\.rawValue)), 1...QueryRight.allCases.count, isUnique: false)),
        ]), RequestLimits.grants, isUnique: true)
    private static let logLevel = APISchema.choice(LogLevelName.allCases.map(\.rawValue))
    private static let logLevelsOfSubsystems = APISchema.object(LogSubsystem.allCases.map { .optional($0.rawValue, logLevel) })
    private static let role = APISchema.choice(UserRole.allCases.map(\.rawValue))
}
