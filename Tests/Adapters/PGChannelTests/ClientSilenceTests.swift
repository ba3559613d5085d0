import Foundation
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
            let endpoint = try RealServer.current.endpoint()
            return try await PGClient.connect(to: endpoint, on: MultiThreadedEventLoopGroup.singleton, options: options)
        }

        /// `body` stops the server's process; what it does ends in time, and the connection with it.
        private func expectTimedOut(replication: Bool = false, _ body: (PGClient) async throws -> Void) async throws {
            // On a busy machine the time may be over before the process was to be stopped: then it is tried again.
            for _ in 0..<5 {
                let client = try await connect(replication: replication)
                let error = await #expect(throws: PGClientError.self) { try await body(client) }
                defer { kill(client.processID, SIGCONT) }
                guard case .timedOut? = error?.cause else {
                    Issue.record("\(String(describing: error))")
                    return
                }
                let isStopped = Self.isStopped(client.processID)
                if !isStopped { await client.close() }
                try await client.onClose.get()
                if isStopped { return }
            }
            Issue.record("five times the server was not stopped in time")
        }

        /// One that was not stopped in time may have ended by now.
        private static func isStopped(_ process: Int32) -> Bool {
            let text = try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8)
            // Behind the name of the program, which is in brackets and may hold anything.
            return text?.split(separator: ")").last?.split(separator: " ").first == "T"
        }

        @Test func whoSendsNoMoreRows() async throws {
            try await expectTimedOut { client in
                try await client.copyOutRuns(
                    "COPY (SELECT repeat('x', 1000) FROM generate_series(1, 300000)) TO STDOUT", timeout: .hours(1), silenceMax: Self.limit
                ) { _ in kill(client.processID, SIGSTOP) }
            }
        }

        @Test func whoTakesNoMoreRows() async throws {
            try await expectTimedOut { client in
                _ = try await client.execute("CREATE TEMPORARY TABLE taken (n int)")
                try await client.copyIn("COPY taken FROM STDIN", from: Endless(process: client.processID), timeout: .hours(1), silenceMax: Self.limit)
            }
        }

        @Test func whoDoesNotEndACopy() async throws {
            try await expectTimedOut { client in
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
                do {
                    try await client.copyIn("COPY taken FROM STDIN", from: chunks, timeout: .hours(1), silenceMax: Self.limit)
                } catch {
                    #expect(sender.yield(ByteBuffer()).isTerminated, "the limit counted while there was no data")
                    try await waiting.value
                    throw error
                }
            }
        }

        @Test func whoIsSilentInAStream() async throws {
            try await expectTimedOut(replication: true) { client in
                let start = try #require(try await client.execute("IDENTIFY_SYSTEM").first?.rows.first?.text(2))
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
