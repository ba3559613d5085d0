package import ShardModel

/// POST /v1/execute: one statement with typed parameters.
///
/// Read with `init(body:)`, which keeps numbers exact; Foundation's decoders would not.
package struct ExecuteRequest: Hashable, Sendable {
    package var database: String?
    /// A string or an integer: one of the keys that the statement names, as a check.
    package var shardKey: JSONValue?
    package var query: String
    /// Strings, numbers, booleans, nulls. An object is passed as JSON text, an array as a PostgreSQL array, or as JSON text to a json or jsonb parameter.
    package var params: [JSONValue]
    package var consistency: Consistency?
    package var options: Options

    package struct Options: Hashable, Sendable {
        package enum RowFormat: String, Hashable, Sendable, CaseIterable { case objects, arrays }
        package var timeoutMilliseconds: Int64?
        package var rowFormat: RowFormat
        package var rowsMax: Int64?
        /// Answer with the plan instead of running the statement.
        package var explain: Bool

        package static let fields = ["timeout_ms", "row_format", "max_rows", "explain"]

        package init(
            timeoutMilliseconds: Int64? = nil, rowFormat: RowFormat = .objects, rowsMax: Int64? = nil,
            explain: Bool = false
        ) {
            self.timeoutMilliseconds = timeoutMilliseconds
            self.rowFormat = rowFormat
            self.rowsMax = rowsMax
            self.explain = explain
        }
    }

    package static let fields = ["database", "shard_key", "query", "params", "consistency", "options"]
    /// PostgreSQL's own limit of the Bind message.
    package static let paramsMax = 65_535

    package init(
        database: String? = nil, shardKey: JSONValue? = nil, query: String, params: [JSONValue] = [],
        consistency: Consistency? = nil, options: Options = Options()
    ) {
        self.database = database
        self.shardKey = shardKey
        self.query = query
        self.params = params
        self.consistency = consistency
        self.options = options
    }
}

extension ExecuteRequest {
    /// Throws an `APIError` of 400 that names the field.
    package init(body: [UInt8]) throws(APIError) {
        let value = try APICoding.object(in: body)
        try APICoding.refuseUnknownFields(of: value, known: Self.fields)
        var reader = JSONFields(value)
        query = try reader.required("query", "a string", \.stringValue)
        database = try reader.optional("database", "a string", \.stringValue)
        shardKey = try reader.shardKey()
        params = try reader.params()
        consistency = try reader.optional("consistency", "\"strong\" or \"eventual\"") {
            $0.stringValue.flatMap(Consistency.init(rawValue:))
        }
        options = try Options(value["options"] ?? .null)
    }

    /// As sent by our clients.
    package var json: JSONValue {
        var members: [JSONValue.Member] = [.init("query", .string(query)), .init("params", .array(params))]
        if let database { members.append(.init("database", .string(database))) }
        if let shardKey { members.append(.init("shard_key", shardKey)) }
        if let consistency { members.append(.init("consistency", .string(consistency.rawValue))) }
        members.append(.init("options", options.json))
        return .object(members)
    }
}

extension ExecuteRequest.Options {
    /// - known: the options that the request has.
    init(_ value: JSONValue, known: [String] = Self.fields) throws(APIError) {
        self.init()
        if value.isNull { return }
        guard case .object = value else { throw APIError(.invalidRequest, "field \"options\" must be an object") }
        try APICoding.refuseUnknownFields(of: value, known: known, within: "options")
        var reader = JSONFields(value, within: "options.")
        let positive: (JSONValue) -> Int64? = { $0.wholeNumber.flatMap { $0 > 0 ? $0 : nil } }
        timeoutMilliseconds = try reader.optional("timeout_ms", "a positive integer", positive)
        rowsMax = try reader.optional("max_rows", "a positive integer", positive)
        rowFormat =
            try reader.optional("row_format", "\"objects\" or \"arrays\"") {
                $0.stringValue.flatMap(RowFormat.init(rawValue:))
            } ?? .objects
        explain = try reader.optional("explain", "a boolean", \.boolValue) ?? false
    }

    var json: JSONValue {
        var members: [JSONValue.Member] = [.init("row_format", .string(rowFormat.rawValue))]
        if let timeoutMilliseconds { members.append(.init("timeout_ms", .integer(timeoutMilliseconds))) }
        if let rowsMax { members.append(.init("max_rows", .integer(rowsMax))) }
        if explain { members.append(.init("explain", .bool(true))) }
        return .object(members)
    }
}

/// Reads members of one object with errors that name them.
struct JSONFields {
    private let value: JSONValue
    private let prefix: String

    init(_ value: JSONValue, within prefix: String = "") {
        self.value = value
        self.prefix = prefix
    }

    /// nil when the member is missing or null.
    mutating func optional<T>(
        _ name: String, _ expected: String, _ read: (JSONValue) -> T?
    ) throws(APIError) -> T? {
        guard let member = value[name], !member.isNull else { return nil }
        guard let result = read(member) else {
            throw APIError(.invalidRequest, "field \"\(prefix)\(name)\" must be \(expected), not \(member.kindName)")
        }
        return result
    }

    mutating func required<T>(
        _ name: String, _ expected: String, _ read: (JSONValue) -> T?
    ) throws(APIError) -> T {
        guard let result = try optional(name, expected, read) else {
            throw APIError(.invalidRequest, "field \"\(prefix)\(name)\" is missing")
        }
        return result
    }

    /// A key that the statement must name.
    mutating func shardKey() throws(APIError) -> JSONValue? {
        try optional("shard_key", "a string or an integer") { value in
            switch value {
            case .string: value
            default: value.wholeNumber.map(JSONValue.integer)
            }
        }
    }

    mutating func params() throws(APIError) -> [JSONValue] {
        let params = try optional("params", "an array", \.arrayValue) ?? []
        guard params.count <= ExecuteRequest.paramsMax else {
            throw APIError(.invalidRequest, "field \"\(prefix)params\" holds more than \(ExecuteRequest.paramsMax) values")
        }
        return params
    }
}
