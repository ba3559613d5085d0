/// One operation of the REST API: what the servers serve, the OpenAPI document describes and `docs/reference/rest.md` lists.
package struct APIRoute: Hashable, Sendable {
    package enum Method: String, Hashable, Sendable { case get = "GET", post = "POST", put = "PUT", patch = "PATCH", delete = "DELETE" }

    package struct QueryParameter: Hashable, Sendable {
        package let name: String
        package let schema: APISchema
        package let description: String
        package let isRequired: Bool
        package init(_ name: String, _ schema: APISchema, _ description: String, isRequired: Bool = false) {
            self.name = name
            self.schema = schema
            self.description = description
            self.isRequired = isRequired
        }
    }

    package enum Content: Hashable, Sendable {
        case none
        case json(APISchema)
        case text
    }

    package let method: Method
    /// A template: "/api/v1/shards/{id}".
    package let path: String
    package let summary: String
    package let query: [QueryParameter]
    /// nil: the request has no body.
    package let request: APISchema?
    package let status: Int
    package let answer: Content
    package let tag: String
    /// Callers that accept `application/x-ndjson` get the answer as lines of JSON, while it is made (`StreamLines`).
    package let mayStream: Bool
    /// Other statuses of success, and what they say. 304 has no content, the others have the same as `status`.
    package let also: [Int: String]
    /// Whether `Idempotency-Key` is taken.
    package var isWrite: Bool { method != .get }

    package init(
        _ method: Method, _ path: String, tag: String, _ summary: String, query: [QueryParameter] = [],
        request: APISchema? = nil, status: Int = 200, answer: Content, mayStream: Bool = false, also: [Int: String] = [:]
    ) {
        self.method = method
        self.path = path
        self.tag = tag
        self.mayStream = mayStream
        self.also = also
        self.summary = summary
        self.query = query
        self.request = request
        self.status = status
        self.answer = answer
    }

    /// "GET /api/v1/shards/{id}": unique in a catalogue, and the key of a server's handlers.
    package var id: String { "\(method.rawValue) \(path)" }

    /// Names in braces, in order.
    package var pathParameters: [String] {
        path.split(separator: "/").filter { $0.hasPrefix("{") && $0.hasSuffix("}") }.map { String($0.dropFirst().dropLast()) }
    }
}
