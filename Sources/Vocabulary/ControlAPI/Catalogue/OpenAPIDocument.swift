/// The OpenAPI 3.1 document of a server, made from its routes: what is served is what is described.
package enum OpenAPIDocument {
    package static func make(title: String, version: String, routes: [APIRoute]) -> JSONValue {
        var paths: [JSONValue.Member] = []
        for path in routes.map(\.path).uniqued() {
            let operations = routes.filter { $0.path == path }.map { route in
                JSONValue.Member(route.method.rawValue.lowercased(), operation(route))
            }
            paths.append(.init(path, .object(operations)))
        }
        let used = referenced(by: routes)
        let schemas = APISchemas.all.filter { used.contains($0.name) }.map {
            JSONValue.Member($0.name, APISchema.object($0.fields).json)
        }
        return [
            "openapi": "3.1.0",
            "info": ["title": .string(title), "version": .string(version)],
            "paths": .object(paths),
            "components": ["schemas": .object(schemas), "securitySchemes": ["token": tokenScheme]],
        ]
    }

    private static func operation(_ route: APIRoute) -> JSONValue {
        var members: [JSONValue.Member] = [
            .init("operationId", .string(operationID(route))), .init("summary", .string(route.summary)),
            .init("tags", [.string(route.tag)]),
        ]
        let parameters = route.pathParameters.map { parameter($0, in: "path", APISchema.string, isRequired: true) }
            + route.query.map { parameter($0.name, in: "query", $0.schema, isRequired: $0.isRequired, description: $0.description) }
            + (route.isWrite
                ? [parameter("Idempotency-Key", in: "header", .string, isRequired: false, description: "A repeated request gets the first one's answer")]
                : [])
        if !parameters.isEmpty { members.append(.init("parameters", .array(parameters))) }
        if let request = route.request {
            members.append(.init("requestBody", ["required": true, "content": json(request)]))
        }
        members.append(.init("responses", .object([answer(route), .init("default", errorAnswer)])))
        if RoutePermissions.permission(for: route) != .everyone { members.append(.init("security", [["token": []]])) }
        return .object(members)
    }

    private static func parameter(
        _ name: String, in place: String, _ schema: APISchema, isRequired: Bool, description: String? = nil
    ) -> JSONValue {
        var members: [JSONValue.Member] = [
            .init("name", .string(name)), .init("in", .string(place)), .init("required", .bool(isRequired)), .init("schema", schema.json),
        ]
        if let description { members.append(.init("description", .string(description))) }
        return .object(members)
    }

    private static func answer(_ route: APIRoute) -> JSONValue.Member {
        var members: [JSONValue.Member] = [.init("description", "Done")]
        switch route.answer {
        case .none: break
        case .json(let schema):
            let stream: [JSONValue.Member] = route.mayStream ? [.init("application/x-ndjson", ["schema": streamLine])] : []
            members.append(.init("content", .object((json(schema).members ?? []) + stream)))
        case .text: members.append(.init("content", ["text/plain": ["schema": APISchema.string.json]]))
        }
        return .init(String(route.status), .object(members))
    }

    /// Of one line: OpenAPI 3.1 has no way to describe a sequence.
    private static let streamLine: JSONValue = [
        "description": "Lines of JSON, for `Accept: application/x-ndjson`: StreamHead, then a row each, then StreamEnd",
        "anyOf": [APISchema.reference("StreamHead").json, APISchema.any.json, APISchema.reference("StreamEnd").json],
    ]

    private static let tokenScheme: JSONValue = [
        "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
        "description": "Of POST /api/v1/auth/login, or of an identity provider; not asked for where http.auth is none",
    ]

    private static let errorAnswer: JSONValue = ["description": "Refused or failed", "content": json(.reference("Error"))]

    private static func json(_ schema: APISchema) -> JSONValue { ["application/json": ["schema": schema.json]] }

    /// "get_api_v1_shards_id"
    private static func operationID(_ route: APIRoute) -> String {
        let words = route.path.split { !$0.isLetter && !$0.isNumber }
        return ([route.method.rawValue.lowercased()] + words.map(String.init)).joined(separator: "_")
    }

    /// The names of schemas that the routes use, directly or through others.
    private static func referenced(by routes: [APIRoute]) -> Set<String> {
        var found: Set<String> = []
        func visit(_ schema: APISchema) {
            switch schema {
            case .reference(let name):
                if found.insert(name).inserted { APISchemas.named(name)?.forEach { visit($0.schema) } }
            case .array(let inner), .nullable(let inner): visit(inner)
            case .object(let fields): fields.forEach { visit($0.schema) }
            default: break
            }
        }
        visit(.reference("Error"))
        for route in routes {
            if let request = route.request { visit(request) }
            if case .json(let schema) = route.answer { visit(schema) }
            if route.path == "/v1/execute" { visit(.reference("RouteExplanation")) }
            if route.mayStream { ["StreamHead", "StreamEnd"].forEach { visit(.reference($0)) } }
        }
        return found
    }
}

extension Sequence where Element: Hashable {
    /// Without repeats, in order.
    fileprivate func uniqued() -> [Element] {
        var seen: Set<Element> = []
        return filter { seen.insert($0).inserted }
    }
}
