import NIOCore
import NIOPosix
import PGChannel
import PGWire
import PostgresProcess
import Testing

extension RealServerTests {
    @Suite struct ClientTests {
        private func failure(_ client: PGClient, _ body: (PGClient) async throws -> Void) async throws -> PGClientError {
            try #require(await #expect(throws: PGClientError.self) { try await body(client) })
        }

        @Test func parametersGoAsTextOrBinaryAndResultsComeWithTheirTypes() async throws {
            try await RealServer.withClient { client in
                let parameters: [PGParameter] = [
                    .integer(42), "text", nil, .bool(true), .binary(ByteBuffer(integer: Int64(-7)), typeOID: 20), .text("1.50", typeOID: 1700),
                ]
                let sql = "SELECT $1::int4 AS i, $2::text AS t, $3::text AS n, $4::bool AS b, $5 AS w, $6 AS d"
                let result = try await client.query(sql, parameters)
                #expect(result.columns.map(\.name) == ["i", "t", "n", "b", "w", "d"])
                #expect(result.columns.map(\.typeOID) == [23, 25, 25, 16, 20, 1700])
                #expect(result.index(ofColumn: "w") == 4)
                let row = try #require(result.rows.first)
                #expect((0..<row.count).map { row.text($0) } == ["42", "text", nil, "t", "-7", "1.50"])
                #expect(row.integer(0) == 42)
                #expect(row.bool(3) == true)
                #expect(row[2] == nil)
                #expect(result.rowsAffected == 1)
                var binary = PGClient.QueryOptions()
                binary.resultFormat = .binary
                let again = try await client.query(sql, parameters, options: binary)
                #expect(again.columns.allSatisfy { $0.format == .binary })
                #expect(again.rows.first?[0] == ByteBuffer(integer: Int32(42)))
                #expect(again.rows.first?[4] == ByteBuffer(integer: Int64(-7)))
            }
        }

        @Test func everyByteOfAValueSurvives() async throws {
            try await RealServer.withClient { client in
                let bytes = ByteBuffer(bytes: (0...255).map { UInt8($0) })
                var options = PGClient.QueryOptions()
                options.resultFormat = .binary
                let result = try await client.query("SELECT $1::bytea", [.binary(bytes, typeOID: 17)], options: options)
                #expect(result.rows.first?[0] == bytes)
                #expect(try await client.query("SELECT $1::text", [""]).rows.first?.text(0) == "")
                #expect(try await client.query("SELECT $1::text", ["日本語 '\"\\; DROP"]).rows.first?.text(0) == "日本語 '\"\\; DROP")
            }
        }

        @Test func commandsGiveTheirTagsAndEmptyStatementsNone() async throws {
            try await RealServer.withClient { client in
                try await client.execute("CREATE TEMP TABLE t (id int PRIMARY KEY, v text)")
                #expect(try await client.query("INSERT INTO t SELECT i, 'x' FROM generate_series(1, 5) i").rowsAffected == 5)
                #expect(try await client.query("UPDATE t SET v = 'y' WHERE id < $1", [.integer(3)]).tag?.text == "UPDATE 2")
                #expect(try await client.query("").tag == nil)
                let results = try await client.execute("SELECT 1; ; DELETE FROM t; SELECT 2, 3")
                #expect(results.map(\.tag?.text) == ["SELECT 1", "DELETE 5", "SELECT 1"])
                #expect(results.last?.rows.first?.integer(1) == 3)
                #expect(try await client.execute("").count == 1)
            }
        }

        @Test func anErrorHasAllItsFieldsAndTheSessionGoesOn() async throws {
            try await RealServer.withClient { client in
                try await client.execute("CREATE TEMP TABLE u (id int PRIMARY KEY); INSERT INTO u VALUES (1)")
                let error = try await failure(client) { _ = try await $0.query("INSERT INTO u VALUES ($1)", [.integer(1)]) }
                #expect(error.sqlState == .uniqueViolation)
                #expect(error.execution == .didNotRun)
                #expect(error.serverError?.constraint == "u_pkey")
                #expect(error.serverError?.detail == "Key (id)=(1) already exists.")
                #expect(!"\(error)".contains("(1)"))
                let syntax = try await failure(client) { _ = try await $0.query("SELECT nonsense FROM") }
                #expect(syntax.serverError?.position != nil)
                // The statement before the failing one is undone with it: the script is one transaction.
                let script = try await failure(client) { try await $0.execute("INSERT INTO u VALUES (2); SELECT 1/0; INSERT INTO u VALUES (3)") }
                #expect(script.sqlState.code == "22012")
                #expect(try await client.query("SELECT count(*) FROM u").rows.first?.integer(0) == 1)
            }
        }

        @Test func noticesComeWithTheirResult() async throws {
            try await RealServer.withClient { client in
                let results = try await client.execute("DO $$ BEGIN RAISE WARNING 'careful %', 7 USING HINT = 'h'; END $$")
                let notice = try #require(results.first?.notices.first)
                #expect(notice.message == "careful 7")
                #expect(notice.severity == .warning)
                #expect(notice.hint == "h")
                #expect(try await client.query("SELECT 1").notices.isEmpty)
                // Bounded.
                let many = try await client.execute("DO $$ BEGIN FOR i IN 1..500 LOOP RAISE NOTICE '%', i; END LOOP; END $$")
                #expect(many.first?.notices.count == 100)
            }
        }

        @Test func aLimitOfRowsIsKeptAndSaysWhetherThereWereMore() async throws {
            try await RealServer.withClient { client in
                for (limit, count, isTruncated) in [(3, 3, true), (5, 5, false), (6, 5, false), (0, 0, true), (.max, 5, false), (-1, 0, true)] {
                    let result = try await client.query("SELECT generate_series(1, 5)", options: .init(rowsMax: limit))
                    #expect(result.rows.count == count)
                    #expect(result.isTruncated == isTruncated, "limit \(limit)")
                    #expect((result.tag == nil) == isTruncated)
                }
                // The portal is closed with it: no transaction stays open.
                #expect(try await client.execute("SELECT count(*) FROM pg_cursors").first?.rows.first?.integer(0) == 0)
            }
        }

        @Test func aResultBeyondItsBytesFailsAndHoldsNothing() async throws {
            try await RealServer.withClient { client in
                var options = PGClient.QueryOptions()
                options.bytesMax = 10_000
                let error = try await failure(client) { _ = try await $0.query("SELECT repeat('x', 1000) FROM generate_series(1, 100)", options: options) }
                guard case .resultTooLarge = error.cause else {
                    Issue.record("\(error)")
                    return
                }
                #expect(error.execution == .ran)
                #expect(try await client.query("SELECT 1").rows.count == 1)
            }
        }

        @Test func largeResultsAndLargeValuesAreWhole() async throws {
            try await RealServer.withClient { client in
                let result = try await client.query("SELECT i, repeat('y', 20) FROM generate_series(1, 50000) i")
                #expect(result.rows.count == 50_000)
                #expect(result.rows.last?.integer(0) == 50_000)
                let text = String(repeating: "z", count: 8 << 20)
                #expect(try await client.query("SELECT length($1::text), $1::text", [.text(text)]).rows.first?[1]?.readableBytes == 8 << 20)
            }
        }

        @Test func callsMadeAtOnceAreAnsweredEachWithItsOwn() async throws {
            try await RealServer.withClient { client in
                try await withThrowingTaskGroup(of: (Int, Int?).self) { group in
                    for number in 0..<200 {
                        group.addTask { (number, try await client.query("SELECT $1::int", [.integer(number)]).rows.first?.integer(0)) }
                    }
                    for try await (asked, answered) in group { #expect(asked == answered) }
                }
            }
        }

        // MARK: Cancelling

        @Test func aCallThatTakesTooLongIsCancelledOnTheServer() async throws {
            try await RealServer.withClient { client in
                let clock = ContinuousClock()
                var error: PGClientError?
                let took = try await clock.measure {
                    error = try await failure(client) { _ = try await $0.query("SELECT pg_sleep(600)", options: .init(timeout: .seconds(1))) }
                }
                guard case .timedOut? = error?.cause else {
                    Issue.record("\(String(describing: error))")
                    return
                }
                #expect(error?.execution == .unknown)
                #expect(took < .seconds(300))
                // The next call is not hit by the cancel request.
                #expect(try await client.query("SELECT 1").rows.count == 1)
            }
        }

        @Test func aCancelledTaskEndsItsCallAndLeavesOthersAlone() async throws {
            try await RealServer.withClient { client in
                let sleeping = Task { try await client.query("SELECT pg_sleep(300)") }
                try await RealServer.current.waitUntilRunning(client)
                let waiting = Task { try await client.query("SELECT 1") }
                let dropped = Task { try await client.query("SELECT 2") }
                dropped.cancel()
                sleeping.cancel()
                let error = await #expect(throws: PGClientError.self) { _ = try await sleeping.value }
                #expect(error?.execution == .unknown)
                #expect(try await waiting.value.rows.count == 1)
                let unsent = await #expect(throws: PGClientError.self) { _ = try await dropped.value }
                #expect(unsent?.execution == .didNotRun)
            }
        }

        // MARK: What the server tells on its own

        @Test func notificationsArrive() async throws {
            try await RealServer.withClient { client in
                try await client.execute("LISTEN shape_changes")
                try await RealServer.current.server.psql("NOTIFY shape_changes, 'first'; NOTIFY shape_changes, 'second'")
                var iterator = client.notifications.makeAsyncIterator()
                #expect(await iterator.next()?.payload == "first")
                let second = await iterator.next()
                #expect(second?.payload == "second")
                #expect(second?.channel == "shape_changes")
                #expect(second?.processID != client.processID)
            }
        }

        @Test func changedSettingsAreSeen() async throws {
            try await RealServer.withClient { client in
                #expect(client.parameterStatuses["TimeZone"] == "Etc/UTC")
                try await client.execute("SET TimeZone = 'Asia/Tokyo'")
                #expect(client.parameterStatuses["TimeZone"] == "Asia/Tokyo")
                var changes = client.parameterChanges.makeAsyncIterator()
                #expect(await changes.next()?.value == "Asia/Tokyo")
            }
        }

        @Test func aSessionThatIsTerminatedFailsItsCallsAndEndsItsStreams() async throws {
            let client = try await RealServer.current.client()
            let sleeping = Task { try await client.query("SELECT pg_sleep(300)") }
            try await RealServer.current.waitUntilRunning(client)
            let waiting = Task { try await client.query("SELECT 1") }
            try await Task.sleep(for: .milliseconds(100))
            try await RealServer.current.server.psql("SELECT pg_terminate_backend(\(client.processID))")
            let error = await #expect(throws: PGClientError.self) { _ = try await sleeping.value }
            #expect(error?.sqlState == .adminShutdown)
            #expect(error?.execution == .unknown)
            let unsent = await #expect(throws: PGClientError.self) { _ = try await waiting.value }
            #expect(unsent?.execution == .didNotRun)
            for await _ in client.notifications {}
            try await client.onClose.get()
            #expect(!client.isOpen)
            let late = try await failure(client) { _ = try await $0.query("SELECT 1") }
            #expect(late.execution == .didNotRun)
            guard case .connectionClosed = late.cause else {
                Issue.record("\(late)")
                return
            }
        }

        @Test func closingLeavesNoSessionBehind() async throws {
            let client = try await RealServer.current.client()
            let processID = client.processID
            await client.close()
            await client.close()
            try await RealServer.withClient { other in
                var sessions: Int?
                for _ in 0..<6000 where sessions != 0 {
                    sessions = try await other.query("SELECT count(*) FROM pg_stat_activity WHERE pid = $1", [.integer(processID)]).rows.first?.integer(0)
                    if sessions != 0 { try await Task.sleep(for: .milliseconds(10)) }
                }
                #expect(sessions == 0)
            }
        }

        @Test func callsThatCannotBeSentAreRefused() async throws {
            try await RealServer.withClient { client in
                let calls: [@Sendable (PGClient) async throws -> Void] = [
                    { _ = try await $0.query("SELECT 1\0; SELECT 2") }, { try await $0.execute("SELECT 1\0") },
                    { _ = try await $0.query("SELECT 1", [PGParameter](repeating: nil, count: 65_536)) },
                ]
                for call in calls {
                    let error = try await failure(client, call)
                    guard case .invalidCall = error.cause else {
                        Issue.record("\(error)")
                        continue
                    }
                    #expect(error.execution == .didNotRun)
                }
            }
        }
    }
}
