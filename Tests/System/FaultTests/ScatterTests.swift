import ClusterTestKit
import PostgresProcess
import ServerConfig
import TestKit
import Testing

extension FaultTests {
    /// Pipelines of reads that several shards answer at the same time.
    @Suite(
        .faultCluster { settings in
            settings.loops = 1
            settings.poolSizeMax = 3
            settings.poolWaitTimeout = .seconds(20)
        }, .serialized)
    struct ScatterTests {
        let cluster: TestCluster
        /// One on each shard, with a row.
        let keys: [Int64]

        init() async throws {
            cluster = try TestCluster.current
            keys = try await [cluster.key(on: 0), cluster.key(on: 1), cluster.key(on: 2)]
            let client = try await cluster.login()
            defer { client.close() }
            for key in keys { try #require(try await client.failure("INSERT INTO kv VALUES (\(key), \(key)) ON CONFLICT (k) DO UPDATE SET v = excluded.v") == nil) }
        }

        private func run(_ sql: String, _ parameters: [String?] = [], rowsMax: Int32 = 0) -> [UInt8] {
            WireMessages.parse("", sql) + WireMessages.bind("", "", parameters) + WireMessages.execute("", rowsMax: rowsMax)
        }
        private func read(_ key: Int64, _ mark: String = "") -> [UInt8] { run("SELECT v\(mark.isEmpty ? "" : ", '\(mark)'") FROM kv WHERE k = $1", ["\(key)"]) }
        private func update(_ key: Int64) -> [UInt8] { run("UPDATE kv SET v = v + 1 WHERE k = $1", ["\(key)"]) }
        private func row(_ key: Int64, _ mark: String = "") -> [String] { ["1", "2", "D(\(key)\(mark.isEmpty ? "" : ",\(mark)"))", "C(SELECT 1)"] }
        private func answers(_ client: WireClient) async throws -> [String] { try await client.until("Z").map(\.description) }
        private func value(_ key: Int64) async throws -> String? {
            let client = try await cluster.login()
            defer { client.close() }
            return try await client.rows("SELECT v FROM kv WHERE k = \(key)").first?[0]
        }

        /// Keeps the table of a shard locked meanwhile.
        private func locking(_ shard: Int, _ body: () async throws -> Void) async throws {
            let lock = try await cluster.shardSession(shard)
            defer { lock.close() }
            try await lock.query("BEGIN")
            try #require(try await lock.failure("LOCK TABLE kv IN ACCESS EXCLUSIVE MODE") == nil)
            try await body()
            // The shard may be gone by now.
            _ = try? await lock.query("ROLLBACK")
        }
        private func waits(on shard: Int) async throws {
            try await eventually("a read waits for the lock") {
                try await self.cluster.onShard(shard, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'pgmosaic'") != "0"
            }
        }
        /// Its last statement there has that mark, and is not running.
        private func isDone(_ mark: String, on shard: Int) async throws {
            try await eventually("shard \(shard) has done it") {
                try await self.cluster.onShard(
                    shard, "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%''\(mark)''%' AND application_name = 'pgmosaic' AND wait_event = 'ClientRead'") != "0"
            }
        }

        private func count(_ outcome: String) async throws -> Double { try await cluster.metric("pgmosaic_scattered_pipelines_total", "\"\(outcome)\"") }

        // MARK: Order

        @Test func shardsWorkAtTheSameTimeAndTheClientSeesItsOwnOrder() async throws {
            let client = try await cluster.login()
            defer { client.close() }
            let before = try await count("answered")
            try await locking(0) {
                try await client.send(read(keys[0]) + read(keys[1], "one") + read(keys[2], "two") + read(keys[1], "three") + WireMessages.sync)
                try await waits(on: 0)
                try await isDone("three", on: 1)
                try await isDone("two", on: 2)
            }
            #expect(try await answers(client) == row(keys[0]) + row(keys[1], "one") + row(keys[2], "two") + row(keys[1], "three") + ["Z(I)"])
            #expect(try await count("answered") == before + 1)
            try await cluster.expectNoLeak()
        }

        @Test func whatIsAnsweredIsToldBeforeTheShardBehindItHasAnswered() async throws {
            let client = try await cluster.login()
            defer { client.close() }
            try await locking(2) {
                try await client.send(read(keys[0]) + read(keys[1]) + read(keys[2]) + read(keys[0]) + WireMessages.sync)
                var seen: [String] = []
                while seen.count < 8 { seen.append(try #require(try await client.next()).description) }
                #expect(seen == row(keys[0]) + row(keys[1]))
            }
            #expect(try await answers(client) == row(keys[2]) + row(keys[0]) + ["Z(I)"])
        }

        @Test func flushBringsTheAnswersOfAllShards() async throws {
            let client = try await cluster.login()
            defer { client.close() }
            for _ in 0..<3 {
                try await client.send(read(keys[0]) + read(keys[1]) + read(keys[2]) + WireMessages.flush)
                for key in keys { #expect(try await client.until("C").map(\.description) == row(key)) }
                try await client.send(WireMessages.bind("", "", ["\(keys[1])"]) + WireMessages.flush)
                #expect(try await client.until("2").count == 1)
                try await client.send(WireMessages.execute("") + WireMessages.flush)
                #expect(try await client.until("C").map(\.description) == Array(row(keys[1]).suffix(2)))
            }
            try await client.send(WireMessages.sync)
            #expect(try await answers(client) == ["Z(I)"])
            try await cluster.expectNoLeak()
        }

        @Test func portalsOfSeveralShardsAreReadInPiecesAndOutliveAWrite() async throws {
            let client = try await cluster.login()
            defer { client.close() }
            let series = "SELECT generate_series(1, 3) FROM kv WHERE k = $1"
            var messages = WireMessages.parse("s", series)
            for (name, key) in zip(["a", "b", "c"], keys) { messages += WireMessages.bind(name, "s", ["\(key)"]) }
            for _ in 0..<2 { for name in ["a", "b", "c"] { messages += WireMessages.execute(name, rowsMax: 1) } }
            messages += update(keys[1])
            for name in ["c", "a", "b"] { messages += WireMessages.execute(name) }
            try await client.send(messages + WireMessages.sync)
            let pieces = [1, 1, 1, 2, 2, 2].flatMap { ["D(\($0))", "s"] }
            #expect(try await answers(client) == ["1", "2", "2", "2"] + pieces + ["1", "2", "C(UPDATE 1)"] + [3, 3, 3].flatMap { ["D(\($0))", "C(SELECT 1)"] } + ["Z(I)"])
            #expect(try await value(keys[1]) == "\(keys[1] + 1)")
            // A portal's name is the session's, on whichever shard it is.
            try await client.send(WireMessages.bind("a", "s", ["\(keys[0])"]) + WireMessages.bind("x", "s", ["\(keys[2])"]) + WireMessages.bind("a", "s", ["\(keys[1])"]) + WireMessages.sync)
            #expect(try await answers(client) == ["2", "2", "E(42P03)", "Z(I)"])
        }

        // MARK: Errors, and what is no read

        @Test func whatComesBehindAnErrorNeverHappened() async throws {
            let client = try await cluster.login()
            defer { client.close() }
            let fails = run("SELECT 1 / (v - v) FROM kv WHERE k = $1", ["\(keys[1])"])
            for key in keys {
                // Parse, Close and a second error behind it, on shards that have done it all.
                let later = WireMessages.parse("later", "SELECT v FROM kv WHERE k = $1") + WireMessages.bind("", "later", ["\(key)"]) + WireMessages.execute("") + fails
                try await client.send(read(keys[0]) + read(keys[2]) + fails + later + WireMessages.sync)
                #expect(try await answers(client) == row(keys[0]) + row(keys[2]) + ["1", "2", "E(22012)", "Z(I)"])
                try await client.send(WireMessages.bind("", "later", ["\(key)"]) + WireMessages.sync)
                #expect(try await answers(client) == ["E(26000)", "Z(I)"])
            }
            // Told by the router, in its place.
            try await client.send(read(keys[0]) + read(keys[1]) + WireMessages.bind("", "nowhere") + read(keys[2]) + WireMessages.sync)
            #expect(try await answers(client) == row(keys[0]) + row(keys[1]) + ["E(26000)", "Z(I)"])
            try await client.send(read(keys[0]) + read(keys[1]) + run("SELECT k FROM kv ORDER BY k FOR UPDATE") + WireMessages.sync)
            #expect(try await answers(client) == row(keys[0]) + row(keys[1]) + ["1", "E(0A000)", "Z(I)"])
            try await cluster.expectNoLeak()
        }

        /// An error that is there before those that stand before it have answered.
        @Test func anErrorWaitsForItsPlace() async throws {
            let client = try await cluster.login()
            defer { client.close() }
            try await locking(0) {
                try await client.send(read(keys[0]) + run("SELECT 1 / (v - v), 'bad' FROM kv WHERE k = $1", ["\(keys[1])"]) + read(keys[2], "behind") + WireMessages.sync)
                try await waits(on: 0)
                try await isDone("bad", on: 1)
                try await isDone("behind", on: 2)
            }
            #expect(try await answers(client) == row(keys[0]) + ["1", "2", "E(22012)", "Z(I)"])
            // The other way round what still runs is stopped: nobody waits for it.
            try await locking(2) {
                try await client.send(read(keys[0]) + run("SELECT 1 / (v - v) FROM kv WHERE k = $1", ["\(keys[1])"]) + read(keys[2]) + WireMessages.sync)
                #expect(try await answers(client) == row(keys[0]) + ["1", "2", "E(22012)", "Z(I)"])
                #expect(try await client.rows("SELECT v FROM kv WHERE k = \(keys[0])") == [["\(keys[0])"]])
                try await eventually("the read that is not waited for is stopped") {
                    try await self.cluster.onShard(2, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'pgmosaic'") == "0"
                }
            }
            try await cluster.expectNoLeak()
        }

        @Test func aWriteBehindReadsIsOneTransactionWithWhatFollows() async throws {
            let client = try await cluster.login()
            defer { client.close() }
            let reads = read(keys[0]) + read(keys[1]) + read(keys[2])
            let before = try await count("left")
            try await client.send(reads + update(keys[1]) + WireMessages.flush)
            for _ in 0..<4 { _ = try await client.until("C") }
            #expect(try await value(keys[1]) == "\(keys[1])")
            #expect(try await count("left") == before + 1)
            try await client.send(update(keys[2]) + WireMessages.sync)
            #expect(try await answers(client) == ["1", "2", "C(UPDATE 1)", "Z(I)"])
            #expect(try await [value(keys[1]), value(keys[2])] == ["\(keys[1] + 1)", "\(keys[2] + 1)"])
            // An error behind it takes it back.
            try await client.send(reads + update(keys[0]) + run("SELECT 1 / (v - v) FROM kv WHERE k = $1", ["\(keys[1])"]) + WireMessages.sync)
            #expect(try await answers(client).suffix(2) == ["E(22012)", "Z(I)"])
            #expect(try await value(keys[0]) == "\(keys[0])")
            // BEGIN makes a block of it, and ROLLBACK ends it.
            try await client.send(reads + run("BEGIN") + update(keys[0]) + WireMessages.sync)
            #expect(try await answers(client).last == "Z(T)")
            try await client.query("ROLLBACK")
            #expect(try await value(keys[0]) == "\(keys[0])")
            try await client.send(reads + run("SET work_mem = '9MB'") + WireMessages.sync)
            _ = try await answers(client)
            for key in keys { #expect(try await client.rows("SELECT current_setting('work_mem') FROM kv WHERE k = \(key)") == [["9MB"]]) }
            try await cluster.settled()
            try await cluster.expectNoLeak()
        }

        @Test func aSimpleQueryInThePlaceOfSyncIsAnsweredBehindTheReads() async throws {
            let client = try await cluster.login()
            defer { client.close() }
            try await client.send(read(keys[0]) + read(keys[1]) + WireMessages.query("SELECT v FROM kv WHERE k = \(keys[2])"))
            #expect(try await answers(client) == row(keys[0]) + row(keys[1]) + ["T", "D(\(keys[2]))", "C(SELECT 1)", "Z(I)"])
        }

        // MARK: Settings and isolation

        @Test func settingsAreInEffectOnEachShard() async throws {
            let client = try await cluster.login()
            defer { client.close() }
            for zone in ["Asia/Tokyo", "America/New_York"] {
                try await client.query("SET TimeZone = '\(zone)'")
                let asks = keys.map { run("SELECT current_setting('TimeZone') FROM kv WHERE k = $1", ["\($0)"]) }
                try await client.send((asks + asks).flatMap { $0 } + WireMessages.sync)
                #expect(try await client.until("Z").filter { $0.kind == "D" }.map(\.description) == Array(repeating: "D(\(zone))", count: 6))
            }
            let fresh = try await cluster.login()
            defer { fresh.close() }
            #expect(try await fresh.rows("SHOW TimeZone") != [["America/New_York"]])
        }

        @Test(arguments: ["SET default_transaction_isolation = 'repeatable read'", "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE"])
        func aStricterIsolationIsRefusedAsBefore(setting: String) async throws {
            let client = try await cluster.login()
            defer { client.close() }
            try await client.query(setting)
            try await client.send(read(keys[0]) + read(keys[0]) + WireMessages.sync)
            #expect(try await answers(client) == row(keys[0]) + row(keys[0]) + ["Z(I)"])
            try await client.send(read(keys[0]) + read(keys[1]) + WireMessages.sync)
            #expect(try await client.until("Z").first { $0.kind == "E" }?.field("D") == "PGM-ISOLATION")
        }

        @Test func aTimeoutOfTheClientsHoldsOnEachShard() async throws {
            let client = try await cluster.login()
            defer { client.close() }
            try await client.query("SET statement_timeout = '6s'")
            try await locking(1) {
                try await client.send(read(keys[0]) + read(keys[1]) + read(keys[2]) + WireMessages.sync)
                #expect(try await answers(client) == row(keys[0]) + ["1", "E(57014)", "Z(I)"])
            }
            try await cluster.expectNoLeak()
        }

        // MARK: Cancelled, gone, slow

        @Test func aCancelStopsEveryShardOfThePipelineAndNobodyElse() async throws {
            let (client, other) = (try await cluster.login(), try await cluster.login())
            defer { client.close(); other.close() }
            for _ in 0..<5 {
                try await locking(1) {
                    try await locking(2) {
                        try await client.send(read(keys[0]) + read(keys[1]) + read(keys[2]) + read(keys[0]) + WireMessages.sync)
                        for shard in [1, 2] { try await waits(on: shard) }
                        try await client.cancel(port: cluster.wirePort)
                        #expect(try await answers(client) == row(keys[0]) + ["1", "E(57014)", "Z(I)"])
                        try await eventually("nothing of it runs") {
                            for shard in [1, 2] {
                                let running = try await self.cluster.onShard(
                                    shard, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'pgmosaic'")
                                guard running == "0" else { return false }
                            }
                            return true
                        }
                    }
                }
                for _ in 0..<10 {
                    try await other.send(read(keys[0]) + read(keys[1]) + read(keys[2]) + WireMessages.sync)
                    #expect(try await answers(other) == row(keys[0]) + row(keys[1]) + row(keys[2]) + ["Z(I)"])
                }
            }
            try await cluster.expectNoLeak()
        }

        @Test(arguments: [true, false]) func aClientThatHangsUpLeavesNothing(behindSync: Bool) async throws {
            for round in 0..<6 {
                let client = try await cluster.login()
                try await locking(round % 3) {
                    try await client.send(read(keys[0]) + read(keys[1]) + read(keys[2]) + (behindSync ? WireMessages.sync : WireMessages.flush))
                    try await waits(on: round % 3)
                    client.close()
                    try await eventually("what it left is stopped") {
                        try await self.cluster.onShard(round % 3, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'pgmosaic'") == "0"
                    }
                }
            }
            try await cluster.expectNoLeak(clients: 0)
        }

        /// Shards whose turn has not come are not read without end.
        @Test func answersBeforeTheirTurnAreBounded() async throws {
            let client = try await cluster.login()
            defer { client.close() }
            let large = "SELECT repeat('x', 200000) || v FROM kv WHERE k = $1"
            try await locking(0) {
                try await client.send(read(keys[0]) + (0..<200).flatMap { run(large, ["\(keys[1 + $0 % 2])"]) } + WireMessages.sync)
                for shard in [1, 2] {
                    try await eventually("the shard cannot send on") {
                        try await self.cluster.onShard(shard, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'ClientWrite' AND application_name = 'pgmosaic'") == "1"
                    }
                }
            }
            let messages = try await client.until("Z")
            let rows = messages.filter { $0.kind == "D" }.compactMap { $0.row.first ?? nil }
            #expect(rows.count == 201 && rows[0] == "\(keys[0])")
            #expect(rows.dropFirst().enumerated().allSatisfy { $1.count == 200_000 + "\(keys[1 + $0 % 2])".count && $1.hasSuffix("x\(keys[1 + $0 % 2])") })
            try await cluster.expectNoLeak()
        }

        /// The shard in front keeps its answers for the Sync that the client cannot send while the shard behind it takes nothing more.
        @Test func aLongPipelineDoesNotWaitForItself() async throws {
            let client = try await cluster.login()
            defer { client.close() }
            let ballast = String(repeating: "b", count: 60_000)
            let statement = "SELECT v, $2::text FROM kv WHERE k = $1"
            let messages = run(statement, ["\(keys[0])", "front"]) + (0..<600).flatMap { run(statement, ["\(keys[1 + $0 % 2])", ballast]) } + WireMessages.sync
            async let sent: Void = client.send(messages)
            let rows = try await client.until("Z").filter { $0.kind == "D" }.map(\.row)
            try await sent
            #expect(rows.count == 601 && rows[0] == ["\(keys[0])", "front"])
            #expect(rows.dropFirst().enumerated().allSatisfy { $1 == ["\(keys[1 + $0 % 2])", ballast] })
            try await cluster.expectNoLeak()
        }

        @Test func aClientThatDoesNotReadGetsEverythingLater() async throws {
            let client = try await WireClient.login(port: cluster.wirePort, receiveBuffer: 4096)
            defer { client.close() }
            let large = "SELECT repeat('x', 100000) || v FROM kv WHERE k = $1"
            try await client.send((0..<150).flatMap { run(large, ["\(keys[$0 % 3])"]) } + WireMessages.sync)
            let other = try await cluster.login()
            defer { other.close() }
            for _ in 0..<50 {
                try await other.send(read(keys[0]) + read(keys[1]) + read(keys[2]) + WireMessages.sync)
                #expect(try await answers(other).last == "Z(I)")
            }
            let rows = try await client.until("Z").filter { $0.kind == "D" }.compactMap { $0.row.first ?? nil }
            #expect(rows.count == 150 && rows.enumerated().allSatisfy { $1.hasSuffix("x\(keys[$0 % 3])") })
        }

        /// Answers that fill the way to the client come all at once, and the messages behind them have arrived long before.
        @Test func whatStandsBehindLargeAnswersIsDone() async throws {
            let client = try await cluster.login()
            defer { client.close() }
            let large = "SELECT repeat('x', 100000), 'large' FROM kv WHERE k = $1"
            for end in ["COMMIT", "UPDATE kv SET v = v WHERE k = \(keys[0])"] {
                try await locking(0) {
                    try await client.send(read(keys[0]) + run(large, ["\(keys[1])"]) + run(large, ["\(keys[2])"]) + run(end) + read(keys[0]) + WireMessages.sync)
                    try await waits(on: 0)
                    for shard in [1, 2] {
                        try await eventually("shard \(shard) has answered") {
                            try await self.cluster.onShard(
                                shard, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgmosaic' AND state = 'idle in transaction'") == "1"
                        }
                    }
                }
                let answers = try await client.until("Z").filter { "CEZ".contains($0.kind) }.map(\.description)
                #expect(answers == ["C(SELECT 1)", "C(SELECT 1)", "C(SELECT 1)", end == "COMMIT" ? "C(COMMIT)" : "C(UPDATE 1)", "C(SELECT 1)", "Z(I)"])
            }
            try await cluster.expectNoLeak()
        }

        /// More clients than connections, in every order of shards: nobody has what another one waits for, and waits itself.
        @Test func manyPipelinesShareFewConnections() async throws {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<16 {
                    group.addTask {
                        let client = try await cluster.login()
                        defer { client.close() }
                        var random = SeededGenerator(seed: UInt64(number))
                        for _ in 0..<30 {
                            let order = (0..<Int.random(in: 2...20, using: &random)).map { _ in keys.randomElement(using: &random)! }
                            try await client.send(order.flatMap { read($0) } + WireMessages.sync)
                            #expect(try await answers(client) == order.flatMap { row($0) } + ["Z(I)"])
                        }
                    }
                }
                try await group.waitForAll()
            }
            try await cluster.expectNoLeak(clients: 0)
        }

        // MARK: Lost shards

        @Test func aShardThatIsKilledFailsItsReadAndNothingBeforeIt() async throws {
            let client = try await cluster.login()
            defer { client.close() }
            try await client.send(read(keys[0]) + read(keys[1]) + read(keys[2]) + WireMessages.sync)
            _ = try await answers(client)
            try await locking(2) {
                try await client.send(read(keys[0]) + read(keys[2]) + read(keys[0]) + read(keys[1]) + WireMessages.sync)
                try await waits(on: 2)
                await cluster.servers[2].kill()
            }
            #expect(try await answers(client) == row(keys[0]) + ["1", "E(08006)", "Z(I)"])
            #expect(try await client.rows("SELECT v FROM kv WHERE k = \(keys[0])") == [["\(keys[0])"]])
            try await cluster.regain(2)
            try await cluster.expectNoLeak()
        }

        /// What it had answered before its end is told in its turn.
        @Test func aServerSessionThatEndsBeforeItsTurnHasAnswered() async throws {
            let client = try await cluster.login()
            defer { client.close() }
            let end = { [cluster] in
                try await cluster.onShard(1, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pgmosaic' AND query LIKE '%''last''%'")
            }
            try await locking(0) {
                try await client.send(read(keys[0]) + read(keys[1], "last") + read(keys[2]) + WireMessages.flush)
                try await waits(on: 0)
                try await isDone("last", on: 1)
                _ = try await end()
            }
            var seen: [String] = []
            while seen.count < 12 { seen.append(try #require(try await client.next()).description) }
            #expect(seen == row(keys[0]) + row(keys[1], "last") + row(keys[2]))
            // Asked again, it is gone.
            try await client.send(read(keys[2]) + read(keys[1]) + WireMessages.sync)
            #expect(try await answers(client) == row(keys[2]) + ["1", "E(08006)", "Z(I)"])
            try await cluster.expectNoLeak()
        }

        @Test func aShardThatHangsIsWaitedForUntilTheClientCancels() async throws {
            let client = try await cluster.login()
            defer { client.close() }
            try await client.send(read(keys[0]) + read(keys[1]) + read(keys[2]) + WireMessages.sync)
            _ = try await answers(client)
            await cluster.servers[1].pause()
            try await client.send(read(keys[0]) + read(keys[1]) + read(keys[2]) + WireMessages.sync)
            var seen: [String] = []
            while seen.count < 4 { seen.append(try #require(try await client.next()).description) }
            #expect(seen == row(keys[0]))
            let other = try await cluster.login()
            defer { other.close() }
            for _ in 0..<20 {
                try await other.send(read(keys[2]) + read(keys[0]) + WireMessages.sync)
                #expect(try await answers(other) == row(keys[2]) + row(keys[0]) + ["Z(I)"])
            }
            await cluster.servers[1].resume()
            #expect(try await answers(client) == row(keys[1]) + row(keys[2]) + ["Z(I)"])
            try await cluster.expectNoLeak()
        }
    }

    /// One snapshot for all of a pipeline is what a server's own default may ask for, too.
    @Suite(.faultCluster(postgres: ["default_transaction_isolation": "repeatable read"]), .serialized)
    struct StrictServerTests {
        @Test func aServerThatIsolatesStrictlyReadsOnOneShardOnly() async throws {
            let cluster = try TestCluster.current
            let keys = try await [cluster.key(on: 0), cluster.key(on: 1)]
            let client = try await cluster.login()
            defer { client.close() }
            for _ in 0..<3 {
                let reads = keys.map { WireMessages.parse("", "SELECT v FROM kv WHERE k = $1") + WireMessages.bind("", "", ["\($0)"]) + WireMessages.execute("") }
                try await client.send(reads.flatMap { $0 } + WireMessages.sync)
                #expect(try await client.until("Z").first { $0.kind == "E" }?.field("D") == "PGM-ISOLATION")
            }
            #expect(try await cluster.metric("pgmosaic_scattered_pipelines_total") == 0)
        }
    }
}
