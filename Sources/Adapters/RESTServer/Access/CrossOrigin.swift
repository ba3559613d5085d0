internal import HTTPTypes
internal import Hummingbird

/// Which web pages of others may call the API from a browser: those of the origins that the settings name, and none by default (the Fetch standard, "CORS protocol").
struct CrossOrigin: Sendable {
    private let origins: Set<String>

    init(_ origins: [String]) { self.origins = Set(origins) }

    /// The origin of the request, where it may call.
    private func allowed(_ request: Request) -> String? {
        guard !origins.isEmpty, let name = HTTPField.Name("Origin"), let origin = request.headers[name], origins.contains(origin) else { return nil }
        return origin
    }

    /// The answer to a browser that asks before it sends; nil: it does not ask, or not for a page that may.
    func preflight(_ request: Request, methods: [String]?) -> RESTAnswer? {
        guard request.method == .options, let methods, let origin = allowed(request), let asked = HTTPField.Name("Access-Control-Request-Method"),
            request.headers[asked] != nil
        else { return nil }
        var answer = RESTAnswer.noContent
        answer.headers = [
            Self.field("Access-Control-Allow-Origin", origin), Self.field("Access-Control-Allow-Methods", methods.joined(separator: ", ")),
            Self.field("Access-Control-Allow-Headers", "Authorization, Content-Type, Idempotency-Key, If-None-Match, X-Request-Id, traceparent, tracestate"),
            Self.field("Access-Control-Max-Age", "600"), Self.field("Vary", "Origin"),
        ].compactMap(\.self)
        return answer
    }

    func mark(_ response: inout Response, to request: Request) {
        guard !origins.isEmpty else { return }
        if let name = HTTPField.Name("Vary") { response.headers[name] = "Origin" }
        guard let origin = allowed(request) else { return }
        for field in [
            Self.field("Access-Control-Allow-Origin", origin), Self.field("Access-Control-Expose-Headers", "ETag, Retry-After, X-Request-Id, traceparent"),
        ] {
            if let field { response.headers[field.name] = field.value }
        }
    }

    private static func field(_ name: String, _ value: String) -> HTTPField? { HTTPField.Name(name).map { HTTPField(name: $0, value: value) } }
}
