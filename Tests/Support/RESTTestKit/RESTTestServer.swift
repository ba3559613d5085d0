package import ControlAPI
internal import Hummingbird
internal import Logging
internal import NIOCore
internal import NIOPosix
package import RESTServer
internal import ServiceLifecycle

/// A server for the time of a test, on a free port of loopback.
package struct RESTTestServer: Sendable {
    package let port: Int

    package static func with<Value: Sendable>(
        _ responder: RESTResponder, limits: RESTLimits = RESTLimits(connectionsMax: 1000, idleTimeout: .seconds(60)),
        certificates: RESTCertificates = RESTCertificates(), _ body: @Sendable (RESTTestServer) async throws -> Value
    ) async throws -> Value {
        let (application, ports) = application(responder, limits, certificates)
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await application.run() }
            defer { group.cancelAll() }
            guard let port = await ports.first(where: { _ in true }), port > 0 else { throw RawHTTPError(description: "the server does not listen") }
            return try await body(RESTTestServer(port: port))
        }
    }

    /// As `with`, but the server ends as on SIGTERM: `end` lets it begin to, and returns; this returns when it has ended.
    package static func ending(
        _ responder: RESTResponder, certificates: RESTCertificates = RESTCertificates(),
        _ body: @Sendable (_ server: RESTTestServer, _ end: @Sendable () async -> Void) async throws -> Void
    ) async throws {
        let (application, ports) = application(responder, RESTLimits(connectionsMax: 1000, idleTimeout: .seconds(60)), certificates)
        let services = ServiceGroup(services: [application], logger: quiet)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await services.run() }
            defer { group.cancelAll() }
            guard let port = await ports.first(where: { _ in true }), port > 0 else { throw RawHTTPError(description: "the server does not listen") }
            try await body(RESTTestServer(port: port)) { await services.triggerGracefulShutdown() }
            await services.triggerGracefulShutdown()
            try await group.waitForAll()
        }
    }

    private static let quiet: Logger = {
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        return logger
    }()

    private static func application(
        _ responder: RESTResponder, _ limits: RESTLimits, _ certificates: RESTCertificates
    ) -> (RESTApplication, ports: AsyncStream<Int>) {
        let (ports, continuation) = AsyncStream.makeStream(of: Int.self)
        let application = RESTApplication(
            responder, host: "127.0.0.1", port: 0, limits: limits, certificates: certificates, group: MultiThreadedEventLoopGroup.singleton, logger: quiet
        ) { port in
            continuation.yield(port)
            continuation.finish()
        }
        return (application, ports)
    }

    package func get(_ path: String, headers: [(String, String)] = []) async throws -> HTTPAnswer {
        try await RawHTTP.send("GET", path, port: port, headers: headers)
    }
    package func delete(_ path: String, headers: [(String, String)] = []) async throws -> HTTPAnswer {
        try await RawHTTP.send("DELETE", path, port: port, headers: headers)
    }
    package func post(_ path: String, _ body: JSONValue, headers: [(String, String)] = []) async throws -> HTTPAnswer {
        try await write("POST", path, body, headers: headers)
    }
    package func put(_ path: String, _ body: JSONValue, headers: [(String, String)] = []) async throws -> HTTPAnswer {
        try await write("PUT", path, body, headers: headers)
    }
    private func write(_ method: String, _ path: String, _ body: JSONValue, headers: [(String, String)]) async throws -> HTTPAnswer {
        try await RawHTTP.send(method, path, port: port, headers: headers + [("Content-Type", "application/json")], body: body.encoded())
    }
}
