import ControlAPI
import HTTPTypes
import Logging
import RESTTestKit
import Synchronization
import Telemetry
import Testing

@testable import RESTServer

/// Answers that are made while they are sent.
@Suite struct StreamTests {
    private struct Secret: Error { let password = "hunter2" }

    /// A server whose one route counts: the query parameter says how far, and how it ends.
    private final class Counting: Sendable {
        let drops = Mutex(0)
        let metrics = SharedMetrics()
        private static let route = APIRoute(.post, "/count", tag: "t", "count", request: .any, answer: .json(.any), mayStream: true)

        var responder: RESTResponder {
            var logger = Logger(label: "test")
            logger.logLevel = .critical
            return RESTResponder(
                title: "Counting", routes: [Self.route, APIRoute(.get, "/openapi.json", tag: "t", "this", answer: .json(.any))],
                handlers: ["POST /count": { _ in .json(["whole": true]) }], streams: ["POST /count": { [self] in try start($0) }], bodyMax: 1000,
                metrics: metrics, idempotency: IdempotencyCache(), logger: logger)
        }

        private func start(_ request: RESTRequest) throws -> RESTReply {
            let body = try JSONParser.parse(request.body)
            let end = body["end"]?.stringValue
            let last = Int(body["last"]?.integerValue ?? 3)
            if end == "early" { throw APIError(.shardNotFound, "none") }
            if end == "whole" { return .whole(.json(["early": true], status: 201)) }
            let isEndless = last == .max
            let next = Mutex(1)
            return .stream(
                RESTStream(first: .init(bytes: Array("0\n".utf8), isLast: false)) {
                    let number = next.withLock { number in
                        defer { number += 1 }
                        return number
                    }
                    if number > last { try Self.fail(end) }
                    let space = [UInt8](repeating: 0x20, count: isEndless ? 64 << 10 : 0)
                    return .init(bytes: space + Array("\(number)\n".utf8), isLast: number == last && end == nil)
                } onDrop: { self.drops.withLock { $0 += 1 } })
        }

        private static func fail(_ end: String?) throws {
            switch end {
            case "defect": throw Secret()
            case "cancelled": throw CancellationError()
            default: throw APIError(.sqlFailed, "no", sqlstate: "22012", details: ["a": 1])
            }
        }
    }

    private func stream(_ server: RESTTestServer, _ body: JSONValue, accept: String = RESTStream.contentType) async throws -> RawHTTPStream {
        try await RawHTTPStream.post("/count", port: server.port, headers: [("Accept", accept)], body: body)
    }

    @Test func thePiecesComeInOrderAndTheSourceIsLetGo() async throws {
        let counting = Counting()
        try await RESTTestServer.with(counting.responder) { server in
            let stream = try await stream(server, ["last": 500])
            #expect(stream.status == 200)
            #expect(stream.headers["content-type"] == "application/x-ndjson")
            #expect(stream.headers["content-length"] == nil)
            #expect(try await stream.lines() == (0...500).map { .integer($0) })
        }
        #expect(counting.drops.withLock(\.self) == 1)
    }

    @Test(arguments: [("error", "SQL_FAILED"), ("defect", "INTERNAL_ERROR"), ("cancelled", "NOT_READY")])
    func anErrorInTheMiddleIsTheLastLine(_ end: String, _ code: String) async throws {
        let counting = Counting()
        try await RESTTestServer.with(counting.responder) { server in
            let lines = try await stream(server, ["end": .string(end)]).lines()
            #expect(lines.dropLast() == [0, 1, 2, 3])
            let last = try #require(lines.last)
            #expect(last["end_of_stream"] == "failed")
            #expect(last["error"]?["code"] == .string(code))
            #expect(last["error"]?["request_id"]?.stringValue?.isEmpty == false)
            #expect(!last.text.contains("hunter2"))
        }
        #expect(counting.drops.withLock(\.self) == 1)
    }

    @Test func beforeTheFirstPieceEverythingIsAnOrdinaryAnswer() async throws {
        let counting = Counting()
        try await RESTTestServer.with(counting.responder) { server in
            let accept = [("Accept", RESTStream.contentType)]
            let early = try await server.post("/count", ["end": "early"], headers: accept)
            #expect(early.status == 404)
            #expect(early.error?.code == .shardNotFound)
            let whole = try await server.post("/count", ["end": "whole"], headers: accept)
            #expect(whole.status == 201)
            #expect(whole.json?["early"] == true)
            // A stream cannot be given again.
            let repeated = try await server.post("/count", [:], headers: accept + [("Idempotency-Key", "k")])
            #expect(repeated.error?.code == .invalidRequest)
            #expect(try await server.post("/count", [:], headers: [("Idempotency-Key", "k")]).json?["whole"] == true)
        }
        #expect(counting.drops.withLock(\.self) == 0)
    }

    @Test func aConnectionGoesOnAfterAStream() async throws {
        try await RESTTestServer.with(Counting().responder) { server in
            let head = "POST /count HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nAccept: application/x-ndjson\r\nContent-Length: 2\r\n"
            let answer = try await RawHTTP.exchange(Array("\(head)\r\n{}\(head)Connection: close\r\n\r\n{}".utf8), port: server.port)
            #expect(answer.text.split(separator: "\r\n").filter { $0 == "HTTP/1.1 200 OK" }.count == 1)
            #expect(answer.text.hasSuffix("\r\n0\r\n\r\n"))
        }
    }

    @Test func aCallerOfAnOldHTTPGetsNoChunks() async throws {
        try await RESTTestServer.with(Counting().responder) { server in
            let head = "POST /count HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
            let stream = try await RawHTTP.exchange(Array("\(head)Accept: application/x-ndjson\r\n\r\n{}".utf8), port: server.port)
            #expect(stream.status == 200)
            #expect(stream.headers["transfer-encoding"] == nil)
            #expect(stream.headers["connection"] == "close")
            #expect(stream.text == "0\n1\n2\n3\n")
            let whole = try await RawHTTP.exchange(Array("\(head)\r\n{}".utf8), port: server.port)
            #expect(whole.json?["whole"] == true)
        }
    }

    @Test func aCallerThatGoesLetsTheSourceGo() async throws {
        let counting = Counting()
        try await RESTTestServer.with(counting.responder) { server in
            for end in [RawHTTP.Leaving.closing, .resetting] {
                try await stream(server, ["last": .integer(.max)]).leave(end)
            }
            // The server waits for its connections: it ends only when the streams have.
        }
        #expect(counting.drops.withLock(\.self) == 2)
    }

    @Test func aCallerThatTakesNothingIsCutOff() async throws {
        let counting = Counting()
        try await RESTTestServer.with(counting.responder, limits: RESTLimits(connectionsMax: 10, idleTimeout: .seconds(2))) { server in
            let stream = try await stream(server, ["last": .integer(.max)])
            while counting.drops.withLock(\.self) == 0 { try await Task.sleep(for: .milliseconds(20)) }
            await #expect(throws: RawHTTPError.self) { try await stream.read { while try $0.next() != nil {} } }
        }
    }

    @Test(arguments: [
        ("application/x-ndjson", true), ("application/x-ndjson, */*", true), ("application/x-ndjson, application/json", true),
        ("application/json, application/x-ndjson;q=0.9", false), ("application/json;q=0.5, application/x-ndjson", true),
        ("Application/X-NDJSON; charset=utf-8", true), ("application/x-ndjson;q=0", false), ("*/*", false), ("application/json", false), ("", false),
        ("application/*", false), ("application/x-ndjson;q=nonsense", true), (",;,", false),
    ])
    func aStreamIsForThoseWhoNameIt(_ accept: String, _ expected: Bool) {
        #expect(MediaRange.prefersStream([.accept: accept]) == expected)
    }
}
