/// The OpenAPI 3.1 document of a server, made from its routes: what is served is what is described.
package enum OpenAPIDocument {
    /// - asksForTokens: whether the server does (`http.auth`).
    package static func make(title: String, version: String, routes: [APIRoute], asksForTokens: Bool) -> JSONValue {
        var paths: [JSONValue.Member] = []
        for path in routes.map(\.path).uniqued() {
            let operations = routes.filter { $0.path == path }.map { route in
                JSONValue.Member(route.method.rawValue.lowercased(), operation(route, asksForTokens: asksForTokens))
            }
            paths.append(.init(path, .object(operations)))
        }
        let used = referenced(by: routes)
        let requests = referencedByRequests(of: routes)
        let schemas = APISchemas.all.filter { used.contains($0.name) }.map {
            JSONValue.Member($0.name, APISchema.object($0.fields).json(isRequest: requests.contains($0.name)))
        }
        return [
            "openapi": "3.1.0",
            "info": ["title": .string(title), "version": .string(version)],
            "paths": .object(paths),
            "components": .object(
                [.init("schemas", .object(schemas))] + (asksForTokens ? [.init("securitySchemes", ["token": tokenScheme])] : [])),
        ]
    }

    private static func operation(_ route: APIRoute, asksForTokens: Bool) -> JSONValue {
        var members: [JSONValue.Member] = [
            .init("operationId", .string(operationID(route))), .init("summary", .string(route.summary)),
            .init("tags", [.string(route.tag)]),
        ]
        let parameters = route.pathParameters.map { parameter($0, in: "path", $0 == "table" ? APISchemas.tableName : .string, isRequired: true) }
            + route.query.map { parameter($0.name, in: "query", $0.schema, isRequired: $0.isRequired, description: $0.description) }
            + (route.isWrite
                ? [parameter("Idempotency-Key", in: "header", idempotencyKey, isRequired: false, description: "A repeated request gets the first one's answer")]
                : [])
        if !parameters.isEmpty { members.append(.init("parameters", .array(parameters))) }
        if let request = route.request {
            members.append(.init("requestBody", ["required": true, "content": json(request, isRequest: true)]))
        }
        members.append(.init("responses", .object(answers(route) + [.init("default", errorAnswer)])))
        if asksForTokens, RoutePermissions.permission(for: route) != .everyone { members.append(.init("security", [["token": []]])) }
        return .object(members)
    }

    private static func parameter(
        _ name: String, in place: String, _ schema: APISchema, isRequired: Bool, description: String? = nil
    ) -> JSONValue {
        var members: [JSONValue.Member] = [
            .init("name", .string(name)), .init("in", .string(place)), .init("required", .bool(isRequired)),
            .init("schema", schema.json(isRequest: true)),
        ]
        if let description { members.append(.init("description", .string(description))) }
        return .object(members)
    }

    private static func answers(_ route: APIRoute) -> [JSONValue.Member] {
        [answer(route, status: route.status, "Done")]
            + route.also.sorted { $0.key < $1.key }.map { answer(route, status: $0.key, $0.value) }
    }

    private static func answer(_ route: APIRoute, status: Int, _ description: String) -> JSONValue.Member {
        var members: [JSONValue.Member] = [.init("description", .string(description))]
        switch status == 304 ? .none : route.answer {
        case .none: break
        case .json(let schema):
            let stream: [JSONValue.Member] = route.mayStream ? [.init("application/x-ndjson", ["schema": streamLine])] : []
            members.append(.init("content", .object((json(schema).members ?? []) + stream)))
        case .text: members.append(.init("content", ["text/plain": ["schema": APISchema.string.json(isRequest: false)]]))
        }
        return .init(String(status), .object(members))
    }

    /// Of one line: OpenAPI 3.1 has no way to describe a sequence.
    private static let streamLine: JSONValue = [
        "description": "Lines of JSON, for `Accept: application/x-ndjson`: StreamHead, then a row each, then StreamEnd",
        "anyOf": [reference("StreamHead"), [:], reference("StreamEnd")],
    ]

    private static let tokenScheme: JSONValue = [
        "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
        "description": "Of POST /api/v1/auth/login, or of an identity provider",
    ]

    private static let errorAnswer: JSONValue = ["description": "Refused or failed", "content": json(.reference("Error"))]

    /// What a header can hold and a key is compared by.
    private static let idempotencyKey = APISchema.text(RequestLimits.idempotencyKeyLength, pattern: "^[!-~]+$")

    private static func reference(_ name: String) -> JSONValue { APISchema.reference(name).json(isRequest: false) }

    private static func json(_ schema: APISchema, isRequest: Bool = false) -> JSONValue {
        ["application/json": ["schema": schema.json(isRequest: isRequest)]]
    }

    /// "get_api_v1_shards_id"
    private static func operationID(_ route: APIRoute) -> String {
        let words = route.path.split { !$0.isLetter && !$0.isNumber }
        return ([route.method.rawValue.lowercased()] + words.map(String.init)).joined(separator: "_")
    }

    /// The names of schemas that the routes use, directly or through others.
    private static func referenced(by routes: [APIRoute]) -> Set<String> {
        var found = referencedByRequests(of: routes)
        collect(.reference("Error"), into: &found)
        for route in routes {
            if case .json(let schema) = route.answer { collect(schema, into: &found) }
            if route.path == "/v1/execute" { collect(.reference("RouteExplanation"), into: &found) }
            if route.mayStream { ["StreamHead", "StreamEnd"].forEach { collect(.reference($0), into: &found) } }
        }
        return found
    }

    private static func referencedByRequests(of routes: [APIRoute]) -> Set<String> {
        var found: Set<String> = []
        for case let request? in routes.map(\.request) { collect(request, into: &found) }
        return found
    }

    private static func collect(_ schema: APISchema, into found: inout Set<String>) {
        switch schema {
        case .reference(let name):
            if found.insert(name).inserted { APISchemas.named(name)?.forEach { collect($0.schema, into: &found) } }
        case .array(let inner), .nullable(let inner), .list(let inner, _, _): collect(inner, into: &found)
        case .object(let fields): fields.forEach { collect($0.schema, into: &found) }
        default: break
        }
    }
}

extension Sequence where Element: Hashable {
    /// Without repeats, in order.
    fileprivate func uniqued() -> [Element] {
        var seen: Set<Element> = []
        return filter { seen.insert($0).inserted }
    }
}
