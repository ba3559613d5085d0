import ControlAPI
import Foundation
import Listening
import Logging
import PostgresProcess
import RESTTestKit
import ServerConfig
import Synchronization
import Telemetry
import Testing

@testable import RESTServer

/// TLS, and HTTP/2 behind it.
@Suite struct SecureTests {
    /// Routes that answer at once, that wait until their caller goes, and that stream without an end.
    private final class Waiting: Sendable {
        let started = Mutex(0)
        let cancelled = Mutex(0)
        let drops = Mutex(0)
        private static let routes = [
            APIRoute(.get, "/quick", tag: "t", "answers", answer: .json(.any)), APIRoute(.get, "/wait", tag: "t", "waits", answer: .json(.any)),
            APIRoute(.post, "/size", tag: "t", "counts", request: .any, answer: .json(.any)),
            APIRoute(.post, "/endless", tag: "t", "streams", request: .any, answer: .json(.any), mayStream: true),
            APIRoute(.get, "/openapi.json", tag: "t", "this", answer: .json(.any)),
        ]

        var responder: RESTResponder {
            var logger = Logger(label: "test")
            logger.logLevel = .critical
            return RESTResponder(
                title: "Waiting", routes: Self.routes,
                handlers: [
                    "GET /quick": { _ in .json(["quick": true]) },
                    "GET /wait": { [self] request in
                        started.withLock { $0 += 1 }
                        do {
                            try await request.whileCallerWaits { try await Task.sleep(for: .seconds(600)) }
                        } catch {
                            cancelled.withLock { $0 += 1 }
                        }
                        return .json(["waited": true])
                    },
                    "POST /size": { request in .json(["bytes": .integer(Int64(request.body.count))]) },
                    "POST /endless": { _ in .json(["whole": true]) },
                ],
                streams: [
                    "POST /endless": { [self] _ in
                        .stream(
                            RESTStream(first: .init(bytes: Array("0\n".utf8), isLast: false)) {
                                .init(bytes: [UInt8](repeating: 0x20, count: 100_000) + [0x0A], isLast: false)
                            } onDrop: { self.drops.withLock { $0 += 1 } })
                    }
                ], bodyMax: 1000, metrics: SharedMetrics(), logger: logger)
        }

        func serve(
            limits: RESTLimits = RESTLimits(connectionsMax: 100, idleTimeout: .seconds(60)), _ body: @Sendable (RESTTestServer, TestCertificates, RESTCertificates) async throws -> Void
        ) async throws {
            try await TestCertificates.with { files in
                try await files.make("first")
                let certificates = RESTCertificates(try .init(certificateFile: files.certificate("first"), keyFile: files.key("first")))
                try await RESTTestServer.with(responder, limits: limits, certificates: certificates) { try await body($0, files, certificates) }
            }
        }
    }

    /// Real curl's answer and the version that it spoke, or its exit status.
    private func curl(_ server: RESTTestServer, _ path: String, trusting authority: String, _ options: [String] = []) async throws -> String {
        let arguments = ["-sS", "-m", "30", "-w", " %{http_version} %{http_code}", "--cacert", authority] + options + ["https://localhost:\(server.port)\(path)"]
        let result = try await SupervisedProcess.run(.init("/usr/bin/curl", arguments), limit: .seconds(60))
        return result.status == 0 ? result.output : "failed \(result.status)"
    }

    private func eventually(_ what: String, _ condition: () -> Bool) async throws {
        let deadline = ContinuousClock.now + .seconds(120)
        while !condition() {
            guard ContinuousClock.now < deadline else {
                Issue.record("\(what) did not happen")
                return
            }
            try await Task.sleep(for: .milliseconds(10))
        }
    }

    @Test func curlChoosesItsVersionOfHTTP() async throws {
        try await Waiting().serve { server, files, _ in
            let authority = files.certificate("first")
            func ask(_ path: String, _ options: [String]) async throws -> String { try await curl(server, path, trusting: authority, options) }
            let json = ["-H", "Content-Type: application/json", "-H", "Expect:", "-d"]
            let body = String(repeating: "x", count: 900)
            for (option, version) in [("--http2", "2"), ("--http1.1", "1.1"), ("--no-alpn", "1.1")] {
                let answers = [
                    try await ask("/quick", [option]), try await ask("/none", [option]), try await ask("/size", [option] + json + [body]),
                    try await ask("/size", [option] + json + [body + body]),
                ]
                #expect(answers[0] == "{\"quick\":true} \(version) 200")
                #expect(answers[1].hasSuffix(" \(version) 404"))
                #expect(answers[2] == "{\"bytes\":900} \(version) 200")
                #expect(answers[3].hasSuffix(" \(version) 413"))
            }
            let (new, old) = (try await ask("/quick", ["--tlsv1.2", "--tls-max", "1.2"]), try await ask("/quick", ["--tlsv1.0", "--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0"]))
            #expect(new.hasSuffix(" 2 200"))
            #expect(old == "failed 35")
            // Without TLS nobody is served.
            let plain = try? await server.get("/quick")
            #expect(plain == nil)
        }
    }

    @Test func newConnectionsGetTheNewCertificateAndOldOnesGoOn() async throws {
        try await Waiting().serve { server, files, certificates in
            let old = try await RawHTTP2.connect(port: server.port)
            try await files.make("second")
            #expect(try await curl(server, "/quick", trusting: files.certificate("second")) == "failed 60")
            certificates.replace(try .init(certificateFile: files.certificate("second"), keyFile: files.key("second")))
            #expect(try await curl(server, "/quick", trusting: files.certificate("second")).hasSuffix(" 2 200"))
            #expect(try await curl(server, "/quick", trusting: files.certificate("first")) == "failed 60")
            try await old.request(1, "GET", "/quick")
            #expect(try await String(decoding: old.answer(1), as: UTF8.self) == "{\"quick\":true}")
            await old.close()
        }
    }

    @Test func whereCertificatesAreAskedForNobodyGetsInWithoutOne() async throws {
        try await Waiting().serve { server, files, certificates in
            for name in ["friend", "stranger", "next"] { try await files.make(name) }
            let server = server
            func ask(_ name: String?, _ options: [String] = []) async throws -> String {
                let own = name.map { ["--cert", files.certificate($0), "--key", files.key($0)] } ?? []
                return try await curl(server, "/quick", trusting: files.certificate("first"), own + options)
            }
            #expect(try await ask(nil).hasSuffix(" 2 200"))
            func demand(_ authority: String) throws {
                certificates.replace(
                    try .init(HTTPTLSFiles(certificateFile: files.certificate("first"), keyFile: files.key("first"), clientAuthoritiesFile: files.certificate(authority))))
            }
            try demand("friend")
            for option in ["--http2", "--http1.1"] {
                #expect(try await ask("friend", [option]).hasSuffix(" 200"))
                for version in ["1.2", "1.3"] {
                    for name in [nil, "stranger"] { #expect(try await ask(name, [option, "--tls-max", version]).hasPrefix("failed"), "\(name ?? "none") \(version)") }
                }
            }
            try demand("next")
            #expect(try await ask("next").hasSuffix(" 2 200"))
            #expect(try await ask("friend").hasPrefix("failed"))
            let wrong = HTTPTLSFiles(certificateFile: files.certificate("first"), keyFile: files.key("first"), clientAuthoritiesFile: files.key("first"))
            #expect(throws: ServerTLSError.self) { try RESTCertificates.Certificate(wrong) }
        }
    }

    @Test func filesThatCannotBeUsedAreNamed() async throws {
        try await TestCertificates.with { files in
            try await files.make("first")
            try await files.make("second")
            func problem(_ certificate: String, _ key: String) -> String {
                do throws(ServerTLSError) {
                    _ = try RESTCertificates.Certificate(certificateFile: certificate, keyFile: key)
                    return "none"
                } catch {
                    return error.description
                }
            }
            let (certificate, key) = (files.certificate("first"), files.key("first"))
            #expect(problem(certificate, key) == "none")
            #expect(problem("/nonexistent", key) == "the file cannot be read: /nonexistent")
            #expect(problem(key, key) == "the file holds no PEM certificate: \(key)")
            #expect(problem(certificate, certificate) == "the file holds no PEM private key without a passphrase: \(certificate)")
            #expect(problem(certificate, files.key("second")) == "the private key does not belong to the certificate: \(files.key("second"))")
        }
    }

    @Test func aResetEndsTheWorkOfItsStreamOnly() async throws {
        let waiting = Waiting()
        try await waiting.serve { server, _, _ in
            let connection = try await RawHTTP2.connect(port: server.port)
            for stream: UInt32 in [1, 3, 5] { try await connection.request(stream, "GET", "/wait") }
            try await eventually("all have started") { waiting.started.withLock { $0 == 3 } }
            try await connection.reset(3)
            try await eventually("one is cancelled") { waiting.cancelled.withLock { $0 == 1 } }
            // The others go on, and so does the connection.
            try await connection.request(7, "GET", "/quick")
            #expect(try await String(decoding: connection.answer(7), as: UTF8.self) == "{\"quick\":true}")
            #expect(waiting.cancelled.withLock(\.self) == 1)
            await connection.close()
            try await eventually("all are cancelled with the connection") { waiting.cancelled.withLock { $0 == 3 } }
        }
    }

    @Test func aStreamThatIsNotReadIsClosedAndItsConnectionServesOthers() async throws {
        let waiting = Waiting()
        try await waiting.serve(limits: RESTLimits(connectionsMax: 100, idleTimeout: .seconds(12))) { server, _, _ in
            // As much as one stream may send fits the connection's window, too.
            let connection = try await RawHTTP2.connect(port: server.port, window: 20_000)
            let headers = [("accept", "application/x-ndjson"), ("content-type", "application/json")]
            try await connection.request(1, "POST", "/endless", headers: headers, body: Array("{}".utf8))
            // Others are answered all the while.
            try await connection.request(3, "GET", "/quick")
            var isReset = false
            while !isReset, let frame = try await connection.next() { isReset = frame.kind == .reset && frame.stream == 1 }
            #expect(isReset)
            try await eventually("its source is let go") { waiting.drops.withLock { $0 == 1 } }
            try await connection.request(5, "GET", "/quick")
            #expect(try await String(decoding: connection.answer(5), as: UTF8.self) == "{\"quick\":true}")
            await connection.close()
        }
    }

    @Test func aStreamThatIsReadGoesOnAndOneThatIsLeftIsLetGo() async throws {
        let waiting = Waiting()
        try await waiting.serve { server, _, _ in
            let connection = try await RawHTTP2.connect(port: server.port)
            let headers = [("accept", "application/x-ndjson"), ("content-type", "application/json")]
            try await connection.request(1, "POST", "/endless", headers: headers, body: Array("{}".utf8))
            var count = 0
            while count < 2_000_000, let frame = try await connection.next() {
                guard frame.kind == .data else { continue }
                count += frame.payload.count
                for stream: UInt32 in [0, 1] { try await connection.widen(stream, by: UInt32(max(1, frame.payload.count))) }
            }
            #expect(waiting.drops.withLock(\.self) == 0)
            try await connection.reset(1)
            try await eventually("its source is let go") { waiting.drops.withLock { $0 == 1 } }
            await connection.close()
        }
    }

    @Test func streamsBeyondTheLimitOfRequestsAreTurnedAway() async throws {
        let waiting = Waiting()
        try await waiting.serve(limits: RESTLimits(connectionsMax: 3, idleTimeout: .seconds(60))) { server, _, _ in
            let connection = try await RawHTTP2.connect(port: server.port)
            for stream: UInt32 in [1, 3, 5] { try await connection.request(stream, "GET", "/wait") }
            try await eventually("all have started") { waiting.started.withLock { $0 == 3 } }
            try await connection.request(7, "GET", "/quick")
            let refusal = APIError(body: try JSONParser.parse(try await connection.answer(7)))
            #expect(refusal?.code == .tooManyRequests)
            try await connection.reset(1)
            try await eventually("one is cancelled") { waiting.cancelled.withLock { $0 == 1 } }
            try await connection.request(9, "GET", "/quick")
            #expect(try await String(decoding: connection.answer(9), as: UTF8.self) == "{\"quick\":true}")
            await connection.close()
        }
    }

    @Test func aConnectionHasAHundredStreamsAtMost() async throws {
        let waiting = Waiting()
        try await waiting.serve(limits: RESTLimits(connectionsMax: 1000, idleTimeout: .seconds(60))) { server, _, _ in
            let connection = try await RawHTTP2.connect(port: server.port)
            for number: UInt32 in 0..<101 { try await connection.request(number * 2 + 1, "GET", "/wait") }
            var frame = try await connection.next()
            while let next = frame, next.kind != .reset, next.kind != .goAway { frame = try await connection.next() }
            #expect(frame == nil || frame?.errorCode == 7 || frame?.kind == .goAway, "\(String(describing: frame))")
            #expect(waiting.started.withLock(\.self) <= 100)
            await connection.close()
            try await eventually("all are cancelled with the connection") { waiting.cancelled.withLock(\.self) == waiting.started.withLock(\.self) }
        }
    }

    /// A client that opens and resets streams as fast as it can, or sends headers without an end, costs itself its connection.
    @Test(arguments: ["resets", "headers", "continuations", "pings", "settings", "garbage"])
    func whoFloodsIsCutOff(_ flood: String) async throws {
        let waiting = Waiting()
        try await waiting.serve { server, _, _ in
            let connection = try await RawHTTP2.connect(port: server.port)
            let sending = Task {
                for number: UInt32 in 0..<20_000 {
                    let stream = number * 2 + 1
                    switch flood {
                    case "resets":
                        try await connection.request(stream, "GET", "/wait")
                        try await connection.reset(stream)
                    case "headers": try await connection.request(stream, "GET", "/quick", headers: (0..<40).map { ("x-\($0)", String(repeating: "v", count: 1000)) })
                    case "continuations":
                        if number == 0 { try await connection.send(RawHTTP2.frame(.headers, stream: 1, payload: [])) }
                        try await connection.send(RawHTTP2.frame(.continuation, stream: 1, payload: [0, 1, 0x78, 1, 0x79]))
                    case "pings": try await connection.ping()
                    case "settings": try await connection.send(RawHTTP2.frame(.settings, payload: [0, 4, 0, 0, 255, 255]))
                    default: try await connection.send([UInt8](repeating: 0xFF, count: 1000))
                    }
                }
            }
            _ = try await connection.untilEnd()
            sending.cancel()
            _ = await sending.result
            // Nobody else notices.
            let answer = try await quick(server)
            #expect(String(decoding: answer, as: UTF8.self) == "{\"quick\":true}")
            try await eventually("nothing is left of it") { waiting.cancelled.withLock(\.self) == waiting.started.withLock(\.self) }
        }
    }

    private func quick(_ server: RESTTestServer) async throws -> [UInt8] {
        let connection = try await RawHTTP2.connect(port: server.port)
        try await connection.request(1, "GET", "/quick")
        let answer = try await connection.answer(1)
        await connection.close()
        return answer
    }

    @Test func whoIsSilentIsCutOffWhereverItIs() async throws {
        try await Waiting().serve(limits: RESTLimits(connectionsMax: 4, idleTimeout: .seconds(2))) { server, _, _ in
            // Before the handshake, in its middle, and behind it; also in the middle of a request. They take all places. On a slow machine their time may
            // be over before they have said what they have to say.
            let greeting: [UInt8] = [0x16, 3, 1, 0, 100]
            async let silent: Void = withTaskGroup(of: Void.self) { group in
                for bytes in [[], greeting] { group.addTask { _ = try? await RawHTTP.exchange(bytes, port: server.port) } }
            }
            let idle = try? await RawHTTP2.connect(port: server.port)
            let half = try? await RawHTTP2.connect(port: server.port)
            try? await half?.request(1, "POST", "/size", headers: [("content-type", "application/json")], body: Array("{".utf8), ends: false)
            while let frame = try await half?.next(), frame.kind != .reset, frame.kind != .goAway {}
            _ = try await half?.untilEnd()
            _ = try await idle?.untilEnd()
            await silent
            let deadline = ContinuousClock.now + .seconds(240)
            var answers = 0
            while answers < 8, ContinuousClock.now < deadline {
                if let answer = try? await quick(server), !answer.isEmpty { answers += 1 }
            }
            #expect(answers == 8)
        }
    }
}
