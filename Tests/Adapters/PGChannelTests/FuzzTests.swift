import NIOCore
import NIOEmbedded
@testable import PGChannel
import PGWire
import Testing
import WireFuzzing

/// Spoiled sessions for the machines that read them: whatever a server sends, nothing crashes, and every call is answered once.
@Suite struct FuzzTests {
    private func seeds() -> [ByteBuffer] { WireSeeds.messages() + [Self.login()] }

    private static func login() -> ByteBuffer {
        var bytes = ByteBuffer()
        bytes.writeAuthentication(.ok)
        bytes.writeParameterStatus(name: "TimeZone", value: "UTC")
        bytes.writeBackendKeyData(processID: 1, secret: 2)
        bytes.writeReadyForQuery(status: UInt8(ascii: "I"))
        return bytes
    }

    /// Runs `body` on inputs of a seed that is new each time, and printed: a crash leaves no other trace.
    private func fuzz(_ name: String, runs: Int, _ body: (ByteBuffer, inout SplitMix64) throws -> Void) throws {
        let seed = WireMutator.seed()
        print("spoiled sessions for \(name) with seed \(seed); PGMOSAIC_FUZZ_SEED=\(seed) repeats them")
        var mutator = WireMutator(seed: seed, seeds: seeds())
        var random = SplitMix64(state: seed)
        for run in 0..<runs {
            let input = mutator.next()
            #expect(throws: Never.self, "run \(run) of seed \(seed): \(input.hexDump(format: .plain(maxBytes: 4096)))") { try body(input, &random) }
        }
    }

    @Test func aHandshakeEndsOrWaitsWhateverTheServerSays() throws {
        try fuzz("BackendHandshake", runs: 3000) { input, random in
            var configuration = BackendHandshake.Configuration(user: "alice", nonce: "abc")
            configuration.password = "pencil"
            configuration.allowsCleartext = true
            configuration.scramKeys = { _, _, _ in ScramKeys(password: "", salt: [1], iterations: 1) }
            var machine = BackendHandshake(configuration)
            _ = machine.start()
            var buffer = ByteBuffer()
            var rest = input
            var ended = 0
            while rest.readableBytes > 0 {
                var piece = rest.readSlice(length: Int.random(in: 1...min(rest.readableBytes, 64), using: &random))!
                buffer.writeBuffer(&piece)
                while let action = machine.received(&buffer) {
                    switch action {
                    case .established, .fail: ended += 1
                    case .send, .startTLS: break
                    }
                }
            }
            #expect(ended <= 1)
        }
    }

    @Test func everyCallIsAnsweredOnceWhateverTheServerSays() throws {
        try fuzz("PGClientHandler", runs: 1500) { input, random in
            let channel = EmbeddedChannel()
            let handler = PGClientHandler(unread: ByteBuffer(), observers: PGClientObservers(parameters: [:])) { nil }
            try channel.pipeline.syncOperations.addHandler(handler)
            channel.connect(to: try SocketAddress(ipAddress: "127.0.0.1", port: 1), promise: nil)
            var answers = 0
            let ready = channel.eventLoop.makePromise(of: Void.self)
            let kinds: [PGClientCall.Kind] = [.query(rowsMax: 2), .script, .copyIn(ready: ready), .copyOut(PGCopyOutSink())]
            for (number, kind) in kinds.enumerated() {
                let promise = channel.eventLoop.makePromise(of: [PGResult].self)
                promise.futureResult.assumeIsolated().whenComplete { _ in answers += 1 }
                let call = PGClientCall(id: UInt64(number), kind: kind, request: ByteBuffer(), bytesMax: 1000, promise: promise)
                handler.enqueue(call, timeout: .hours(1))
            }
            var rest = input
            while rest.readableBytes > 0, channel.isActive {
                try channel.writeInbound(rest.readSlice(length: Int.random(in: 1...min(rest.readableBytes, 64), using: &random))!)
            }
            if channel.isActive { _ = try channel.finish() }
            #expect(answers == kinds.count)
            ready.succeed()
        }
    }
}
