import ClusterTestKit
import Foundation
import PostgresProcess
import Synchronization
import Testing

extension FaultTests {
    /// Replicas that die, hang, or cancel what they run: eventual reads do not fail.
    @Suite(.replicaCluster(postgres: ["max_standby_streaming_delay": "200ms"]), .serialized)
    struct ReplicaFaultTests {
        private let cluster: TestCluster
        private let shard = 1

        init() throws { cluster = try TestCluster.current }

        private final class Tally: Sendable {
            let isOver = Atomic<Bool>(false)
            let result = Mutex<(count: Int, wrong: [String])>((0, []))
        }

        private func key() async throws -> Int64 {
            let key = try await cluster.key(on: shard)
            try await cluster.plant(key, 1, on: shard)
            try await cluster.allUsable()
            return key
        }

        /// Reads of several sessions, simple and prepared, without a pause while `body` runs. Returns how many there were, and every answer that was not right.
        private func reading(_ key: Int64, _ body: () async throws -> Void) async throws -> (count: Int, wrong: [String]) {
            let tally = Tally()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for session in 0..<6 {
                    let client = try await cluster.eventualLogin()
                    try await client.send(WireMessages.parse("s", "SELECT v FROM kv WHERE k = $1") + WireMessages.sync)
                    _ = try await client.until("Z")
                    group.addTask {
                        while !tally.isOver.load(ordering: .relaxed) {
                            let messages: [String]
                            if session.isMultiple(of: 2) {
                                messages = try await client.query("SELECT v FROM kv WHERE k = \(key)").map(\.description)
                            } else {
                                try await client.send(WireMessages.bind("", "s", ["\(key)"]) + WireMessages.execute("") + WireMessages.sync)
                                messages = try await client.until("Z").map(\.description)
                            }
                            let isRight = messages.dropFirst() == ["D(1)", "C(SELECT 1)", "Z(I)"]
                            tally.result.withLock { result in
                                result.count += 1
                                if !isRight { result.wrong.append("\(messages)") }
                            }
                        }
                        client.close()
                    }
                }
                let outcome: Result<Void, any Error>
                do { outcome = .success(try await body()) } catch { outcome = .failure(error) }
                tally.isOver.store(true, ordering: .relaxed)
                try await group.waitForAll()
                try outcome.get()
            }
            return tally.result.withLock { $0 }
        }

        @Test func aReplicaKilledUnderLoadFailsNoRead() async throws {
            let key = try await key()
            let replicas = cluster.replicas[shard]
            let (count, wrong) = try await reading(key) {
                for victim in replicas {
                    try await Task.sleep(for: .milliseconds(300))
                    await victim.kill()
                    try await eventually("it has left") { try await !cluster.isUsable(victim) }
                    try await Task.sleep(for: .milliseconds(300))
                    try await victim.start()
                    try await eventually("it has returned") { try await cluster.isUsable(victim) }
                }
            }
            #expect(count > 100 && wrong.isEmpty, "\(count) reads, \(wrong.prefix(5))")
            try await cluster.expectNoLeak()
            // Both are read from again.
            let client = try await cluster.eventualLogin()
            try await eventually("both are read from") {
                var readers: Set<Int> = []
                for _ in 0..<10 { readers.insert(try await self.cluster.reader(of: key, client)) }
                return readers == self.cluster.ports(ofReplicasOf: self.shard)
            }
        }

        @Test func withAllReplicasDeadThePrimaryAnswers() async throws {
            let key = try await key()
            let replicas = cluster.replicas[shard]
            let (count, wrong) = try await reading(key) {
                for victim in replicas { await victim.kill() }
                for victim in replicas { try await eventually("it has left") { try await !cluster.isUsable(victim) } }
                let client = try await cluster.eventualLogin()
                #expect(try await cluster.reader(of: key, client) == cluster.servers[shard].port)
                for victim in replicas { try await victim.start() }
                for victim in replicas { try await eventually("it has returned") { try await cluster.isUsable(victim) } }
            }
            #expect(count > 100 && wrong.isEmpty, "\(count) reads, \(wrong.prefix(5))")
            try await cluster.expectNoLeak()
        }

        /// Connections stay open, and nothing is answered: what is under way there is taken to the primary once a look has not been answered.
        @Test func aStoppedReplicaFailsNoReadAndReturns() async throws {
            let key = try await key()
            let victim = cluster.replicas[shard][0]
            let before = try await cluster.served(by: "retried")
            let (count, wrong) = try await reading(key) {
                try await Task.sleep(for: .milliseconds(200))
                await victim.pause()
                do {
                    try await eventually("it has left") { try await !cluster.isUsable(victim) }
                    // Sessions that waited for it go on while it is still stopped.
                    let client = try await cluster.eventualLogin()
                    for _ in 0..<20 { #expect(try await cluster.reader(of: key, client) != victim.port) }
                    try await eventually("what waited was asked anew") { try await cluster.served(by: "retried") > before }
                } catch {
                    await victim.resume()
                    throw error
                }
                await victim.resume()
                try await eventually("it has returned") { try await cluster.isUsable(victim) }
            }
            #expect(count > 100 && wrong.isEmpty, "\(count) reads, \(wrong.prefix(5))")
            try await cluster.expectNoLeak()
        }

        /// A lock that the primary's log asks for cancels the reads that stand in its way.
        @Test(arguments: [false, true]) func aReadThatRecoveryCancelsIsAnsweredByThePrimary(isPrepared: Bool) async throws {
            let key = try await key()
            let client = try await cluster.eventualLogin()
            let before = try await cluster.served(by: "retried")
            // Without end on a replica, and at once on the primary.
            let sql = "SELECT count(*) FROM (SELECT generate_series(1, CASE WHEN inet_server_port() = \(cluster.servers[shard].port) THEN 8 ELSE 2000000000 END) FROM kv WHERE k = \(key)) g"
            if isPrepared {
                try await client.send(
                    WireMessages.parse("", sql) + WireMessages.bind("", "") + WireMessages.describe("P", "") + WireMessages.execute("") + WireMessages.sync)
            } else {
                try await client.send(WireMessages.query(sql))
            }
            try await runsOnAReplica("2000000000")
            try await cluster.onShard(shard, "BEGIN; LOCK TABLE kv; UPDATE kv SET v = v WHERE k = \(key); COMMIT")
            let answer = try await client.until("Z").map(\.description)
            #expect(answer == (isPrepared ? ["1", "2", "T"] : ["T"]) + ["D(8)", "C(SELECT 1)", "Z(I)"])
            #expect(try await cluster.served(by: "retried") == before + 1)
            client.close()
            try await cluster.expectNoLeak()
        }

        /// Waits until a replica is at a statement with this in it: a cancel that comes before the statement is for nothing.
        private func runsOnAReplica(_ part: String) async throws {
            let replicas = cluster.replicas[shard]
            try await eventually("it runs on a replica") {
                for replica in replicas {
                    let running = try await replica.psql(
                        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%\(part)%' AND state = 'active' AND pid <> pg_backend_pid()")
                    if running == "1" { return true }
                }
                return false
            }
        }

        /// A part of the answer is with the client: another one cannot follow.
        @Test func aReplicaThatDiesInTheMiddleOfAnAnswerGivesAnError() async throws {
            let key = try await key()
            let client = try await cluster.eventualLogin()
            try await client.send(
                WireMessages.query("SELECT inet_server_port(), g, repeat('x', 1000) FROM kv, generate_series(1, 1000000) g WHERE k = \(key)"))
            var first: WireClient.Message?
            for _ in 0..<100 {
                let message = try await client.next()
                if first == nil, message?.kind == "D" { first = message }
            }
            let victim = try #require(cluster.replicas[shard].first { "\($0.port)" == first?.row[0] })
            await victim.kill()
            let rest = try await client.untilEnd(orReady: true)
            #expect(!rest.contains { $0.kind == "C" })
            if rest.last?.kind == "Z" {
                #expect(rest.suffix(2).map(\.description) == ["E(08006)", "Z(I)"])
                #expect(rest.suffix(2).first?.field("D")?.contains("no lasting effect") == true)
            }
            client.close()
            try await victim.start()
            try await cluster.allUsable()
            try await cluster.expectNoLeak()
        }

        @Test func aCancelledReadIsNotStartedAnew() async throws {
            let key = try await key()
            let client = try await cluster.eventualLogin()
            let before = try await cluster.served(by: "retried")
            try await client.send(WireMessages.query("SELECT count(*) FROM kv, generate_series(1, 2000000000) g WHERE k = \(key)"))
            try await runsOnAReplica("2000000000")
            try await client.cancel(port: cluster.wirePort)
            #expect(try await client.until("Z").map(\.description).suffix(2) == ["E(57014)", "Z(I)"])
            #expect(try await client.failure("SET statement_timeout = '100ms'") == nil)
            #expect(try await client.failure("SELECT count(*) FROM kv, generate_series(1, 2000000001) g WHERE k = \(key)") == "57014")
            #expect(try await cluster.served(by: "retried") == before)
            client.close()
            try await cluster.expectNoLeak()
        }

        /// What a replica has not heard of yet is the primary's to answer, as is what it cannot answer at all.
        @Test func aReplicaBehindASchemaChangeFailsNoRead() async throws {
            _ = try await key()
            let client = try await cluster.eventualLogin()
            try await cluster.pauseReplay(shard)
            try await cluster.pauseReplay(0)
            let admin = try await cluster.login()
            #expect(try await admin.failure("ALTER TABLE ref ADD COLUMN fresh int DEFAULT 5") == nil)
            #expect(try await admin.failure("INSERT INTO ref (id, v) VALUES (900, 1)") == nil)
            for _ in 0..<4 { #expect(try await client.failure("SELECT fresh FROM ref WHERE id = 900") == nil) }
            #expect(try await client.failure("SET default_transaction_isolation = 'serializable'") == nil)
            #expect(try await client.failure("SELECT id FROM ref") == nil)
            try await cluster.resumeReplay(shard)
            try await cluster.resumeReplay(0)
            #expect(try await admin.failure("DELETE FROM ref WHERE id = 900") == nil)
            #expect(try await admin.failure("ALTER TABLE ref DROP COLUMN fresh") == nil)
            try await cluster.caughtUp(0)
            try await cluster.caughtUp(1)
            try await cluster.expectNoLeak()
        }
    }
}
