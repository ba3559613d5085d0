import ControlAPI
import Crypto
import Logging
import RESTTestKit
import Secrets
import Synchronization
import Telemetry
import Testing

@testable import RESTServer

/// Where a request comes from that another server says it has passed on.
@Suite struct VouchedCallerTests {
    /// A server that answers with the address that it holds a request to come from, and a time that the test says.
    private final class Server: Sendable {
        let time = Mutex(1_700_000_000.0)
        let contents = Mutex<[String]>([])
        let box = SecretBox(key: Array(0..<32))

        private static let routes = [
            APIRoute(.post, "/who", tag: "t", "w", query: [.init("q", .string, "q")], request: .any, answer: .json(.any)),
            APIRoute(.get, "/openapi.json", tag: "t", "this", answer: .json(.any)),
        ]

        func run(box: SecretBox? = nil, access: RESTAccess = RESTAccess(), _ body: @Sendable (RESTTestServer) async throws -> Void) async throws {
            var logger = Logger(label: "test")
            logger.logLevel = .critical
            let callers = VouchedCallers(box ?? self.box, receiver: "leader", logger: logger) { [self] in time.withLock { $0 } }
            let responder = RESTResponder(
                title: "Who", routes: Self.routes,
                handlers: [
                    "POST /who": { [self] request in
                        contents.withLock { $0.append(request.contentDigest) }
                        return .json(["full": .string(request.address.full ?? ""), "counted": .string(request.address.counted)])
                    }
                ], bodyMax: 1000, metrics: SharedMetrics(), callers: callers, access: access, logger: logger)
            try await RESTTestServer.with(responder, body)
        }

        /// The request's fields, with a voucher of which `change` says what differs from a good one.
        func headers(
            _ address: String = "10.1.2.3", key: [UInt8]? = nil, nonce: String = "n", receiver: String = "leader", token: String = "Bearer t", requestID: String = "r",
            method: String = "POST", content: String? = nil
        ) -> [(String, String)] {
            let voucher = CallerVoucher(
                time: Int64(1_700_000_000_000), nonce: nonce, address: address, content: content ?? contents.withLock { $0.first ?? "" })
            let envelope = CallerVoucher.Envelope(receiver: receiver, method: method, token: token, idempotencyKey: "i", requestID: requestID)
            let text = voucher.text(envelope, key: SymmetricKey(data: key ?? box.callerKeys[0]))
            return Self.fields + [(CallerVouchers.fieldName, text)]
        }

        static let fields = [("Authorization", "Bearer t"), ("Idempotency-Key", "i"), ("X-Request-Id", "r")]
    }

    private func address(_ server: RESTTestServer, _ headers: [(String, String)], path: String = "/who", body: JSONValue = [:]) async throws -> String? {
        try await server.post(path, body, headers: headers).json?["full"]?.stringValue
    }

    @Test func aGoodVoucherCountsOnce() async throws {
        let who = Server()
        try await who.run { server in
            #expect(try await address(server, Server.fields) == "127.0.0.1")
            let headers = who.headers()
            #expect(try await address(server, headers) == "10.1.2.3")
            #expect(try await address(server, headers) == "127.0.0.1", "a second time it counted")
            #expect(try await address(server, who.headers(nonce: "m")) == "10.1.2.3")
            let six = try await server.post("/who", [:], headers: who.headers("2001:db8:1:2:3:4:5:6", nonce: "6"))
            #expect(six.json?["full"] == "2001:db8:1:2:3:4:5:6" && six.json?["counted"] == "20:1:d:b8:0:1:0:2", "\(six.text)")
        }
    }

    @Test func ofAnotherKeyReceiverRequestOrTimeItDoesNotCount() async throws {
        let who = Server()
        try await who.run { server in
            _ = try await address(server, Server.fields)
            let other = [
                who.headers(key: Array(1..<33), nonce: "1"), who.headers(nonce: "2", receiver: "other"), who.headers(nonce: "3", token: "Bearer u"),
                who.headers(nonce: "4", requestID: "s"), who.headers(nonce: "5", method: "DELETE"), who.headers("not an address", nonce: "6"),
                who.headers(nonce: "7") + [(CallerVouchers.fieldName, "1;2;3;4;5;6")],
            ]
            for (index, headers) in other.enumerated() { #expect(try await address(server, headers) == "127.0.0.1", "\(index)") }
            let good = try #require(who.headers(nonce: "8").last?.1)
            // Each of its bytes counts.
            for index in good.utf8.indices {
                var bytes = Array(good.utf8)
                let offset = good.utf8.distance(from: good.utf8.startIndex, to: index)
                bytes[offset] = bytes[offset] == UInt8(ascii: "1") ? UInt8(ascii: "2") : UInt8(ascii: "1")
                let changed = Server.fields + [(CallerVouchers.fieldName, String(decoding: bytes, as: UTF8.self))]
                #expect(try await address(server, changed) == "127.0.0.1", "\(index)")
            }
            for wrong in ["", "1", ";;;;;", String(repeating: "1", count: 513), good + ";", String(good.dropLast())] {
                #expect(try await address(server, Server.fields + [(CallerVouchers.fieldName, wrong)]) == "127.0.0.1", "\(wrong)")
            }
            for (seconds, counts) in [(-61.0, false), (61, false), (-59, true), (59, true)] {
                who.time.withLock { $0 = 1_700_000_000 + seconds }
                #expect(try await address(server, who.headers(nonce: "at \(Int(seconds))")) == (counts ? "10.1.2.3" : "127.0.0.1"), "\(seconds)")
            }
        }
    }

    @Test func anotherRequestBehindTheAddressIsRefused() async throws {
        let who = Server()
        try await who.run { server in
            _ = try await address(server, Server.fields)
            for (nonce, path, body) in [("1", "/who?q=x", [:]), ("2", "/who", ["a": 1])] as [(String, String, JSONValue)] {
                let answer = try await server.post(path, body, headers: who.headers(nonce: nonce))
                #expect(answer.status == 400 && answer.error?.code == .invalidRequest, "\(answer.text)")
            }
        }
    }

    @Test func aFormerKeyCountsWhileItIsAccepted() async throws {
        let who = Server()
        let new = SecretBox(key: Array(repeating: 7, count: 32))
        try await who.run(box: new.accepting([who.box])) { server in
            _ = try await address(server, Server.fields)
            #expect(try await address(server, who.headers()) == "10.1.2.3")
        }
    }

    @Test func requestsAreCountedByTheFirstCallersAddress() async throws {
        let who = Server()
        var access = RESTAccess()
        access.requestsPerAddressMax = 1
        try await who.run(access: access) { server in
            _ = try await address(server, Server.fields)
            // Each from another address, so none is one too many.
            for number in 1...5 { #expect(try await address(server, who.headers("10.0.0.\(number)", nonce: "\(number)")) == "10.0.0.\(number)") }
            // However slowly they come, a second has not this many tries in it for one address.
            var statuses: Set<Int> = []
            for number in 6..<10_000 where !statuses.contains(429) {
                statuses.insert(try await server.post("/who", [:], headers: who.headers("10.0.1.1", nonce: "\(number)")).status)
            }
            #expect(statuses == [200, 429])
        }
    }
}
