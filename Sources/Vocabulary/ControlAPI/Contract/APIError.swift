/// The one error shape of every path of both servers.
///
/// `message` is for people and holds no secret and no row value; programs look at `code`.
package struct APIError: Error, Hashable, Sendable {
    package var code: APIErrorCode
    package var message: String
    /// PostgreSQL's or our SQLSTATE, where SQL is involved.
    package var sqlstate: String?
    package var details: JSONValue?
    /// Seconds; sent as `Retry-After` too.
    package var retryAfter: Int?
    /// The methods that the path has, sent as `Allow` with 405.
    package var allow: [String]

    package init(
        _ code: APIErrorCode, _ message: String, sqlstate: String? = nil, details: JSONValue? = nil,
        retryAfter: Int? = nil, allow: [String] = []
    ) {
        self.code = code
        self.message = message
        self.sqlstate = sqlstate
        self.details = details
        self.retryAfter = retryAfter ?? ([429, 503].contains(code.status) ? 1 : nil)
        self.allow = allow
    }

    /// `{"error": {…}}`
    package func body(requestID: String) -> JSONValue {
        var members: [JSONValue.Member] = [
            .init("code", .string(code.rawValue)), .init("message", .string(message)),
            .init("request_id", .string(requestID)),
        ]
        if let sqlstate { members.append(.init("sqlstate", .string(sqlstate))) }
        if let details { members.append(.init("details", details)) }
        return ["error": .object(members)]
    }

    /// Reads an answer of the other side; nil when it is not of this shape. An unknown code (a newer server) becomes `.internalError`
    /// with the code kept in the message.
    package init?(body: JSONValue) {
        guard let error = body["error"], let code = error["code"]?.stringValue,
            let message = error["message"]?.stringValue
        else { return nil }
        let known = APIErrorCode(rawValue: code)
        self.init(
            known ?? .internalError, known == nil ? "\(code): \(message)" : message,
            sqlstate: error["sqlstate"]?.stringValue, details: error["details"])
    }
}
