import ClusterTestKit
import PostgresProcess
import ServerConfig
import Testing
import TestKit

extension FaultTests {
    /// Quick reads of many clients go down few connections, one behind the other: whatever becomes of one of them is nothing to the others.
    @Suite(
        .faultCluster { settings in
            settings.loops = 1
            settings.poolSizeMax = 2
            settings.poolShareWait = .seconds(1)
            settings.poolWaitTimeout = .seconds(60)
        }, .serialized)
    struct SharedConnectionTests {
        private let cluster: TestCluster
        private let keys: [Int64]

        init() async throws {
            cluster = try TestCluster.current
            keys = try await cluster.keys(on: 1, count: 40)
            let client = try await cluster.login()
            defer { client.close() }
            for key in keys { try await client.query("INSERT INTO kv VALUES (\(key), \(Self.value(of: key))) ON CONFLICT DO NOTHING") }
        }

        private static func value(of key: Int64) -> Int64 { key * 7919 % 100_003 }

        private func shared() async throws -> Double { try await cluster.metric("pgmosaic_pool_shared_reads_total", "\"shared\"") }
        private func moved() async throws -> Double { try await cluster.metric("pgmosaic_pool_shared_reads_total", "\"moved\"") }

        /// One read, in one protocol or the other; answers its one value, or its error.
        private static func read(_ client: WireClient, _ sql: (String) -> String, _ key: Int64, extended: Bool) async throws -> (String?, WireClient.Message?) {
            if extended {
                try await client.send(
                    WireMessages.parse("", sql("$1")) + WireMessages.bind("", "", ["\(key)"]) + WireMessages.describe("P", "") + WireMessages.execute("")
                        + WireMessages.sync)
            } else {
                try await client.send(WireMessages.query(sql("\(key)")))
            }
            let messages = try await client.until("Z")
            #expect(messages.last?.status == "I")
            let rows = messages.filter { $0.kind == "D" }
            let error = messages.first { $0.kind == "E" }
            // A server that ends between the row and the end of the answer leaves both.
            #expect(rows.count == 1 || error != nil && rows.isEmpty, "\(messages)")
            // Each answer is one unit's, and whole.
            if extended, error == nil { #expect(String(messages.map(\.kind)) == "12TDCZ", "\(messages)") }
            return (rows.first?.row.first ?? nil, error)
        }

        /// It takes the server long enough for others to come meanwhile.
        private static func plain(_ key: String) -> String { "SELECT v + 0 * length(repeat(md5(k::text), 2000)) FROM kv WHERE k = \(key)" }

        /// Clients that read at random, each answer compared; `allowed`: errors that a read may have.
        private func readers(
            _ count: Int, reads: Int, seed: UInt64, allowed: Set<String> = [],
            while others: @escaping @Sendable (Progress) async throws -> Void = { _ in }
        ) async throws {
            let progress = Progress()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<count {
                    group.addTask { [cluster, keys] in
                        var random = SeededGenerator(seed: seed &+ UInt64(number))
                        let client = try await cluster.login()
                        defer { client.close() }
                        var done = 0
                        while true {
                            let isOver = await progress.isOver
                            if isOver, done >= reads { break }
                            let key = keys.randomElement(using: &random)!
                            let extended = Bool.random(using: &random)
                            let (value, error) = try await Self.read(client, Self.plain, key, extended: extended)
                            if let error {
                                #expect(allowed.contains(error.sqlState ?? ""), "\(error)")
                            } else {
                                #expect(value == "\(Self.value(of: key))")
                            }
                            done += 1
                            await progress.count()
                        }
                    }
                }
                group.addTask {
                    defer { Task { await progress.end() } }
                    try await others(progress)
                }
                try await group.waitForAll()
            }
        }

        private actor Progress {
            private(set) var reads = 0
            private(set) var isOver = false
            func count() { reads += 1 }
            func end() { isOver = true }
            /// Waits until there were so many more.
            func more(_ count: Int, _ what: String) async throws {
                let goal = reads + count
                try await eventually("\(what): \(count) more reads") { await self.reads >= goal }
            }
        }

        // MARK: What must hold

        @Test func everyoneGetsTheirOwnAnswersAndErrors() async throws {
            try await untilShared { round in try await manyReads(seed: round) }
            try await cluster.expectNoLeak(clients: 0)
        }

        private func manyReads(seed: UInt64) async throws {
            try await readers(8, reads: 200, seed: seed) { [cluster, keys] progress in
                var random = SeededGenerator(seed: 77)
                let client = try await cluster.login()
                defer { client.close() }
                for round in 0..<200 {
                    let key = keys.randomElement(using: &random)!
                    let (_, error) = try await Self.read(
                        client, { "SELECT 1 / (v - v) FROM kv WHERE k = \($0)" }, key, extended: round.isMultiple(of: 2))
                    #expect(error?.sqlState == "22012")
                }
            }
        }

        /// Again and again until some of the reads have shared a connection: on a busy machine none is quick at first.
        private func untilShared(_ reads: (UInt64) async throws -> Void) async throws {
            let before = try await shared()
            for round in 0..<30 where try await shared() == before { try await reads(UInt64(round)) }
            #expect(try await shared() > before)
        }

        @Test func settingsOfOneAreNotThoseOfTheOthers() async throws {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<6 {
                    group.addTask { [cluster, keys] in
                        let client = try await cluster.login()
                        defer { client.close() }
                        let zone = ["UTC", "Asia/Tokyo", "America/New_York"][number % 3]
                        try await client.query("SET TimeZone = '\(zone)'")
                        for round in 0..<100 {
                            let (value, _) = try await Self.read(
                                client, { "SELECT current_setting('TimeZone') FROM kv WHERE k = \($0)" }, keys[round % keys.count],
                                extended: round.isMultiple(of: 3))
                            #expect(value == zone)
                        }
                    }
                }
                try await group.waitForAll()
            }
            try await cluster.expectNoLeak(clients: 0)
        }

        @Test func aCancelStopsNobodyElsesStatement() async throws {
            try await untilShared { round in try await readsAndCancels(seed: round) }
            try await cluster.expectNoLeak(clients: 0)
        }

        private func readsAndCancels(seed: UInt64) async throws {
            try await readers(6, reads: 100, seed: seed) { [cluster, keys] progress in
                let client = try await cluster.login()
                defer { client.close() }
                for round in 0..<300 {
                    let key = keys[round % keys.count]
                    try await client.send(WireMessages.query(Self.plain("\(key)")))
                    try await client.cancel(port: cluster.wirePort)
                    let messages = try await client.until("Z")
                    if let error = messages.first(where: { $0.kind == "E" }) {
                        #expect(error.sqlState == "57014")
                    } else {
                        #expect(messages.first { $0.kind == "D" }?.row == ["\(Self.value(of: key))"])
                    }
                }
                // One that surely runs; no late request is for it.
                let sleeper = try await cluster.login()
                defer { sleeper.close() }
                for _ in 0..<5 {
                    try await sleeper.send(WireMessages.query("SELECT pg_sleep(60) FROM kv WHERE k = \(keys[0])"))
                    try await eventually("it runs") {
                        try await cluster.onShard(1, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") != "0"
                    }
                    try await sleeper.cancel(port: cluster.wirePort)
                    #expect(try await sleeper.until("Z").contains { $0.sqlState == "57014" })
                }
            }
        }

        @Test func clientsThatVanishTakeNobodyWithThem() async throws {
            try await readers(6, reads: 100, seed: 3) { [cluster, keys] progress in
                for round in 0..<100 {
                    let client = try await cluster.login()
                    for part in 0..<3 {
                        let key = keys[(round + part) % keys.count]
                        let extended =
                            WireMessages.parse("", Self.plain("$1")) + WireMessages.bind("", "", ["\(key)"]) + WireMessages.execute("") + WireMessages.sync
                        try await client.send(round.isMultiple(of: 2) ? WireMessages.query(Self.plain("\(key)")) : extended)
                    }
                    client.close()
                }
            }
            try await cluster.expectNoLeak(clients: 0)
        }

        @Test func aReadThatIsHeldUpHoldsUpNobodyElse() async throws {
            let setup = try await cluster.login()
            try await setup.query("SELECT pgmosaic.shard_table('held', 'k')")
            try #require(try await setup.failure("CREATE TABLE held (k bigint PRIMARY KEY, v int)") == nil)
            for key in keys { try await setup.query("INSERT INTO held VALUES (\(key), 1)") }
            let sql = { @Sendable (key: String) in "SELECT v FROM held WHERE k = \(key)" }
            let before = try await moved()
            // Again and again: whether others are already behind it when it is held up is chance.
            for round in 0..<40 {
                for key in keys { #expect(try await Self.read(setup, sql, key, extended: false).0 == "1") }
                let lock = try await cluster.shardSession(1)
                try await lock.query("BEGIN")
                try await lock.query("LOCK TABLE held IN ACCESS EXCLUSIVE MODE")
                try await readers(6, reads: 20, seed: UInt64(round)) { [cluster, keys] progress in
                    try await progress.more(20, "before")
                    let held = try await cluster.login()
                    try await held.send(WireMessages.query(sql("\(keys[0])")))
                    try await eventually("it waits for the lock") {
                        try await cluster.onShard(1, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%held%'") != "0"
                    }
                    try await progress.more(100, "meanwhile")
                    try await held.cancel(port: cluster.wirePort)
                    #expect(try await held.until("Z").contains { $0.sqlState == "57014" })
                    held.close()
                }
                try await lock.query("ROLLBACK")
                lock.close()
                if try await moved() > before { break }
            }
            #expect(try await moved() > before)
            setup.close()
            try await cluster.expectNoLeak(clients: 0)
        }

        @Test func aServerSessionThatEndsCostsOneAnswerAtMost() async throws {
            try await readers(6, reads: 100, seed: 4, allowed: ["08006"]) { [cluster] progress in
                for _ in 0..<20 {
                    try await progress.more(20, "between two ends")
                    try await cluster.onShard(1, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pgmosaic' LIMIT 1")
                }
            }
            try await cluster.expectNoLeak(clients: 0)
        }

        @Test func aTransactionGetsAConnectionBetweenThem() async throws {
            let key = try await cluster.key(on: 1, from: 100_000)
            try await readers(8, reads: 50, seed: 5) { [cluster] progress in
                let client = try await cluster.login()
                defer { client.close() }
                try await client.query("INSERT INTO kv VALUES (\(key), 0)")
                for _ in 0..<50 {
                    #expect(try await client.failure("BEGIN") == nil)
                    #expect(try await client.failure("UPDATE kv SET v = v + 1 WHERE k = \(key)") == nil)
                    #expect(try await client.failure("COMMIT") == nil)
                }
                #expect(try await client.rows("SELECT v FROM kv WHERE k = \(key)") == [["50"]])
            }
            try await cluster.expectNoLeak(clients: 0)
        }

        @Test func aClientThatDoesNotReadHoldsUpNobody() async throws {
            let sql = { @Sendable (key: String) in "SELECT repeat('x', 300000) || v FROM kv WHERE k = \(key)" }
            let first = try await cluster.login()
            for key in keys { _ = try await Self.read(first, sql, key, extended: false) }
            first.close()
            try await readers(6, reads: 50, seed: 6) { [cluster, keys] progress in
                let client = try await WireClient.login(port: cluster.wirePort, receiveBuffer: 4096)
                for key in keys { try await client.send(WireMessages.query(sql("\(key)"))) }
                try await progress.more(300, "while it does not read")
                for key in keys {
                    let row = try await client.until("Z").first { $0.kind == "D" }?.row.first.flatMap { $0 }
                    #expect(row?.count == 300_000 + "\(Self.value(of: key))".count && row?.hasSuffix("x\(Self.value(of: key))") == true)
                }
                client.close()
            }
            try await cluster.expectNoLeak(clients: 0)
        }
    }
}
