import NIOCore
import NIOPosix
import PGChannel
import PGWire
import PostgresProcess
import Testing

extension RealServerTests {
    /// Streams in both directions, with physical replication: every server can do that.
    @Suite struct ClientDuplexTests {
        private struct Stop: Error {}

        private func session() async throws -> PGClient {
            var options = PGClient.Options()
            options.overrides.parameters = [.init(name: "replication", value: "true")]
            let endpoint = try RealServer.current.endpoint()
            return try await PGClient.connect(to: endpoint, on: MultiThreadedEventLoopGroup.singleton, options: options)
        }

        private func position(_ client: PGClient) async throws -> String {
            try #require(try await client.execute("IDENTIFY_SYSTEM").first?.rows.first?.text(2))
        }

        /// The kinds of the messages that come until `kind` is among them.
        private func kinds(until kind: Character, _ stream: PGClient.Duplex) async throws -> [Character] {
            var kinds: [Character] = []
            while let runs = try await stream.next() {
                for run in runs {
                    var run = run
                    while let content = run.readCopyDataContent() {
                        kinds.append(Character(Unicode.Scalar(content.getInteger(at: content.readerIndex, as: UInt8.self) ?? 0)))
                    }
                }
                if kinds.contains(kind) { break }
            }
            return kinds
        }

        /// Nothing is flushed; the server is to answer at once.
        private var statusUpdate: ByteBuffer {
            var update = ByteBuffer(string: "r")
            update.writeRepeatingByte(0, count: 32)
            update.writeInteger(UInt8(1))
            return update
        }

        @Test func bothSidesSpeakAndTheSessionGoesOnBehindTheirEnd() async throws {
            let client = try await session()
            let start = try await position(client)
            let seen = try await client.copyBoth("START_REPLICATION \(start)") { stream in
                _ = try await RealServer.current.server.psql("CREATE TABLE duplex AS SELECT generate_series(1, 20000)")
                let first = try await kinds(until: "w", stream)
                try await stream.send(statusUpdate)
                return first + (try await kinds(until: "k", stream))
            }
            #expect(Set(seen) == ["w", "k"])
            let end = try await position(client)
            #expect(end > start)
            await client.close()
        }

        @Test func whoTakesNothingStopsTheServerAndEndsAllTheSame() async throws {
            let client = try await session()
            let start = try await position(client)
            try await client.copyBoth("START_REPLICATION \(start)") { _ in
                _ = try await RealServer.current.server.psql("CREATE TABLE duplex_long AS SELECT repeat('x', 500) FROM generate_series(1, 16000)")
            }
            _ = try await position(client)
            await client.close()
        }

        @Test func aStreamThatCannotStartIsTheServersError() async throws {
            let client = try await session()
            let error = await #expect(throws: PGClientError.self) { try await client.copyBoth("START_REPLICATION SLOT nowhere 0/0") { _ in } }
            #expect(error?.sqlState == .undefinedObject)
        }

        @Test func aServerThatEndsTheSessionEndsTheStreamWithItsReason() async throws {
            let client = try await session()
            let start = try await position(client)
            let error = await #expect(throws: PGClientError.self) {
                try await client.copyBoth("START_REPLICATION \(start)") { stream in
                    _ = try await RealServer.current.server.psql("SELECT pg_terminate_backend(\(client.processID))")
                    while try await stream.next() != nil {}
                }
            }
            #expect(error?.sqlState == .adminShutdown)
        }

        @Test func aBodyThatThrowsClosesTheConnection() async throws {
            let client = try await session()
            let start = try await position(client)
            await #expect(throws: Stop.self) { try await client.copyBoth("START_REPLICATION \(start)") { _ in throw Stop() } }
            try await client.onClose.get()
        }

        /// The body's error is of the same type as the stream's own; that the stream is closed for it is not the reason.
        @Test func aBodyThatFailsForAnotherServersErrorTellsThatOne() async throws {
            let (client, other) = (try await session(), try await PGClient.connect(
                to: try RealServer.current.endpoint(), on: MultiThreadedEventLoopGroup.singleton))
            let start = try await position(client)
            let error = await #expect(throws: PGClientError.self) {
                try await client.copyBoth("START_REPLICATION \(start)") { stream in
                    _ = try await kinds(until: "k", stream)
                    _ = try await other.query("SELECT 1 / 0")
                }
            }
            #expect(error?.sqlState.code == "22012", "\(error.map { "\($0)" } ?? "")")
            try await client.onClose.get()
            await other.close()
        }

        /// Cancelled before it was sent, around its beginning, and as it flows.
        @Test(arguments: [0, 1, 3, 10, 200]) func aStreamThatIsCancelledEnds(afterMilliseconds wait: Int) async throws {
            let client = try await session()
            let start = try await position(client)
            let task = Task { try await client.copyBoth("START_REPLICATION \(start)") { stream in while try await stream.next() != nil {} } }
            if wait > 0 { try await Task.sleep(for: .milliseconds(wait)) }
            task.cancel()
            await #expect(throws: PGClientError.self) { try await task.value }
            try await client.onClose.get()
        }

        @Test func copiesOfOneDirectionAreNoneOfTwo() async throws {
            try await RealServer.withClient { client in
                for statement in ["COPY (SELECT 1) TO STDOUT", "COPY pg_class FROM STDIN", "SELECT 1", ""] {
                    _ = await #expect(throws: PGClientError.self) { try await client.copyBoth(statement) { _ in } }
                }
                let two = try await client.query("SELECT 2").rows.first?.integer(0)
                #expect(two == 2)
            }
        }
    }
}
