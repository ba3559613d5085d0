package import ControlAPI
package import HTTPTypes
package import Logging

/// A request whose route, parameters and body were checked already.
package struct RESTRequest: Sendable {
    package let route: APIRoute
    /// The parts of the path that the template names, percent-decoded.
    package let parameters: [String: String]
    /// Only names that the route has.
    package let query: [String: String]
    package internal(set) var headers: HTTPFields
    /// Empty for routes without one; at most the server's limit.
    package let body: [UInt8]
    /// In the answer's `X-Request-Id`, in an error's body and in the log.
    package let id: String
    /// The caller's, or a new one, with this server's step in it: in the answer's `traceparent`, in the log and in the audit trail.
    package let trace: TraceContext
    package let logger: Logger
    /// Who makes it; nil where the operation is everyone's, or the server asks nobody.
    package let principal: RESTPrincipal?
    /// Where it comes from: the first caller of a request that another server has passed on, where that one may say so.
    package let address: CallerAddress
    /// nil where nobody watches the connection.
    let caller: CallerWatch?

    /// Runs `operation`, and cancels its task when the caller goes. For work that may be left at any point: changes of the catalog may not.
    package func whileCallerWaits<Value: Sendable>(_ operation: @escaping @Sendable () async throws -> Value) async throws -> Value {
        guard let caller else { return try await operation() }
        return try await caller.whileCallerWaits(operation)
    }

    /// The body as `type`; throws an `APIError` of 400.
    package func decode<Body: APIRequest>(_ type: Body.Type) throws(APIError) -> Body {
        try APICoding.decode(type, from: body)
    }

    /// A parameter of the path. Precondition: the template names it.
    package func parameter(_ name: String) -> String {
        guard let value = parameters[name] else { preconditionFailure("the path has no {\(name)}") }
        return value
    }

    /// A query parameter as an unsigned number; throws an `APIError` of 400 when it is not one.
    package func number(_ name: String) throws(APIError) -> UInt64? {
        guard let text = query[name] else { return nil }
        guard let number = UInt64(text) else { throw APIError(.invalidRequest, "query parameter \(name) must be a whole number") }
        return number
    }

    package func page() throws(APIError) -> PageRequest {
        try PageRequest(limit: query["limit"], cursor: query["cursor"])
    }
}
