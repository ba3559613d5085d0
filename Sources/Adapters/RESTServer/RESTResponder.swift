package import Audit
package import ControlAPI
internal import Foundation
internal import HTTPTypes
package import Hummingbird
package import Logging
internal import NIOCore
package import Telemetry

/// What handles one route. Throws `APIError` to answer with it; any other error is a defect and answers 500.
package typealias RESTHandler = @Sendable (RESTRequest) async throws -> RESTAnswer

/// Decides where a write is carried out: here, by the last argument, which may be called again where it did nothing; or by another server.
/// `uri` is the request's, as it came.
package typealias RESTWritePlacement =
    @Sendable (_ request: RESTRequest, _ uri: String, _ here: @Sendable (RESTRequest) async throws -> RESTAnswer) async throws -> RESTAnswer

/// Serves a route catalogue: everything that is the same for every route of both servers.
///
/// Finds the route (404, 405 with `Allow`), checks the media type (415), the length (413) and the query parameters (400), gives each request an id and a place in
/// a trace, answers every failure in the one error shape, repeats answers for `Idempotency-Key`, and counts.
package struct RESTResponder: HTTPResponder {
    package typealias Context = BasicRequestContext

    /// What serves a route.
    private struct Handlers: Sendable {
        let whole: RESTHandler
        /// nil: the route has no stream, whatever the caller accepts.
        let stream: RESTStreamHandler?
    }

    private let table: RouteTable<Handlers>
    /// Only to be told from paths that nobody means to serve.
    private let later: RouteTable<Void>
    private let bodyMax: Int
    private let metrics: SharedMetrics
    private let idempotency: IdempotencyCache?
    /// nil: whoever reaches the port may do everything.
    private let authenticator: RESTAuthenticator?
    /// nil: writes are carried out here.
    private let placement: RESTWritePlacement?
    private let audit: RESTAudit?
    /// nil: nobody is believed who says where a request comes from.
    private let callers: VouchedCallers?
    private let origins: CrossOrigin
    private let addressLimit: RequestLimit?
    private let userLimit: RequestLimit?
    private let logger: Logger

    /// Precondition: one handler for each of `routes`, by `APIRoute.id`, and none besides, and one in `streams` for each that may stream.
    /// `/openapi.json` is answered here.
    /// `later` are operations of the contract that answer 501.
    package init(
        title: String, routes: [APIRoute], later: [APIRoute] = [], handlers: [String: RESTHandler], streams: [String: RESTStreamHandler] = [:], bodyMax: Int,
        metrics: SharedMetrics, idempotency: IdempotencyCache? = nil, authenticator: RESTAuthenticator? = nil, placement: RESTWritePlacement? = nil,
        audit: AuditTrail? = nil, callers: VouchedCallers? = nil, access: RESTAccess = RESTAccess(), logger: Logger
    ) {
        var (routes, handlers) = (routes, handlers)
        if !access.servesOperations {
            routes.removeAll { OperationsRoutes.ids.contains($0.id) }
            handlers = handlers.filter { !OperationsRoutes.ids.contains($0.key) }
        }
        let document = OpenAPIDocument.make(title: title, version: BuildVersion.current, routes: routes, asksForTokens: authenticator != nil).encoded()
        handlers["GET /openapi.json"] = { _ in RESTAnswer(contentType: RESTAnswer.json, body: document) }
        let missing = Set(routes.map(\.id)).symmetricDifference(handlers.keys)
        precondition(missing.isEmpty, "routes and handlers differ: \(missing.sorted())")
        precondition(Set(routes.filter(\.mayStream).map(\.id)) == Set(streams.keys), "routes that stream and their handlers differ")
        table = RouteTable(routes.map { .init(route: $0, handler: Handlers(whole: handlers[$0.id]!, stream: streams[$0.id])) })
        self.later = RouteTable(later.map { .init(route: $0, handler: ()) })
        self.bodyMax = bodyMax
        self.metrics = metrics
        self.idempotency = idempotency
        self.authenticator = authenticator
        self.placement = placement
        self.audit = audit.map { RESTAudit($0) }
        self.callers = callers
        origins = CrossOrigin(access.origins)
        addressLimit = RequestLimit(perSecond: access.requestsPerAddressMax)
        userLimit = RequestLimit(perSecond: access.requestsPerUserMax)
        self.logger = logger
    }

    package func respond(to request: Request, context: Context) async throws -> Response {
        let start = ContinuousClock.now
        let names = Names(request)
        var logger = logger
        logger[metadataKey: "request_id"] = .string(names.id)
        logger[metadataKey: "trace_id"] = .string(names.trace.traceID)
        let match = table.match(request.uri.path)
        // HEAD is GET without the body (RFC 9110, section 9.3.2).
        let isHead = request.method == .head
        let entry = match?.entries[isHead ? APIRoute.Method.get.rawValue : request.method.rawValue]
        let path = match?.entries.values.first?.route.path ?? "none"
        let method = entry?.route.method.rawValue ?? "other"
        let record = { @Sendable [metrics, logger] (status: Int) in
            metrics.count(MetricCatalogue.httpRequests, [method, path, String(status)])
            metrics.record(MetricCatalogue.httpSeconds, [path], .now - start)
            logger.debug("request", metadata: ["method": "\(method)", "path": "\(path)", "status": "\(status)"])
        }
        if let answer = origins.preflight(request, methods: match?.entries.keys.sorted()) {
            record(answer.status)
            return Self.response(answer, names)
        }
        let answer: RESTAnswer
        let caller = callers?.caller(of: request, id: names.id)
        let address = caller?.address ?? CallerWatch.current?.address ?? .unknown
        var call = RESTAudit.Call(route: entry?.route, path: request.uri.path, requestID: names.id, traceID: names.trace.traceID, address: address.full)
        do {
            if CallerWatch.current?.isOneTooMany == true {
                throw APIError(.tooManyRequests, "as many streams as http.connections_max allows are being answered", retryAfter: 1)
            }
            guard let match, let entry else { throw notServed(request, match?.entries.keys.sorted()) }
            // Before the body is read, and before anything of the request is said to be wrong.
            try addressLimit?.takeForCall(entry.route, from: address)
            let principal = try await principal(of: request, entry.route)
            call.user = principal?.name
            try permit(principal, entry.route)
            if let principal { try userLimit?.take(principal.name) }
            try audit?.admit(entry.route)
            let input = try await input(of: request, entry.route, parameters: match.parameters, principal, names, address, logger: logger)
            try caller?.check(input)
            if audit != nil { call.read(input.body) }
            switch try await reply(to: input, entry.handler, uri: request.uri.string) {
            case .whole(let whole): answer = whole
            case .stream(let stream):
                var response = Self.response(stream, to: input, record)
                origins.mark(&response, to: request)
                return response
            }
        } catch {
            answer = Self.errorAnswer(error, id: names.id, logger: logger)
        }
        if let audit { await audit.answered(call, answer) }
        record(answer.status)
        var response = Self.response(answer, names)
        origins.mark(&response, to: request)
        return isHead ? response.createHeadResponse() : response
    }

    /// 404, 405 or 501. `methods` are those of the path; nil: no such path.
    private func notServed(_ request: Request, _ methods: [String]?) -> APIError {
        if let planned = later.match(request.uri.path), planned.entries[request.method.rawValue] != nil {
            return APIError(.notImplemented, "this version does not have this operation yet")
        }
        guard var methods = methods ?? later.match(request.uri.path)?.entries.keys.sorted() else {
            return APIError(.notFound, "no such path; /openapi.json lists them")
        }
        if methods.contains("GET") { methods.insert("HEAD", at: (methods.firstIndex(of: "GET") ?? 0) + 1) }
        return APIError(.methodNotAllowed, "this path has no \(Self.shown(request.method))", allow: methods)
    }

    /// Who makes the request; nil where nobody is asked. Throws an `APIError` of 401.
    private func principal(of request: Request, _ route: APIRoute) async throws -> RESTPrincipal? {
        guard let authenticator, RoutePermissions.permission(for: route) != .everyone else { return nil }
        return try await authenticator.principal(ofToken: try RESTAuthenticator.token(in: request.headers))
    }

    /// Throws an `APIError` of 403 where the table of permissions does not open the operation.
    private func permit(_ principal: RESTPrincipal?, _ route: APIRoute) throws(APIError) {
        let permission = RoutePermissions.permission(for: route)
        guard authenticator != nil, permission != .everyone else { return }
        guard let principal, principal.may(permission) else {
            throw APIError(.forbidden, "the user may not do this; it needs: \(permission?.description ?? "nobody")")
        }
    }

    private func input(
        of request: Request, _ route: APIRoute, parameters: [String: String], _ principal: RESTPrincipal?, _ names: Names, _ address: CallerAddress, logger: Logger
    ) async throws -> RESTRequest {
        let query = try Self.query(request, of: route)
        let body = try await body(of: request, for: route)
        return RESTRequest(
            route: route, parameters: parameters, query: query, headers: request.headers, body: body, id: names.id, trace: names.trace, logger: logger,
            principal: principal, address: address, caller: CallerWatch.current)
    }

    private func reply(to input: RESTRequest, _ handlers: Handlers, uri: String) async throws -> RESTReply {
        // Also where nobody looks at it.
        if let key = input.idempotencyKey { try IdempotencyCache.check(key) }
        if let stream = handlers.stream, MediaRange.prefersStream(input.headers) {
            guard input.idempotencyKey == nil else {
                throw APIError(.invalidRequest, "a stream is not kept, so it takes no Idempotency-Key: leave it out, or accept application/json")
            }
            return try await stream(input)
        }
        guard input.route.isWrite, let placement else { return .whole(try await answer(to: input, handlers, uri)) }
        return .whole(try await placement(input, uri) { try await answer(to: $0, handlers, uri) })
    }

    private func answer(to input: RESTRequest, _ handlers: Handlers, _ uri: String) async throws -> RESTAnswer {
        guard let idempotency, input.route.isWrite, let key = input.idempotencyKey else { return try await handlers.whole(input) }
        let method = input.route.method.rawValue
        return try await idempotency.answer(key: key, of: input.principal?.name, method: method, path: uri, body: input.body) {
            do {
                return try await handlers.whole(input)
            } catch {
                return Self.errorAnswer(error, id: input.id, logger: input.logger)
            }
        }
    }

    /// The body of a route that has one; a route that has none ignores what was sent, up to the limit.
    private func body(of request: Request, for route: APIRoute) async throws -> [UInt8] {
        if let length = request.headers[.contentLength].flatMap({ Int($0) }), length > bodyMax { throw tooLarge }
        var body: [UInt8] = []
        for try await chunk in request.body {
            guard body.count + chunk.readableBytes <= bodyMax else { throw tooLarge }
            body.append(contentsOf: chunk.readableBytesView)
        }
        guard route.request != nil else { return [] }
        let type = request.headers[.contentType]?.split(separator: ";").first?.trimmingCharacters(in: .whitespaces).lowercased()
        guard type == "application/json" else {
            throw APIError(.unsupportedMediaType, "the body must be sent with Content-Type: application/json")
        }
        return body
    }

    private var tooLarge: APIError { APIError(.bodyTooLarge, "the body is longer than \(bodyMax) bytes") }

    private static func query(_ request: Request, of route: APIRoute) throws(APIError) -> [String: String] {
        var query: [String: String] = [:]
        let known = route.query.map(\.name)
        for item in (request.uri.query ?? "").split(separator: "&") {
            let pair = item.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                .map { $0.replacing("+", with: " ").removingPercentEncoding }
            guard let name = pair[0], let value = pair.count > 1 ? pair[1] : "" else {
                throw APIError(.invalidRequest, "the query string is not well encoded")
            }
            guard known.contains(name) else {
                let has = known.isEmpty ? "none" : known.joined(separator: ", ")
                throw APIError(.unknownField, "unknown query parameter; this path has: \(has)")
            }
            guard query.updateValue(value, forKey: name) == nil else {
                throw APIError(.invalidRequest, "query parameter \(name) is given twice")
            }
        }
        if let missing = route.query.first(where: { $0.isRequired && query[$0.name] == nil }) {
            throw APIError(.invalidRequest, "query parameter \(missing.name) is missing")
        }
        return query
    }

    private static func errorAnswer(_ error: any Error, id: String, logger: Logger) -> RESTAnswer {
        .error(apiError(error, logger: logger), requestID: id)
    }

    /// What a caller is told of an error.
    static func apiError(_ error: any Error, logger: Logger) -> APIError {
        if let error = error as? APIError { return error }
        if error is CancellationError { return APIError(.notReady, "the server is shutting down") }
        logger.error("request failed", error: error)
        return APIError(.internalError, "an internal error; the log has it under the request id")
    }

    /// A method's name may be anything a client made up.
    private static func shown(_ method: HTTPRequest.Method) -> String { String(method.rawValue.prefix(16)) }

    /// For browsers that come across an answer: it is data, for nobody's page, and not to be kept.
    private static let securityHeaders: [HTTPField] = [
        ("X-Content-Type-Options", "nosniff"), ("Cache-Control", "no-store"), ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
        ("X-Frame-Options", "DENY"), ("Referrer-Policy", "no-referrer"),
    ].compactMap { name, value in HTTPField.Name(name).map { HTTPField(name: $0, value: value) } }

    static func headers(contentType: String?, _ names: Names) -> HTTPFields {
        var headers = HTTPFields()
        if let contentType { headers[.contentType] = contentType }
        names.mark(&headers)
        for field in Self.securityHeaders { headers.append(field) }
        return headers
    }

    private static func response(_ answer: RESTAnswer, _ names: Names) -> Response {
        var headers = headers(contentType: answer.contentType, names)
        for field in answer.headers { headers[field.name] = field.value }
        guard answer.status != 204, answer.status != 304 else {
            // Neither has a body, so neither says how long it is (RFC 9110, sections 15.3.5 and 15.4.5; 8.6 for the length).
            var response = Response(status: .init(code: answer.status), headers: headers)
            response.headers[.contentLength] = nil
            return response
        }
        return Response(status: .init(code: answer.status), headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(bytes: answer.body)))
    }
}
