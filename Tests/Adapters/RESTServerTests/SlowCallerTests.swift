import RESTServer
import RESTTestKit
import Synchronization
import Testing

/// Callers that keep the server waiting.
@Suite struct SlowCallerTests {
    private static let half = [
        "GET /things HTTP/1.1\r\nHost: a\r\nX-Half: ",
        "POST /things HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"half\":",
        "POST /things HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"ha",
        "",
    ]

    /// What the server says before it closes the connection; nil: nothing.
    private func ending(_ request: String, _ server: RESTTestServer) async -> HTTPAnswer? {
        do {
            return try await RawHTTP.exchange(Array(request.utf8), port: server.port)
        } catch {
            #expect("\(error)".contains("no answer, 0 bytes"), "\(error)")
            return nil
        }
    }

    @Test func whoStopsInTheMiddleOfARequestIsCutOffAndNobodyElse() async throws {
        let things = Things()
        try await RESTTestServer.with(things.responder, limits: RESTLimits(connectionsMax: 100, idleTimeout: .seconds(8))) { server in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for request in Self.half {
                    for _ in 0..<5 {
                        group.addTask {
                            let answer = await ending(request, server)
                            #expect(answer == nil || answer!.status >= 400, "\(request)")
                        }
                    }
                }
                for _ in 0..<20 { #expect(try await server.get("/things").status == 200) }
                try await group.waitForAll()
            }
        }
        #expect(things.calls.withLock(\.self) == 0)
    }

    @Test func connectionsBeyondTheLimitWaitForAPlace() async throws {
        try await RESTTestServer.with(Things().responder, limits: RESTLimits(connectionsMax: 4, idleTimeout: .seconds(8))) { server in
            async let silent: Void = withTaskGroup(of: Void.self) { group in
                for _ in 0..<4 { group.addTask { _ = await ending("", server) } }
            }
            try await Task.sleep(for: .milliseconds(200))
            for _ in 0..<8 { #expect(try await server.get("/things").status == 200) }
            await silent
        }
    }
}
