/// POST /v1/batch: statements with typed parameters, in one transaction.
///
/// Read with `init(body:)`, which keeps numbers exact; Foundation's decoders would not.
package struct BatchRequest: Hashable, Sendable {
    package struct Statement: Hashable, Sendable {
        package var query: String
        /// As in `ExecuteRequest`.
        package var params: [JSONValue]
        /// One of the keys that this statement names, as a check.
        package var shardKey: JSONValue?

        package static let fields = ["query", "params", "shard_key"]

        package init(query: String, params: [JSONValue] = [], shardKey: JSONValue? = nil) {
            self.query = query
            self.params = params
            self.shardKey = shardKey
        }
    }

    package var database: String?
    /// At least one, in the order in which they run.
    package var statements: [Statement]
    /// For all of them together; `explain` is never set.
    package var options: ExecuteRequest.Options

    package static let fields = ["database", "statements", "options"]
    package static let optionFields = ExecuteRequest.Options.fields.filter { $0 != "explain" }
    /// Each holds its shard's locks while the others run.
    package static let statementsMax = 1000

    package init(database: String? = nil, statements: [Statement], options: ExecuteRequest.Options = .init()) {
        self.database = database
        self.statements = statements
        self.options = options
    }
}

extension BatchRequest {
    /// Throws an `APIError` of 400 that names the field.
    package init(body: [UInt8]) throws(APIError) {
        let value = try APICoding.object(in: body)
        try APICoding.refuseUnknownFields(of: value, known: Self.fields)
        var reader = JSONFields(value)
        database = try reader.optional("database", "a string", \.stringValue)
        options = try ExecuteRequest.Options(value["options"] ?? .null, known: Self.optionFields)
        let list = try reader.required("statements", "an array", \.arrayValue)
        guard (1...Self.statementsMax).contains(list.count) else {
            throw APIError(.invalidRequest, "field \"statements\" must hold 1 to \(Self.statementsMax) statements")
        }
        statements = []
        for (index, element) in list.enumerated() { statements.append(try Statement(element, at: index)) }
    }
}

extension BatchRequest.Statement {
    fileprivate init(_ value: JSONValue, at index: Int) throws(APIError) {
        let place = "statements[\(index)]"
        guard case .object = value else { throw APIError(.invalidRequest, "field \"\(place)\" must be an object, not \(value.kindName)") }
        try APICoding.refuseUnknownFields(of: value, known: Self.fields, within: place)
        var reader = JSONFields(value, within: "\(place).")
        query = try reader.required("query", "a string", \.stringValue)
        params = try reader.params()
        shardKey = try reader.shardKey()
    }
}
