import Glibc
import NIOCore
import NIOPosix
import PGChannel
import PGWire
import PostgresProcess
import Testing

extension RealServerTests {
    /// A server process that is stopped: its kernel goes on taking data and confirming it.
    @Suite struct ClientSilenceTests {
        private static let limit = TimeAmount.seconds(2)

        /// Chunks without end; behind the first, the server's process is stopped.
        private struct Endless: AsyncSequence, AsyncIteratorProtocol {
            let process: Int32
            var count = 0
            mutating func next() async throws -> ByteBuffer? {
                count += 1
                if count == 2 { kill(process, SIGSTOP) }
                return ByteBuffer(string: String(repeating: "1\n", count: 40_000))
            }
            func makeAsyncIterator() -> Self { self }
        }

        private func connect(replication: Bool = false) async throws -> PGClient {
            var options = PGClient.Options()
            if replication { options.overrides.parameters = [.init(name: "replication", value: "true")] }
            let endpoint = try PostgresEndpoint.parse(try RealServer.current.server.dsn())
            return try await PGClient.connect(to: endpoint, on: MultiThreadedEventLoopGroup.singleton, options: options)
        }

        /// `body` stops the server's process; what it does ends in time, and the connection with it.
        private func expectTimedOut(_ client: PGClient, _ body: () async throws -> Void) async throws {
            let error = await #expect(throws: PGClientError.self) { try await body() }
            guard case .timedOut? = error?.cause else {
                kill(client.processID, SIGCONT)
                Issue.record("\(String(describing: error))")
                return
            }
            try await client.onClose.get()
            kill(client.processID, SIGCONT)
        }

        @Test func whoSendsNoMoreRows() async throws {
            let client = try await connect()
            try await expectTimedOut(client) {
                try await client.copyOutRuns(
                    "COPY (SELECT repeat('x', 1000) FROM generate_series(1, 10000000)) TO STDOUT", timeout: .hours(1), silenceMax: Self.limit
                ) { _ in kill(client.processID, SIGSTOP) }
            }
        }

        @Test func whoTakesNoMoreRows() async throws {
            let client = try await connect()
            _ = try await client.execute("CREATE TEMPORARY TABLE taken (n int)")
            try await expectTimedOut(client) {
                try await client.copyIn("COPY taken FROM STDIN", from: Endless(process: client.processID), timeout: .hours(1), silenceMax: Self.limit)
            }
        }

        @Test func whoDoesNotEndACopy() async throws {
            let client = try await connect()
            _ = try await client.execute("CREATE TEMPORARY TABLE taken (n int)")
            let (chunks, sender) = AsyncStream.makeStream(of: ByteBuffer.self)
            sender.yield(ByteBuffer(string: "1\n"))
            let process = client.processID
            let waiting = Task {
                try await Task.sleep(for: .seconds(3))
                // Who has no data for longer than the limit is not the server.
                kill(process, SIGSTOP)
                sender.finish()
            }
            try await expectTimedOut(client) { try await client.copyIn("COPY taken FROM STDIN", from: chunks, timeout: .hours(1), silenceMax: Self.limit) }
            #expect(sender.yield(ByteBuffer()).isTerminated, "the limit counted while there was no data")
            try await waiting.value
        }

        @Test func whoIsSilentInAStream() async throws {
            let client = try await connect(replication: true)
            let start = try #require(try await client.execute("IDENTIFY_SYSTEM").first?.rows.first?.text(2))
            try await expectTimedOut(client) {
                try await client.copyBoth("START_REPLICATION \(start)", silenceMax: Self.limit) { stream in
                    kill(client.processID, SIGSTOP)
                    while try await stream.next() != nil {}
                }
            }
        }
    }
}

extension AsyncStream.Continuation.YieldResult {
    fileprivate var isTerminated: Bool { if case .terminated = self { true } else { false } }
}
