import ClusterTestKit
import Foundation
import ShardModel
import Testing

extension FaultTests {
    /// A job that is told to ends what is open on the moved vnodes at the drain limit: with 40001, and without an effect.
    @Suite(.faultCluster(shards: 2), .serialized) struct EndedTransactionTests {
        private let cluster: TestCluster
        private let attempt = UInt64.random(in: 1...1_000_000_000)

        init() throws { cluster = try TestCluster.current }

        private typealias W = WireMessages

        private func key(on shard: Int) async throws -> Int64 { try await cluster.key(on: shard, from: Int64.random(in: 1...1_000_000_000)) }

        private func count(_ keys: [Int64], on shard: Int) async throws -> String {
            try await cluster.onShard(shard, "SELECT count(*) FROM kv WHERE k IN (\(keys.map(String.init).joined(separator: ",")))")
        }

        @Test(arguments: ["COMMIT", "SELECT 1", "ROLLBACK"]) func aTransactionThatWaitsForItsClientEndsWithoutAnEffect(next: String) async throws {
            let (mine, others) = (try await key(on: 1), try await key(on: 0))
            try await cluster.withJob {
                let client = try await cluster.login()
                for sql in ["BEGIN", "INSERT INTO kv VALUES (\(others), 1)", "INSERT INTO kv VALUES (\(mine), 1)"] {
                    #expect(try await client.failure(sql) == nil)
                }
                let before = try await cluster.metric("pgmosaic_ended_transactions_total")
                try await cluster.hold(1, attempt: attempt, transactionLimit: 50)
                let acknowledgement = try await cluster.waitsForAcknowledgement(attempt)
                #expect(try await cluster.metric("pgmosaic_ended_transactions_total") == before + 1)
                try await eventually("nothing of it is open on the owner") {
                    try await cluster.onShard(1, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgmosaic' AND state LIKE 'idle in transaction%'") == "0"
                }
                // A process that has ended is listed a moment longer.
                try await eventually("it has named all that the owner has") { try await cluster.sessions(on: 1) == Set(acknowledgement.sessions[TestCluster.id(of: 1)] ?? []) }
                let answers = try await client.query(next)
                switch next {
                case "ROLLBACK": #expect(answers.map(\.description) == ["C(ROLLBACK)", "Z(I)"])
                case "COMMIT": #expect(answers.first?.sqlState == "40001" && answers.last?.status == "I", "\(answers)")
                default:
                    #expect(answers.first?.sqlState == "40001" && answers.first?.field("D") == "PGM-MOVING" && answers.last?.status == "E", "\(answers)")
                    #expect(try await client.failure("SELECT 1") == "25P02")
                    #expect(try await client.failure("ROLLBACK") == nil)
                }
                // The same session goes on: elsewhere now, at the owner when the hold has gone.
                #expect(try await client.failure("INSERT INTO kv VALUES (\(others), 1)") == nil)
                try await cluster.lift()
                #expect(try await client.failure("INSERT INTO kv VALUES (\(mine), 1)") == nil)
                #expect(try await count([mine], on: 1) == "1")
                #expect(try await count([others], on: 0) == "1")
                client.close()
                try await cluster.expectNoLeak()
            }
        }

        @Test func aStatementThatWaitsForALockInATransactionIsEnded() async throws {
            let key = try await key(on: 1)
            try await cluster.withJob {
                let (client, blocker) = (try await cluster.login(), try await cluster.shardSession(1))
                #expect(try await client.failure("INSERT INTO kv VALUES (\(key), 1)") == nil)
                for sql in ["BEGIN", "UPDATE kv SET v = 5 WHERE k = \(key)"] { #expect(try await blocker.failure(sql) == nil) }
                #expect(try await client.failure("BEGIN") == nil)
                try await client.send(W.query("UPDATE kv SET v = v + 1 WHERE k = \(key)"))
                let waits = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgmosaic' AND wait_event = 'transactionid'"
                try await eventually("it waits for the lock") { try await cluster.onShard(1, waits) == "1" }
                try await cluster.hold(1, attempt: attempt, transactionLimit: 50)
                _ = try await cluster.waitsForAcknowledgement(attempt)
                let answers = try await client.until("Z")
                #expect(answers.map(\.description) == ["E(40001)", "Z(E)"], "\(answers)")
                try await eventually("it is cancelled on the shard, too") { try await cluster.onShard(1, waits) == "0" }
                #expect(try await client.failure("ROLLBACK") == nil)
                #expect(try await blocker.failure("COMMIT") == nil)
                try await cluster.lift()
                #expect(try await client.rows("SELECT v FROM kv WHERE k = \(key)") == [["5"]])
            }
        }

        /// Between two messages of a batch, and behind statements that have been answered.
        @Test func aBatchInATransactionIsEnded() async throws {
            let key = try await key(on: 1)
            try await cluster.withJob {
                let client = try await cluster.login()
                #expect(try await client.failure("BEGIN") == nil)
                try await client.send(W.parse("", "INSERT INTO kv VALUES ($1, 1)") + W.bind("", "", ["\(key)"]) + W.execute("") + W.message("H", []))
                _ = try await client.until("C")
                try await cluster.hold(1, attempt: attempt, transactionLimit: 50)
                _ = try await cluster.waitsForAcknowledgement(attempt)
                try await client.send(W.parse("", "UPDATE kv SET v = 2 WHERE k = $1") + W.bind("", "", ["\(key)"]) + W.execute("") + W.sync)
                let answers = try await client.until("Z")
                #expect(answers.first { $0.kind == "E" }?.sqlState == "40001" && answers.last?.status == "E", "\(answers)")
                #expect(try await client.failure("ROLLBACK") == nil)
                try await cluster.lift()
                #expect(try await count([key], on: 1) == "0")
                client.close()
                try await cluster.expectNoLeak()
            }
        }

        /// Its listening would be gone with the transaction.
        @Test func aSessionThatKeepsItsConnectionIsWaitedFor() async throws {
            let key = try await key(on: 1)
            try await TestCluster.with(Self.alone) { cluster in
                let client = try await cluster.login()
                for sql in ["CREATE TABLE t (a bigint)", "LISTEN news", "BEGIN", "INSERT INTO t VALUES (\(key))"] { #expect(try await client.failure(sql) == nil) }
                try await cluster.beginJob(of: [0])
                try await cluster.hold(0, attempt: attempt, transactionLimit: 20)
                try await Task.sleep(for: .milliseconds(200))
                #expect(try await cluster.acknowledgement(attempt) == nil)
                #expect(try await client.failure("COMMIT") == nil)
                _ = try await cluster.waitsForAcknowledgement(attempt)
            }
        }

        private static var alone: TestCluster.Options {
            var options = TestCluster.Options(shards: 1)
            options.defaultPlacement = .local
            return options
        }

        /// A statement outside of a transaction may be committed at any time, and a transaction elsewhere is in nobody's way.
        @Test func whatIsNoOpenTransactionOnTheOwnerIsLeftAlone() async throws {
            let (mine, others) = (try await key(on: 1), try await key(on: 0))
            try await cluster.withJob {
                let (alone, elsewhere, blocker) = (try await cluster.login(), try await cluster.login(), try await cluster.shardSession(1))
                #expect(try await alone.failure("INSERT INTO kv VALUES (\(mine), 1)") == nil)
                for sql in ["BEGIN", "UPDATE kv SET v = 5 WHERE k = \(mine)"] { #expect(try await blocker.failure(sql) == nil) }
                for sql in ["BEGIN", "INSERT INTO kv VALUES (\(others), 1)"] { #expect(try await elsewhere.failure(sql) == nil) }
                try await alone.send(W.query("UPDATE kv SET v = v + 1 WHERE k = \(mine)"))
                try await eventually("it waits for the lock") {
                    try await cluster.onShard(1, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgmosaic' AND wait_event = 'transactionid'") == "1"
                }
                try await cluster.hold(1, attempt: attempt, transactionLimit: 20)
                try await Task.sleep(for: .milliseconds(200))
                #expect(try await cluster.acknowledgement(attempt) == nil)
                #expect(try await blocker.failure("COMMIT") == nil)
                #expect(try await alone.until("Z").map(\.description) == ["C(UPDATE 1)", "Z(I)"])
                _ = try await cluster.waitsForAcknowledgement(attempt)
                #expect(try await elsewhere.failure("COMMIT") == nil)
                try await cluster.lift()
                #expect(try await alone.rows("SELECT v FROM kv WHERE k = \(mine)") == [["6"]])
                #expect(try await count([others], on: 0) == "1")
            }
        }
    }
}
