import ControlAPI
import Logging
import RESTServer
import RESTTestKit
import Synchronization
import Telemetry

/// A small API that has every kind of route.
final class Things: Sendable {
    struct Secret: Error { let password = "hunter2" }

    let calls = Mutex(0)
    let metrics = SharedMetrics()
    /// What `POST /things` waits for, so that a test can hold the first of two requests.
    let gate: @Sendable () async -> Void

    init(gate: @escaping @Sendable () async -> Void = {}) { self.gate = gate }

    static let routes: [APIRoute] = [
        APIRoute(.get, "/things", tag: "t", "list", query: [.init("limit", .integer, "l"), .init("q", .string, "q")], answer: .json(.any)),
        APIRoute(.get, "/needed", tag: "t", "needs a parameter", query: [.init("key", .string, "k", isRequired: true)], answer: .json(.any)),
        APIRoute(.post, "/things", tag: "t", "make", request: .any, status: 201, answer: .json(.any)),
        APIRoute(.post, "/failing", tag: "t", "fail", request: .any, answer: .json(.any)),
        APIRoute(.get, "/things/{id}/parts/{part}", tag: "t", "one", answer: .json(.any)),
        APIRoute(.delete, "/things/{id}", tag: "t", "remove", status: 204, answer: .none),
        APIRoute(.get, "/unchanged", tag: "t", "304", answer: .json(.any)),
        APIRoute(.get, "/openapi.json", tag: "t", "this", answer: .json(.any)),
    ]
    static let later = [APIRoute(.post, "/later/{id}", tag: "t", "later", status: 501, answer: .none), APIRoute(.post, "/things/{id}", tag: "t", "l", answer: .none)]

    var responder: RESTResponder { responder() }

    func responder(access: RESTAccess = RESTAccess()) -> RESTResponder {
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        return RESTResponder(
            title: "Things", routes: Self.routes, later: Self.later, handlers: handlers, bodyMax: 1000, metrics: metrics,
            idempotency: IdempotencyCache(), access: access, logger: logger)
    }

    private var handlers: [String: RESTHandler] {
        [
            "GET /things": { request in .json(.object(request.query.sorted { $0.key < $1.key }.map { .init($0.key, .string($0.value)) })) },
            "GET /needed": { request in .json([.string(request.query["key"] ?? "")]) },
            "POST /things": { [self] request in
                let number = calls.withLock { calls in
                    calls += 1
                    return calls
                }
                await gate()
                return .json(["call": .integer(Int64(number)), "bytes": .integer(Int64(request.body.count))], status: 201)
            },
            "POST /failing": { [self] _ in
                calls.withLock { $0 += 1 }
                throw Secret()
            },
            "GET /things/{id}/parts/{part}": { request in .json([.string(request.parameter("id")), .string(request.parameter("part"))]) },
            "DELETE /things/{id}": { _ in .noContent },
            "GET /unchanged": { _ in RESTAnswer(status: 304) },
        ]
    }

    func serve(_ body: @Sendable (RESTTestServer) async throws -> Void) async throws {
        try await RESTTestServer.with(responder, body)
    }
}
