import ClusterTestKit
import Foundation
import MosaicClient
import PostgresProcess
import Synchronization
import Testing

@Suite struct TransactionTests {
    private struct Mine: Error {}

    @Test func aTransactionIsCommittedAsAWholeOrNotAtAll() async throws {
        try await ClientCluster.with({ $0.connectionsMax = 1 }) { it in
            let key = try it.key(on: 0)
            let value = try await it.client.transaction(on: .key(shop, key), .init(isolation: .serializable)) { tx in
                #expect(tx.shard == "s1")
                try await tx.query("INSERT INTO kv VALUES ($1, 1)", [.int(key)])
                return try await tx.query("UPDATE kv SET v = v + 1 WHERE k = $1 RETURNING v", [.int(key)]).first?.decode(Int.self, "v")
            }
            #expect(value == 2)
            await #expect(throws: Mine.self) {
                try await it.client.transaction(on: .key(shop, key)) { tx in
                    try await tx.query("UPDATE kv SET v = 99 WHERE k = $1", [.int(key)])
                    throw Mine()
                }
            }
            #expect(try await it.onShard(0, "SELECT v FROM kv") == "2")
        }
    }

    @Test func anErrorThatTheClosureSwallowsIsNoCommit() async throws {
        try await ClientCluster.with { it in
            let key = try it.key(on: 0)
            let outcome = await code {
                try await it.client.transaction(on: .key(shop, key)) { tx in
                    try await tx.query("INSERT INTO kv VALUES ($1, 1)", [.int(key)])
                    #expect(await code { try await tx.query("SELECT 1/0") } == .server)
                    #expect(await code { try await tx.query("SELECT 1") } == .transactionOver)
                }
            }
            #expect(outcome == .transactionOver)
            #expect(try await it.onShard(0, "SELECT count(*) FROM kv") == "0")
        }
    }

    @Test func aStatementOfAnotherKeyIsRefusedAndTheTransactionGoesOn() async throws {
        try await ClientCluster.with { it in
            let (key, far) = (try it.key(on: 0), try it.key(on: 1))
            try await it.client.transaction(on: .key(shop, key)) { tx in
                try await tx.query("INSERT INTO kv VALUES ($1, 1)", [.int(key)])
                #expect(await code { try await tx.query("INSERT INTO kv VALUES ($1, 1)", [.int(far)]) } == .keyMismatch)
                #expect(await code { try await tx.query("COMMIT") } == .needsRouter)
                #expect(await code { try await tx.query("SET search_path = x") } == .needsRouter)
            }
            #expect(try await it.onShard(0, "SELECT count(*) FROM kv") == "1")
            #expect(try await it.onShard(1, "SELECT count(*) FROM kv") == "0")
        }
    }

    @Test func aTransactionThatLeftItsClosureTakesNothing() async throws {
        try await ClientCluster.with { it in
            let kept = Kept()
            try await it.client.transaction(on: .key(shop, 1)) { tx in kept.transaction.withLock { $0 = tx } }
            let escaped = try #require(kept.transaction.withLock { $0 })
            #expect(await code { try await escaped.query("INSERT INTO kv VALUES (1, 1)") } == .transactionOver)
        }
    }

    @Test func aReadOnlyTransactionWritesNothing() async throws {
        try await ClientCluster.with { it in
            let outcome = await code {
                try await it.client.transaction(on: .key(shop, 1), .init(isReadOnly: true)) { _ = try await $0.query("INSERT INTO kv VALUES (1, 1)") }
            }
            #expect(outcome == .server)
        }
    }

    @Test func aCancelledTransactionIsRolledBackAndItsConnectionIsOfUseAgain() async throws {
        try await ClientCluster.with({ $0.connectionsMax = 1 }) { it in
            let key = try it.key(on: 0)
            let (begun, began) = AsyncStream<Void>.makeStream()
            let task = Task {
                try await it.client.transaction(on: .key(shop, key)) { tx in
                    try await tx.query("INSERT INTO kv VALUES ($1, 1)", [.int(key)])
                    began.finish()
                    try await Task.sleep(for: .seconds(600))
                }
            }
            for await _ in begun {}
            task.cancel()
            #expect(await code { try await task.value } == .cancelled)
            #expect(try await it.client.query(on: .key(shop, key), "SELECT v FROM kv WHERE k = $1", [.int(key)]).isEmpty)
        }
    }

    @Test func aConnectionThatIsLostBeforeCommitIsAnErrorAndNothingIsWritten() async throws {
        try await ClientCluster.with { it in
            let key = try it.key(on: 0)
            let outcome = await code {
                try await it.client.transaction(on: .key(shop, key)) { tx in
                    try await tx.query("INSERT INTO kv VALUES ($1, 1)", [.int(key)])
                    _ = try await it.onShard(0, "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE state = 'idle in transaction'")
                }
            }
            // The client cannot know that the session ended before its COMMIT came.
            #expect(outcome == .commitUnknown || outcome == .connectionLost)
            #expect(try await it.onShard(0, "SELECT count(*) FROM kv") == "0")
        }
    }

    @Test func aTransactionOfManyKeysGoesThroughARouter() async throws {
        try await ClientCluster.with { it in
            let router = try it.client.router(shop)
            try await router.transaction { tx in
                for key in 1...20 { try await tx.query("INSERT INTO kv VALUES ($1, 1)", [.int(key)]) }
            }
            await #expect(throws: Mine.self) {
                try await router.transaction { tx in
                    try await tx.query("INSERT INTO kv VALUES (21, 1)")
                    throw Mine()
                }
            }
            let answers = try await it.client.scatter(shop, "SELECT count(*) FROM kv")
            #expect(try answers.map { try $0.rows.first?.decode(Int.self, at: 0) ?? 0 }.reduce(0, +) == 20)
            // Nothing of a session is left for the next call.
            try await router.query("SET statement_timeout = 1234")
            #expect(try await router.query("SHOW statement_timeout").first?.decode(String.self, at: 0) == "0")
            #expect(await code { try await router.query("BEGIN") } == .transactionOver)
            #expect(try await router.query("SELECT 1").count == 1)
        }
    }

    @Test func aScatteredStatementCannotWrite() async throws {
        try await ClientCluster.with { it in
            for sql in ["INSERT INTO kv VALUES (1, 1)", "SELECT 1; SELECT 2", "SET x = y", "COMMIT", "", "WITH a AS (SELECT 1) DELETE FROM kv"] {
                #expect(await code { _ = try await it.client.scatter(shop, sql) } == .needsRouter, "\(sql)")
            }
            let answers = try await it.client.scatter(shop, "WITH a AS (INSERT INTO kv VALUES (1, 1) RETURNING k) SELECT * FROM a")
            #expect(answers.count == 2)
            for answer in answers { #expect(throws: MosaicError.self) { try answer.rows } }
            _ = try await it.client.scatter(shop, "SELECT pg_advisory_lock(7), set_config('search_path', 'pg_catalog', false)")
            for shard in 0..<2 {
                #expect(try await it.onShard(shard, "SELECT count(*) FROM kv") == "0")
                #expect(try await it.onShard(shard, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == "0")
            }
            #expect(try await it.client.query(on: .key(shop, 1), "SELECT v FROM kv WHERE k = 1").isEmpty)
        }
    }
}

private final class Kept: Sendable {
    let transaction = Mutex<MosaicTransaction?>(nil)
}
