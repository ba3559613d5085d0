import ClusterTestKit
import Foundation
import PostgresProcess
import ServerConfig
import Testing

extension FaultTests {
    /// Clients that hang up without a word, in every state: what they held is free again, and what they had not committed is gone.
    @Suite(
        .faultCluster { settings in
            settings.poolSizeMax = 4
            settings.poolWaitTimeout = .seconds(20)
        }, .serialized)
    struct ClientGoneTests {
        private let cluster: TestCluster

        init() throws { cluster = try TestCluster.current }

        private func running(_ index: Int, _ condition: String) async throws {
            try await eventually("it runs") {
                try await self.cluster.onShard(index, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgmosaic' AND \(condition)") != "0"
            }
        }

        @Test func inTheMiddleOfAStatement() async throws {
            let key = try await cluster.key(on: 1)
            let client = try await cluster.login()
            try await client.query("INSERT INTO kv VALUES (\(key), 0)")
            try await client.send(WireMessages.query("SELECT pg_sleep(60) FROM kv WHERE k = \(key)"))
            try await running(1, "wait_event = 'PgSleep'")
            client.close()
            try await cluster.expectNoLeak(clients: 0)
        }

        @Test func inTheMiddleOfAStatementOnEveryShard() async throws {
            let setup = try await cluster.login()
            try await setup.query("INSERT INTO ref VALUES (50, 0)")
            setup.close()
            for index in [0, 2] {
                let lock = try await cluster.shardSession(index)
                try await lock.query("BEGIN")
                try await lock.query("UPDATE ref SET v = 1 WHERE id = 50")
                let client = try await cluster.login()
                try await client.send(WireMessages.query("DELETE FROM ref WHERE id = 50"))
                try await running(index, "wait_event_type = 'Lock'")
                client.close()
                // Before the lock is free: the statement is stopped.
                try await cluster.expectNoLeak(clients: 0)
                try await lock.query("ROLLBACK")
            }
            _ = try await cluster.settled()
        }

        @Test func inTheMiddleOfATransaction() async throws {
            let key = try await cluster.key(on: 1, from: 1000)
            let client = try await cluster.login()
            try await client.query("BEGIN")
            try await client.query("INSERT INTO kv VALUES (\(key), 1)")
            client.close()
            try await cluster.expectNoLeak(clients: 0)
            #expect(try await cluster.onShard(1, "SELECT count(*) FROM kv WHERE k = \(key)") == "0")
        }

        @Test func inTheMiddleOfATransactionOfSeveralShards() async throws {
            let client = try await cluster.login()
            try await client.query("BEGIN")
            #expect(try await client.failure("INSERT INTO ref VALUES (51, 1)") == nil)
            client.close()
            try await cluster.expectNoLeak(clients: 0)
            #expect(try await !cluster.settled().contains("51="))
        }

        @Test func inTheMiddleOfABatch() async throws {
            let key = try await cluster.key(on: 1, from: 2000)
            let client = try await cluster.login()
            try await client.send(
                WireMessages.parse("", "INSERT INTO kv VALUES ($1, 1)") + WireMessages.bind("", "", ["\(key)"]) + WireMessages.execute("") + WireMessages.flush)
            _ = try await client.until("C")
            client.close()
            try await cluster.expectNoLeak(clients: 0)
            #expect(try await cluster.onShard(1, "SELECT count(*) FROM kv WHERE k = \(key)") == "0")
        }

        @Test(arguments: ["kv", "ref", "notes"]) func inTheMiddleOfACopy(table: String) async throws {
            let client = try await cluster.login()
            try await client.send(WireMessages.query("COPY \(table) FROM STDIN"))
            _ = try await client.until("G")
            try await client.send(WireMessages.copyData("7000001\t1\n7000002\t1\n7000003\t1\n"))
            client.close()
            try await cluster.expectNoLeak(clients: 0)
            for index in 0..<3 { #expect(try await cluster.onShard(index, "SELECT count(*) FROM \(table) WHERE \(table).*::text LIKE '(700000%'") == "0") }
        }

        @Test func inTheMiddleOfALargeAnswer() async throws {
            let client = try await WireClient.login(port: cluster.wirePort, receiveBuffer: 4096)
            try await client.send(WireMessages.query("SELECT repeat('x', 100000) FROM generate_series(1, 20000)"))
            _ = try await client.next()
            client.close()
            try await cluster.expectNoLeak(clients: 0)
        }

        @Test func duringACommitOfSeveralShards() async throws {
            let lock = try await cluster.shardSession(0)
            try await lock.query("BEGIN")
            try await lock.query("LOCK TABLE pgmosaic.decisions IN EXCLUSIVE MODE")
            let client = try await cluster.login()
            try await client.send(WireMessages.query("INSERT INTO ref VALUES (52, 1)"))
            try await running(0, "wait_event_type = 'Lock'")
            client.close()
            try await Task.sleep(for: .milliseconds(200))
            try await lock.query("ROLLBACK")
            // Whether the client is there makes no difference to how its transaction ends.
            #expect(try await cluster.settled().contains("52=1"))
            try await cluster.expectNoLeak(clients: 0)
        }

        @Test func whileWaitingForABackend() async throws {
            let key = try await cluster.key(on: 1)
            var holders: [WireClient] = []
            for _ in 0..<4 {
                let holder = try await cluster.login()
                try await holder.query("BEGIN")
                try await holder.query("SELECT v FROM kv WHERE k = \(key)")
                holders.append(holder)
            }
            let waiting = try await cluster.login()
            try await waiting.send(WireMessages.query("SELECT v FROM kv WHERE k = \(key)"))
            try await eventually("it waits") { try await self.cluster.metric("pgmosaic_pool_waiting") == 1 }
            waiting.close()
            try await eventually("it waits no more") { try await self.cluster.metric("pgmosaic_pool_waiting") == 0 }
            for holder in holders { holder.close() }
            try await cluster.expectNoLeak(clients: 0)
        }

        /// Many clients, each gone at a random moment of a random statement.
        @Test func atRandomMoments() async throws {
            let keys = try await (0..<3).asyncMap { try await cluster.key(on: $0, from: 100_000) }
            let statements = [
                "SELECT v FROM kv WHERE k = \(keys[0])", "INSERT INTO kv VALUES (\(keys[1]), 1) ON CONFLICT (k) DO UPDATE SET v = kv.v + 1",
                "UPDATE ref SET v = v + 1", "BEGIN", "COMMIT", "COPY kv FROM STDIN", "SELECT count(*) FROM ref",
                "SELECT repeat('x', 10000) FROM generate_series(1, 500)", "SELECT pg_sleep(0.01)",
            ]
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<8 {
                    group.addTask {
                        for _ in 0..<rounds(25) {
                            let client = try await cluster.login()
                            for _ in 0..<Int.random(in: 1...4) {
                                // A query in the middle of a COPY ends the connection, as in PostgreSQL.
                                do { try await client.send(WireMessages.query(statements.randomElement()!)) } catch { break }
                            }
                            try await Task.sleep(for: .milliseconds(Int.random(in: 0...15)))
                            client.close()
                        }
                    }
                }
                try await group.waitForAll()
            }
            // Before the copies are looked at: a commit may be under way as long as a session is there.
            try await cluster.expectNoLeak(clients: 0)
            _ = try await cluster.settled()
            let client = try await cluster.login()
            for statement in statements.prefix(3) { #expect(try await client.failure(statement) == nil) }
        }
    }
}

extension Sequence {
    func asyncMap<Value>(_ transform: (Element) async throws -> Value) async rethrows -> [Value] {
        var values: [Value] = []
        for element in self { values.append(try await transform(element)) }
        return values
    }
}
