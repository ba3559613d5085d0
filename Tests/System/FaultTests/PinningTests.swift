import ClusterTestKit
import Foundation
import PostgresProcess
import ServerConfig
import Testing

extension FaultTests {
    /// What cannot be carried from one server session to another keeps a client's session on its own, for as long as it is there.
    @Suite(.faultCluster { $0.pinnedSessionsMax = 3 }, .serialized)
    struct PinningTests {
        private let cluster: TestCluster

        init() throws { cluster = try TestCluster.current }

        /// The next notification: channel and payload.
        private func notification(_ client: WireClient) async throws -> [String] {
            let message = try #require(try await client.until("A").last)
            return message.body.dropFirst(4).split(separator: 0, omittingEmptySubsequences: false).prefix(2).map { String(decoding: $0, as: UTF8.self) }
        }

        private func isPinned(_ client: WireClient) async throws -> String? { try await client.rows("SHOW pgmosaic.session").first?[4] }

        // MARK: Pipelines

        /// The kept server session would stay in the pipeline's block, and swallow what comes later. Behind the error the pipeline waits for another
        /// shard's answers, so that it is known of when Sync comes.
        @Test(arguments: ["LISTEN a", "SELECT pg_advisory_lock(77)", "CREATE TEMP TABLE pinned (a int)"])
        func aPipelineThatFailsOnAnotherShardIsUndoneOnTheKeptOne(by statement: String) async throws {
            let keys = try await (0..<3).asyncMap { try await cluster.key(on: $0, from: Int64.random(in: 1...1_000_000_000_000)) }
            let (client, other) = (try await cluster.login(), try await cluster.login())
            #expect(try await client.failure(statement) == nil)
            let failing = "INSERT INTO kv VALUES (\(keys[1]), 1), (\(keys[1]), 2)"
            func run(_ sql: String) -> [UInt8] { WireMessages.parse("", sql) + WireMessages.bind("", "") + WireMessages.execute("") }
            for last in ["SELECT v FROM kv WHERE k = \(keys[0])", "SELECT v FROM kv WHERE k = \(keys[2])", "SELECT 1", "SAVEPOINT s"] {
                try await client.send(run("INSERT INTO kv VALUES (\(keys[0]), 1)") + run(failing) + run(last) + WireMessages.sync)
                #expect(try await client.until("Z").map(\.description).suffix(2) == ["E(23505)", "Z(I)"], "\(last)")
                #expect(try await other.rows("SELECT v FROM kv WHERE k = \(keys[0])") == [], "\(last)")
                #expect(try await client.rows("SELECT v FROM kv WHERE k = \(keys[0])") == [], "\(last)")
                // What comes later is committed by itself.
                #expect(try await client.failure("INSERT INTO kv VALUES (\(keys[0]), 5)") == nil)
                #expect(try await other.rows("SELECT v FROM kv WHERE k = \(keys[0])") == [["5"]], "\(last)")
                #expect(try await client.failure("DELETE FROM kv WHERE k = \(keys[0])") == nil)
            }
            for client in [client, other] { client.close() }
            try await cluster.expectNoLeak(clients: 0)
        }

        // MARK: LISTEN

        @Test func aNotificationReachesAnIdleListener() async throws {
            let (listener, sender) = (try await cluster.login(), try await cluster.login())
            #expect(try await listener.query("LISTEN news").map(\.description) == ["C(LISTEN)", "Z(I)"])
            #expect(try await listener.rows("SHOW pgmosaic.session").first?[4...6] == ["yes", "listen", "s1"])
            #expect(try await cluster.metric("pgmosaic_sessions_pinned", "listen") == 1)
            #expect(try await sender.failure("NOTIFY news, 'one'") == nil)
            #expect(try await notification(listener) == ["news", "one"])
            #expect(try await sender.failure("SELECT pg_notify('news', 'two')") == nil)
            #expect(try await notification(listener) == ["news", "two"])
            // Past the router, on the home shard.
            try await cluster.onShard(0, "NOTIFY news, 'three'")
            #expect(try await notification(listener) == ["news", "three"])
            // The listener still reaches every shard.
            for shard in 0..<3 {
                let key = try await cluster.key(on: shard)
                #expect(try await listener.failure("SELECT v FROM kv WHERE k = \(key)") == nil)
            }
            #expect(try await listener.rows("SELECT * FROM pg_listening_channels()") == [["news"]])
            #expect(try await sender.rows("SELECT * FROM pg_listening_channels()").isEmpty)
            #expect(try await listener.query("UNLISTEN *").map(\.description) == ["C(UNLISTEN)", "Z(I)"])
            #expect(try await isPinned(listener) == "no")
            try await cluster.expectNoLeak()
            listener.close()
            sender.close()
            try await cluster.expectNoLeak(clients: 0)
        }

        @Test func aNotificationOfATransactionComesWithItsCommit() async throws {
            let (listener, sender) = (try await cluster.login(), try await cluster.login())
            try await listener.query("LISTEN news")
            let (here, there) = (try await cluster.keys(on: 1, from: 700)[0], try await cluster.keys(on: 2, from: 700)[0])
            for (end, expected) in [("ROLLBACK", 0), ("COMMIT", 1)] {
                for statement in ["BEGIN", "INSERT INTO kv VALUES (\(here), 1)", "NOTIFY news, '\(end)'", "INSERT INTO kv VALUES (\(there), 1)"] {
                    #expect(try await sender.failure(statement) == nil, "\(statement)")
                }
                #expect(try await sender.query(end).map(\.description) == ["C(\(end))", "Z(I)"])
                #expect(try await sender.rows("SELECT k FROM kv WHERE k = \(there)").count == expected)
            }
            // The one that was rolled back never came.
            #expect(try await notification(listener) == ["news", "COMMIT"])
            try await cluster.settled()
            listener.close()
            sender.close()
            try await cluster.expectNoLeak(clients: 0)
        }

        @Test func notificationsDoNotTearAnotherShardsAnswer() async throws {
            let (listener, sender) = (try await cluster.login(), try await cluster.login())
            try await listener.query("LISTEN news")
            let key = try await cluster.key(on: 2)
            // Rows of a megabyte are passed on in pieces, with notifications of the home shard between them.
            try await listener.send(WireMessages.query("SELECT repeat('x', 1000000) FROM generate_series(1, 60), (SELECT count(*) FROM kv WHERE k = \(key)) c"))
            for number in 1...30 { #expect(try await sender.failure("NOTIFY news, '\(number)'") == nil) }
            let answer = try await listener.until("Z")
            #expect(answer.filter { $0.kind == "D" }.count == 60 && answer.filter { $0.kind == "D" }.allSatisfy { $0.body.count == 1_000_006 })
            var heard = answer.filter { $0.kind == "A" }.count
            while heard < 30 {
                _ = try await notification(listener)
                heard += 1
            }
            listener.close()
            sender.close()
            try await cluster.expectNoLeak(clients: 0)
        }

        @Test func aListenThatWasRolledBackKeepsNothing() async throws {
            let client = try await cluster.login()
            for statement in ["BEGIN", "LISTEN news", "ROLLBACK"] { #expect(try await client.failure(statement) == nil) }
            #expect(try await isPinned(client) == "no")
            for statement in ["BEGIN", "LISTEN news", "SELECT 1/0"] { _ = try await client.query(statement) }
            #expect(try await client.query("COMMIT").map(\.description) == ["C(ROLLBACK)", "Z(I)"])
            #expect(try await isPinned(client) == "no")
            client.close()
            try await cluster.expectNoLeak(clients: 0)
        }

        // MARK: Advisory locks

        @Test func aSessionLockIsHeldByTheSessionAndNobodyElse() async throws {
            let (first, second) = (try await cluster.login(), try await cluster.login())
            for _ in 0..<2 { #expect(try await first.failure("SELECT pg_advisory_lock(7)") == nil) }
            #expect(try await isPinned(first) == "yes")
            // Whatever shard its statements go to in between.
            for shard in 0..<3 { let key = try await cluster.key(on: shard)
                #expect(try await second.rows("SELECT count(*) FROM kv WHERE k = \(key) AND v < 0") == [["0"]])
            }
            for _ in 0..<4 { #expect(try await second.rows("SELECT pg_try_advisory_lock(7)") == [["f"]]) }
            #expect(try await isPinned(second) == "no")
            #expect(try await first.rows("SELECT pg_advisory_unlock(7)") == [["t"]])
            #expect(try await isPinned(first) == "yes")
            #expect(try await second.rows("SELECT pg_try_advisory_lock(7)") == [["f"]])
            #expect(try await first.rows("SELECT pg_advisory_unlock(7)") == [["t"]])
            #expect(try await isPinned(first) == "no")
            #expect(try await second.rows("SELECT pg_try_advisory_lock(7)") == [["t"]])
            #expect(try await first.rows("SELECT pg_advisory_unlock(7)") == [["f"]])
            #expect(try await second.failure("SELECT pg_advisory_unlock_all()") == nil)
            #expect(try await isPinned(second) == "no")
            first.close()
            second.close()
            try await cluster.expectNoLeak(clients: 0)
        }

        @Test(arguments: ["DISCARD ALL", "hang up", "terminate"])
        func whatASessionKeptEndsWithIt(how: String) async throws {
            let (first, second) = (try await cluster.login(), try await cluster.login())
            #expect(try await first.failure("SELECT pg_advisory_lock(8)") == nil)
            #expect(try await second.rows("SELECT pg_try_advisory_lock(8)") == [["f"]])
            switch how {
            case "hang up": first.close()
            case "terminate":
                try await first.send(WireMessages.terminate)
                _ = try await first.untilEnd()
            default:
                #expect(try await first.query(how).map(\.description) == ["C(DISCARD ALL)", "Z(I)"])
                #expect(try await isPinned(first) == "no")
            }
            try await eventually("the lock is free") { try await second.rows("SELECT pg_try_advisory_lock(8)") == [["t"]] }
            first.close()
            second.close()
            try await cluster.expectNoLeak(clients: 0)
        }

        // MARK: Cursors

        @Test func aHeldCursorOutlivesItsTransaction() async throws {
            let client = try await cluster.login()
            let (key, other) = (try await cluster.keys(on: 2, from: 800)[0], try await cluster.keys(on: 1, from: 800)[0])
            for statement in ["BEGIN", "DECLARE c CURSOR WITH HOLD FOR SELECT g FROM kv RIGHT JOIN generate_series(1, 5) g ON k = \(key) WHERE k = \(key) OR k IS NULL", "ROLLBACK"] {
                _ = try await client.query(statement)
            }
            #expect(try await isPinned(client) == "no")
            #expect(try await client.failure("INSERT INTO kv VALUES (\(key), 5)") == nil)
            for statement in ["BEGIN", "DECLARE c CURSOR WITH HOLD FOR SELECT v FROM kv WHERE k = \(key) UNION ALL VALUES (6), (7)", "COMMIT"] {
                #expect(try await client.failure(statement) == nil, "\(statement)")
            }
            #expect(try await client.rows("SHOW pgmosaic.session").first?[4...6] == ["yes", "held_cursor", "s3"])
            #expect(try await client.rows("FETCH c") == [["5"]])
            #expect(try await client.failure("BEGIN") == nil)
            #expect(try await client.failure("INSERT INTO kv VALUES (\(other), 1)") == nil)
            #expect(try await client.rows("FETCH ALL c") == [["6"], ["7"]])
            #expect(try await client.failure("COMMIT") == nil)
            #expect(try await client.query("CLOSE c").map(\.description) == ["C(CLOSE CURSOR)", "Z(I)"])
            #expect(try await isPinned(client) == "no")
            #expect(try await client.failure("FETCH c") == "34000")
            client.close()
            try await cluster.settled()
            try await cluster.expectNoLeak(clients: 0)
        }

        @Test func eachCursorOfATransactionStaysOnItsShard() async throws {
            let client = try await cluster.login()
            let (first, second) = (try await cluster.keys(on: 1, from: 900)[0], try await cluster.keys(on: 2, from: 900)[0])
            #expect(try await client.failure("INSERT INTO kv VALUES (\(first), 1)") == nil)
            #expect(try await client.failure("INSERT INTO kv VALUES (\(second), 2)") == nil)
            for statement in ["BEGIN", "DECLARE a CURSOR FOR SELECT v FROM kv WHERE k = \(first)", "DECLARE b CURSOR FOR SELECT v FROM kv WHERE k = \(second)"] {
                #expect(try await client.failure(statement) == nil, "\(statement)")
            }
            #expect(try await client.rows("FETCH a") == [["1"]])
            #expect(try await client.rows("FETCH b") == [["2"]])
            #expect(try await client.failure("DECLARE a CURSOR FOR SELECT v FROM kv WHERE k = \(second)") == "42P03")
            #expect(try await client.failure("ROLLBACK") == nil)
            client.close()
            try await cluster.expectNoLeak(clients: 0)
        }

        @Test func aCursorsNameIsFreeOnEveryShardBehindItsEnd() async throws {
            let client = try await cluster.login()
            let declare = try await (1...2).asyncMap { "DECLARE c CURSOR FOR SELECT v FROM kv WHERE k = \(try await cluster.key(on: $0))" }
            for statement in [
                "BEGIN", declare[0], "CLOSE c", declare[1], "CLOSE ALL", declare[0], "ROLLBACK AND CHAIN", declare[1], "COMMIT AND CHAIN", declare[0], "COMMIT",
            ] {
                #expect(try await client.failure(statement) == nil, "\(statement)")
            }
            client.close()
            try await cluster.expectNoLeak(clients: 0)
        }

        /// The block that the router opens for a pipeline on several shards is not the client's.
        @Test func aLockOutsideOfABlockIsRefusedInEveryPipeline() async throws {
            let client = try await cluster.login()
            func run(_ sql: String) -> [UInt8] { WireMessages.parse("", sql) + WireMessages.bind("", "") + WireMessages.execute("") }
            let deletes = try await (1...2).asyncMap { "DELETE FROM kv WHERE k = \(try await cluster.keys(on: $0, from: 950)[0])" }
            for sql in deletes { #expect(try await client.failure(sql) == nil) }
            for pipeline in [[], deletes] {
                try await client.send(pipeline.flatMap(run) + run("LOCK TABLE notes") + WireMessages.sync)
                #expect(try await client.until("Z").map(\.description).suffix(4) == ["1", "2", "E(25P01)", "Z(I)"])
            }
            try await client.send(run("BEGIN") + deletes.flatMap(run) + run("LOCK TABLE notes") + run("ROLLBACK") + WireMessages.sync)
            #expect(try await client.until("Z").map(\.description).contains("C(LOCK TABLE)"))
            client.close()
            try await cluster.expectNoLeak(clients: 0)
        }

        // MARK: Faults and limits

        @Test(arguments: [true, false])
        func aSessionThatLostWhatItKeptEndsWithAnError(isIdle: Bool) async throws {
            let (first, second) = (try await cluster.login(), try await cluster.login())
            #expect(try await first.failure("SELECT pg_advisory_lock(9)") == nil)
            if !isIdle {
                try await first.send(WireMessages.query("SELECT pg_sleep(60), pg_advisory_lock(10)"))
                try await eventually("it sleeps") { try await cluster.onShard(0, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == "1" }
            }
            try await eventually("the lock is seen") {
                try await cluster.onShard(0, "SELECT count(pg_terminate_backend(pid)) FROM pg_locks WHERE locktype = 'advisory' AND objid = 9") == "1"
            }
            let end = try await first.untilEnd()
            let error = try #require(end.last { $0.kind == "E" })
            #expect(error.field("V") == "FATAL" && ["08006", "08007"].contains(error.sqlState), "\(end)")
            #expect(error.field("D")?.contains("57P01") == true)
            try await eventually("the lock is free") { try await second.rows("SELECT pg_try_advisory_lock(9)") == [["t"]] }
            first.close()
            second.close()
            try await cluster.expectNoLeak(clients: 0)
        }

        @Test func noMoreSessionsAreKeptThanTheLimitSays() async throws {
            var clients: [WireClient] = []
            for number in 1...3 {
                clients.append(try await cluster.login())
                #expect(try await clients[number - 1].failure("SELECT pg_advisory_lock(\(100 + number))") == nil)
            }
            let late = try await cluster.login()
            #expect(try await late.failure("LISTEN news") == "53300")
            #expect(try await late.failure("SELECT 1") == nil)
            // As the first statement of a block, behind a BEGIN that the shard has not answered yet.
            for _ in 0..<3 {
                try await late.query("BEGIN")
                #expect(try await late.query("LISTEN news").map(\.description) == ["E(53300)", "Z(E)"])
                #expect(try await late.query("ROLLBACK").map(\.description) == ["C(ROLLBACK)", "Z(I)"])
                try await late.query("BEGIN")
                try await late.send(WireMessages.parse("", "LISTEN news") + WireMessages.bind("", "") + WireMessages.execute("") + WireMessages.sync)
                #expect(try await late.until("Z").map(\.description).suffix(2) == ["E(53300)", "Z(E)"])
                #expect(try await late.query("ROLLBACK").map(\.description) == ["C(ROLLBACK)", "Z(I)"])
                #expect(try await late.rows("SELECT 7") == [["7"]])
            }
            #expect(try await clients[0].failure("LISTEN news") == nil, "what is kept already may keep more")
            #expect(try await clients[1].failure("SELECT pg_advisory_unlock_all()") == nil)
            // Its own next answer comes after its shard connection has been given back.
            #expect(try await isPinned(clients[1]) == "no")
            #expect(try await late.failure("LISTEN news") == nil)
            for client in clients + [late] { client.close() }
            try await cluster.expectNoLeak(clients: 0)
        }

        @Test func theExtendedProtocolKeepsAlike() async throws {
            let client = try await cluster.login()
            let run = { (sql: String) in WireMessages.parse("", sql) + WireMessages.bind("", "") + WireMessages.describe("P", "") + WireMessages.execute("") }
            try await client.send(run("SELECT pg_advisory_lock(11)") + WireMessages.sync)
            #expect(try await client.until("Z").map(\.description) == ["1", "2", "T", "D()", "C(SELECT 1)", "Z(I)"])
            #expect(try await isPinned(client) == "yes")
            try await client.send(run("LISTEN news") + run("NOTIFY news, 'own'") + WireMessages.sync)
            let messages = try await client.until("Z").map(\.description)
            #expect(messages == ["1", "2", "n", "C(LISTEN)", "1", "2", "n", "C(NOTIFY)", "A", "Z(I)"])
            try await client.send(run("SELECT pg_advisory_unlock(11)") + run("UNLISTEN news") + WireMessages.sync)
            _ = try await client.until("Z")
            #expect(try await isPinned(client) == "no")
            client.close()
            try await cluster.expectNoLeak(clients: 0)
        }
    }
}
