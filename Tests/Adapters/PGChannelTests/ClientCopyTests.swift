import NIOCore
import PGChannel
import PGWire
import PostgresProcess
import Synchronization
import Testing

extension RealServerTests {
    @Suite struct ClientCopyTests {
        private struct SourceFailure: Error {}

        private func chunks(_ texts: [String], failing: Bool = false) -> AsyncThrowingStream<ByteBuffer, any Error> {
            AsyncThrowingStream { continuation in
                for text in texts { continuation.yield(ByteBuffer(string: text)) }
                continuation.finish(throwing: failing ? SourceFailure() : nil)
            }
        }

        private func count(_ client: PGClient, _ table: String) async throws -> Int? {
            try await client.query("SELECT count(*) FROM \(table)").rows.first?.integer(0)
        }

        @Test func copiedRowsArriveWhereverTheirChunksAreCut() async throws {
            try await RealServer.withClient { client in
                try await client.execute("CREATE TEMP TABLE c (id int, v text)")
                #expect(try await client.copyIn("COPY c FROM STDIN", from: chunks(["1\ton", "e\n2\t", "", "\\N\n"])) == 2)
                #expect(try await client.copyIn("COPY c FROM STDIN (FORMAT csv)", from: chunks(["3,\"a,\"\"b\"\n"])) == 1)
                #expect(try await client.copyIn("COPY c FROM STDIN", from: chunks([])) == 0)
                let rows = try await client.query("SELECT id, v FROM c ORDER BY id").rows
                #expect(rows.map { $0.text(1) } == ["one", nil, "a,\"b"])
            }
        }

        @Test func manyMegabytesGoInAndComeOutTheSame() async throws {
            try await RealServer.withClient { client in
                try await client.execute("CREATE TEMP TABLE big (line text)")
                let line = String(repeating: "0123456789", count: 100) + "\n"
                let chunk = String(repeating: line, count: 1500)
                #expect(try await client.copyIn("COPY big FROM STDIN", from: chunks([String](repeating: chunk, count: 8))) == 12_000)
                let received = Mutex(0)
                let rows = try await client.copyOut("COPY big TO STDOUT") { piece in
                    received.withLock { $0 += piece.readableBytes }
                }
                #expect(rows == 12_000)
                #expect(received.withLock { $0 } == 12_000 * line.utf8.count)
            }
        }

        @Test func aFaultyRowUndoesTheCopyAndNamesItsLine() async throws {
            try await RealServer.withClient { client in
                try await client.execute("CREATE TEMP TABLE f (id int)")
                let error = try #require(
                    await #expect(throws: PGClientError.self) { _ = try await client.copyIn("COPY f FROM STDIN", from: chunks(["1\n", "x\n", "3\n"])) })
                #expect(error.sqlState == .invalidTextRepresentation)
                #expect(error.serverError?[.context]?.contains("line 2") == true)
                #expect(try await count(client, "f") == 0)
            }
        }

        @Test func aSourceThatFailsUndoesTheCopy() async throws {
            try await RealServer.withClient { client in
                try await client.execute("CREATE TEMP TABLE s (id int)")
                let error = try #require(
                    await #expect(throws: PGClientError.self) {
                        _ = try await client.copyIn("COPY s FROM STDIN", from: chunks(["1\n"], failing: true))
                    })
                guard case .copySource(let cause) = error.cause else {
                    Issue.record("\(error)")
                    return
                }
                #expect(cause is SourceFailure)
                #expect(try await count(client, "s") == 0)
            }
        }

        @Test func aCopyThatCannotStartIsTheServersError() async throws {
            try await RealServer.withClient { client in
                let error = await #expect(throws: PGClientError.self) { _ = try await client.copyIn("COPY nowhere FROM STDIN", from: chunks(["1\n"])) }
                #expect(error?.sqlState == .undefinedTable)
                let out = await #expect(throws: PGClientError.self) { _ = try await client.copyOut("COPY nowhere TO STDOUT") { _ in } }
                #expect(out?.sqlState == .undefinedTable)
                let next = try await client.query("SELECT 1")
                #expect(next.rows.count == 1)
            }
        }

        @Test func aConsumerThatFailsEndsTheCopyAndKeepsTheSession() async throws {
            try await RealServer.withClient { client in
                await #expect(throws: SourceFailure.self) {
                    try await client.copyOut("COPY (SELECT repeat('x', 1000) FROM generate_series(1, 20000)) TO STDOUT") { _ in throw SourceFailure() }
                }
                let next = try await client.query("SELECT 1")
                #expect(next.rows.count == 1)
            }
        }

        @Test func aConsumerThatIsCancelledWhileTheLineIsFullKeepsTheSession() async throws {
            try await RealServer.withClient { client in
                let copy = Task {
                    try await client.copyOut("COPY (SELECT repeat('x', 1000) FROM generate_series(1, 20000)) TO STDOUT") { _ in
                        try await Task.sleep(for: .seconds(60))
                    }
                }
                // Long enough for the sink to fill up, and the reading to stop.
                try await Task.sleep(for: .milliseconds(200))
                copy.cancel()
                await #expect(throws: (any Error).self) { try await copy.value }
                // Were the line still blocked, the client would have closed it.
                let next = try await client.query("SELECT 1")
                #expect(next.rows.count == 1)
            }
        }

        @Test(arguments: ["COPY q FROM STDIN", "COPY q TO STDOUT"]) func copyInAPlainQueryIsRefusedAndTheSessionGoesOn(_ sql: String) async throws {
            try await RealServer.withClient { client in
                try await client.execute("CREATE TEMP TABLE q (id int); INSERT INTO q VALUES (1)")
                for call: @Sendable (PGClient) async throws -> Void in [{ _ = try await $0.query(sql) }, { try await $0.execute(sql) }] {
                    let error = try #require(await #expect(throws: PGClientError.self) { try await call(client) })
                    guard case .invalidCall = error.cause else {
                        Issue.record("\(error)")
                        continue
                    }
                }
                #expect(try await count(client, "q") == 1)
            }
        }

        @Test func aStatementThatIsNoCopyIsRefusedInItsPlace() async throws {
            try await RealServer.withClient { client in
                let into = await #expect(throws: PGClientError.self) { _ = try await client.copyIn("SELECT 1", from: chunks(["1\n"])) }
                let out = await #expect(throws: PGClientError.self) {
                    _ = try await client.copyOut("SELECT 1") { _ in Issue.record("rows are no copied data") }
                }
                let crossed = await #expect(throws: PGClientError.self) { _ = try await client.copyIn("COPY (SELECT 1) TO STDOUT", from: chunks(["1\n"])) }
                for error in [into, out, crossed] {
                    guard case .invalidCall? = error?.cause else {
                        Issue.record("\(String(describing: error))")
                        continue
                    }
                }
                let next = try await client.query("SELECT 1")
                #expect(next.rows.count == 1)
            }
        }
    }
}
