import ControlAPI
import RESTServer
import RESTTestKit
import Testing

/// What browsers may do, and how much anybody may ask for.
@Suite struct AccessTests {
    @Test func everyAnswerTellsBrowsersWhatItIsNotFor() async throws {
        try await RESTTestServer.with(Things().responder) { server in
            for answer in [
                try await server.get("/things"), try await server.get("/none"), try await server.post("/failing", [:]), try await server.delete("/things/1"),
                try await server.get("/openapi.json"),
            ] {
                #expect(answer.headers["x-content-type-options"] == "nosniff" && answer.headers["cache-control"] == "no-store" && answer.headers["x-frame-options"] == "DENY")
                #expect(answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'" && answer.headers["referrer-policy"] == "no-referrer")
                #expect(answer.headers["x-request-id"]?.isEmpty == false)
            }
        }
    }

    private let asks = [("Origin", "https://a.example"), ("Access-Control-Request-Method", "POST")]

    @Test func noPageOfOthersMayCallByDefault() async throws {
        try await RESTTestServer.with(Things().responder) { server in
            let preflight = try await RawHTTP.send("OPTIONS", "/things", port: server.port, headers: asks)
            #expect(preflight.status == 405 && !preflight.headers.keys.contains { $0.hasPrefix("access-control") })
            let answer = try await server.get("/things", headers: [("Origin", "https://a.example")])
            #expect(answer.status == 200 && !answer.headers.keys.contains { $0.hasPrefix("access-control") })
        }
    }

    @Test func aPageOfANamedOriginMayAndNoOther() async throws {
        var access = RESTAccess()
        access.origins = ["https://a.example", "http://localhost:3000"]
        try await RESTTestServer.with(Things().responder(access: access)) { server in
            let preflight = try await RawHTTP.send("OPTIONS", "/things", port: server.port, headers: asks)
            #expect(preflight.status == 204 && preflight.headers["access-control-allow-origin"] == "https://a.example")
            #expect(preflight.headers["access-control-allow-methods"] == "GET, POST" && preflight.headers["access-control-allow-credentials"] == nil)
            let answer = try await server.get("/things", headers: [("Origin", "http://localhost:3000")])
            #expect(answer.headers["access-control-allow-origin"] == "http://localhost:3000" && answer.headers["vary"] == "Origin")
            for other in ["https://a.example.evil", "http://a.example", "null", "https://a.example:444", ""] {
                let headers = [("Origin", other), ("Access-Control-Request-Method", "POST")]
                #expect(try await RawHTTP.send("OPTIONS", "/things", port: server.port, headers: headers).status == 405)
                let answer = try await server.get("/things", headers: headers)
                #expect(answer.headers["access-control-allow-origin"] == nil && answer.headers["vary"] == "Origin", "\(other)")
            }
        }
    }

    @Test func whoAsksTooOftenHears429() async throws {
        var access = RESTAccess()
        access.requestsPerAddressMax = 1
        try await RESTTestServer.with(Things().responder(access: access)) { server in
            // At once: one after the other, a busy machine would be slower than the limit.
            let refused = try await withThrowingTaskGroup(of: HTTPAnswer.self) { group in
                for _ in 0..<50 { group.addTask { try await server.get("/things") } }
                return try await group.first { $0.status != 200 }
            }
            #expect(refused?.status == 429 && refused?.error?.code == .tooManyRequests && refused?.headers["retry-after"] == "1", "\(String(describing: refused))")
        }
    }
}
