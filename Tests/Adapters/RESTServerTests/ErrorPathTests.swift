import ControlAPI
import RESTTestKit
import Telemetry
import Testing

@Suite struct ErrorPathTests {
    @Test func everyErrorHasTheOneShapeWithTheRequestsID() async throws {
        try await Things().serve { server in
            let long = Array(repeating: UInt8(ascii: " "), count: 1001)
            let json = [("Content-Type", "application/json")]
            let answers: [(String, APIErrorCode, HTTPAnswer)] = [
                ("an unknown path", .notFound, try await server.get("/nothing")),
                ("the root", .notFound, try await server.get("/")),
                ("a slash too many", .notFound, try await server.get("/things/")),
                ("an empty parameter", .notFound, try await server.get("/things//parts/x")),
                ("a bad escape in a path", .notFound, try await server.get("/things/%zz/parts/x")),
                ("another method", .methodNotAllowed, try await RawHTTP.send("PUT", "/things", port: server.port)),
                ("a made-up method", .methodNotAllowed, try await RawHTTP.send("PROPFIND", "/things", port: server.port)),
                ("no media type", .unsupportedMediaType, try await RawHTTP.send("POST", "/things", port: server.port, body: [0x7B, 0x7D])),
                ("a form", .unsupportedMediaType,
                 try await RawHTTP.send("POST", "/things", port: server.port, headers: [("Content-Type", "application/x-www-form-urlencoded")], body: [0x61])),
                ("a long body", .bodyTooLarge, try await RawHTTP.send("POST", "/things", port: server.port, headers: json, body: long)),
                ("a long body for a path without one", .bodyTooLarge, try await RawHTTP.send("GET", "/things", port: server.port, body: long)),
                ("an unknown parameter", .unknownField, try await server.get("/things?limt=1")),
                ("a parameter twice", .invalidRequest, try await server.get("/things?limit=1&limit=2")),
                ("a bad escape", .invalidRequest, try await server.get("/things?q=%zz")),
                ("a missing parameter", .invalidRequest, try await server.get("/needed")),
                ("a defect", .internalError, try await server.post("/failing", [:])),
                ("a later operation", .notImplemented, try await server.post("/later/5", [:])),
                ("a later operation of a path that exists", .notImplemented, try await server.post("/things/5", [:])),
                ("a later path with another method", .methodNotAllowed, try await server.get("/later/5")),
            ]
            for (what, code, answer) in answers {
                #expect(answer.error?.code == code, "\(what): \(answer.status) \(answer.text)")
                #expect(answer.status == code.status, "\(what)")
                #expect(answer.headers["content-type"] == "application/json; charset=utf-8", "\(what)")
                #expect(answer.json?["error"]?["request_id"]?.stringValue == answer.headers["x-request-id"], "\(what)")
                #expect(!answer.text.contains("hunter2"), "\(what)")
            }
        }
    }

    @Test func aMethodThatThePathDoesNotHaveHearsThoseItHas() async throws {
        try await Things().serve { server in
            let several = try await server.delete("/things")
            #expect(several.headers["allow"] == "GET, HEAD, POST")
            #expect(try await server.get("/things/5").headers["allow"] == "DELETE")
        }
    }

    @Test func aChunkedBodyIsCutOffAtTheLimitToo() async throws {
        try await Things().serve { server in
            let chunk = "400\r\n" + String(repeating: "x", count: 0x400) + "\r\n"
            let head = "POST /things HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
            let long = try await RawHTTP.exchange(Array((head + chunk + "0\r\n\r\n").utf8), port: server.port)
            #expect(long.status == 413)
            let short = "2\r\n{}\r\n0\r\n\r\n"
            #expect(try await RawHTTP.exchange(Array((head + short).utf8), port: server.port).status == 201)
        }
    }

    @Test func theMediaTypeMayHaveParametersAndAnyCase() async throws {
        try await Things().serve { server in
            let answer = try await RawHTTP.send(
                "POST", "/things", port: server.port, headers: [("Content-Type", "Application/JSON; charset=utf-8")], body: [0x7B, 0x7D])
            #expect(answer.status == 201)
        }
    }

    @Test func requestsAreCountedByTemplateAndNeverByWhatAClientMadeUp() async throws {
        let things = Things()
        try await things.serve { server in
            _ = try await server.get("/things/secret-id/parts/1")
            _ = try await server.get("/made-up")
            _ = try await RawHTTP.send("PROPFIND", "/things", port: server.port)
        }
        let text = PrometheusText.render(things.metrics.snapshot())
        #expect(text.contains(#"path="/things/{id}/parts/{part}",status="200""#))
        #expect(text.contains(#"method="other",path="none",status="404""#))
        #expect(!text.contains("secret-id") && !text.contains("made-up") && !text.contains("PROPFIND"))
    }
}

@Suite struct AnswerTests {
    @Test func parametersOfPathAndQueryArePercentDecoded() async throws {
        try await Things().serve { server in
            let path = try await server.get("/things/a%2Fb%20c/parts/%E6%97%A5.x")
            #expect(path.json == ["a/b c", "日.x"])
            #expect(try await server.get("/things?q=a%26b%3D+c&limit=").json == ["limit": "", "q": "a&b= c"])
        }
    }

    @Test func headIsGetWithoutTheBody() async throws {
        try await Things().serve { server in
            let answer = try await RawHTTP.send("HEAD", "/things", port: server.port)
            #expect(answer.status == 200 && answer.body.isEmpty && answer.headers["content-length"] == "2")
        }
    }

    @Test func answersWithoutABodyNameNoLength() async throws {
        try await Things().serve { server in
            for answer in [try await server.delete("/things/1"), try await server.get("/unchanged")] {
                #expect([204, 304].contains(answer.status) && answer.body.isEmpty)
                #expect(answer.headers["content-length"] == nil && answer.headers["content-type"] == nil)
            }
        }
    }

    @Test func aHarmlessRequestIDIsKeptAndAnotherReplaced() async throws {
        try await Things().serve { server in
            #expect(try await server.get("/things", headers: [("X-Request-Id", "my-id_1.2")]).headers["x-request-id"] == "my-id_1.2")
            for bad in ["a b", "é", String(repeating: "x", count: 65), "a\"b", ""] {
                let id = try #require(try await server.get("/things", headers: [("X-Request-Id", bad)]).headers["x-request-id"])
                #expect(id != bad && id.count == 16)
            }
        }
    }

    @Test func everyAnswerNamesTheTraceOfItsCallerOrANewOne() async throws {
        try await Things().serve { server in
            let trace = "0af7651916cd43dd8448eb211c80319c"
            let given = ("Traceparent", "00-\(trace)-b7ad6b7169203331-01")
            var steps: Set<String> = []
            for path in ["/things", "/nothing", "/unchanged", "/things?wrong=1"] {
                let context = try #require(TraceContext(parent: try await server.get(path, headers: [given]).headers["traceparent"] ?? ""))
                #expect(context.traceID == trace && context.isSampled && context.spanID != "b7ad6b7169203331", "\(path)")
                steps.insert(context.spanID)
            }
            #expect(steps.count == 4)
            for wrong in [[], [("traceparent", "00-0-1-01")], [given, given]] {
                let answer = try await server.get("/things", headers: wrong)
                let context = try #require(TraceContext(parent: answer.headers["traceparent"] ?? ""))
                #expect(answer.status == 200 && context.traceID != trace && !context.isSampled)
            }
        }
    }

    @Test func theDocumentIsServed() async throws {
        try await Things().serve { server in
            let document = try #require(try await server.get("/openapi.json").json)
            #expect(document["openapi"] == "3.1.0")
            #expect(document["paths"]?["/things/{id}"]?["delete"] != nil && document["paths"]?["/later/{id}"] == nil)
        }
    }
}
