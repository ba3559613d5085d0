import ClusterTestKit
import Foundation
import PostgresProcess
import Testing

extension FaultTests {
    /// `kill -9` of a shard at every moment of a statement's life. The third shard is the victim; the others must never notice.
    @Suite(.faultCluster(), .serialized)
    struct ShardKillTests {
        private let cluster: TestCluster
        private let victim = 2

        init() throws { cluster = try TestCluster.current }

        /// Kills the victim around what `body` checks, and sees it come back.
        private func killing(_ body: () async throws -> Void) async throws {
            let result: Result<Void, any Error>
            do { result = .success(try await body()) } catch { result = .failure(error) }
            await cluster.servers[victim].kill()
            try await cluster.regain(victim)
            try result.get()
            try await cluster.expectNoLeak()
        }

        private func kill() async { await cluster.servers[victim].kill() }

        /// Waits until the router knows of the loss: until then a write may be under way to a server that is gone, and its outcome unknown.
        private func lossIsKnown() async throws {
            try await eventually("the router knows") { try await cluster.metric("pgmosaic_pool_backends", "shard=\"s3\"") == 0 }
        }

        /// A row of the victim's.
        private func row(_ value: Int = 0) async throws -> Int64 {
            let key = try await cluster.key(on: victim, from: Int64.random(in: 1...1_000_000_000))
            let client = try await cluster.login()
            try #require(try await client.failure("INSERT INTO kv VALUES (\(key), \(value))") == nil)
            return key
        }

        // MARK: One shard's statements

        @Test func anIdlePoolRefusesFastAndConnectsAnew() async throws {
            let (key, other) = (try await row(), try await cluster.key(on: 0))
            let client = try await cluster.login()
            try await killing {
                #expect(try await client.failure("SELECT v FROM kv WHERE k = \(key)") == nil)
                await kill()
                try await lossIsKnown()
                for _ in 0..<5 {
                    let code = try await client.failure("UPDATE kv SET v = 1 WHERE k = \(key)")
                    #expect(["08001", "08006"].contains(code), "\(code ?? "none")")
                    #expect(try await client.failure("SELECT v FROM kv WHERE k = \(other)") == nil)
                }
            }
            #expect(try await client.failure("UPDATE kv SET v = 1 WHERE k = \(key)") == nil)
        }

        @Test func aReadUnderWayHadNoEffect() async throws {
            let key = try await row()
            let client = try await cluster.login()
            try await killing {
                try await client.send(WireMessages.query("SELECT pg_sleep(120) FROM kv WHERE k = \(key)"))
                try await sleeping()
                await kill()
                let answer = try await client.until("Z")
                #expect(answer.first { $0.kind == "E" }?.sqlState == "08006")
                #expect(answer.last?.status == "I")
            }
            #expect(try await client.rows("SELECT v FROM kv WHERE k = \(key)") == [["0"]])
        }

        @Test func aWriteUnderWayIsUnknown() async throws {
            let key = try await row()
            let client = try await cluster.login()
            try await killing {
                try await client.send(WireMessages.query("UPDATE kv SET v = v + 1 + length(pg_sleep(120)::text) WHERE k = \(key)"))
                try await sleeping()
                await kill()
                let answer = try await client.until("Z")
                #expect(answer.first { $0.kind == "E" }?.sqlState == "08007")
                #expect(answer.last?.status == "I")
            }
            #expect(try await client.rows("SELECT v FROM kv WHERE k = \(key)") == [["0"]])
        }

        @Test func aWriteBehindACommitOnEveryShardIsUnknownToo() async throws {
            let key = try await row()
            let client = try await cluster.login()
            #expect(try await client.failure("UPDATE ref SET v = v") == nil)
            try await killing {
                try await client.send(WireMessages.query("UPDATE kv SET v = v + 1 + length(pg_sleep(120)::text) WHERE k = \(key)"))
                try await sleeping()
                await kill()
                #expect(try await client.until("Z").first { $0.kind == "E" }?.sqlState == "08007")
            }
        }

        @Test func aBatchBeforeItsSyncHadNoEffect() async throws {
            let key = try await row()
            let client = try await cluster.login()
            try await killing {
                try await client.send(
                    WireMessages.parse("", "UPDATE kv SET v = v + 1 WHERE k = $1") + WireMessages.bind("", "", ["\(key)"]) + WireMessages.execute("")
                        + WireMessages.flush)
                _ = try await client.until("C")
                await kill()
                #expect(try await client.until("E").last?.sqlState == "08006")
                try await client.send(WireMessages.sync)
                #expect(try await client.until("Z").map(\.kind) == ["Z"])
            }
            #expect(try await client.rows("SELECT v FROM kv WHERE k = \(key)") == [["0"]])
        }

        // MARK: Transactions

        @Test func aCommitAfterALossBetweenStatementsIsAnError() async throws {
            let key = try await row()
            let client = try await cluster.login()
            try await killing {
                try await client.query("BEGIN")
                #expect(try await client.failure("UPDATE kv SET v = 1 WHERE k = \(key)") == nil)
                await kill()
                try await lossIsKnown()
                let answer = try await client.query("COMMIT")
                #expect(answer.map(\.description) == ["E(08006)", "Z(I)"])
                #expect(try await client.query("SELECT 1").last?.status == "I")
            }
            #expect(try await client.rows("SELECT v FROM kv WHERE k = \(key)") == [["0"]])
        }

        @Test func theNextStatementAfterALossSaysSo() async throws {
            let key = try await row()
            let client = try await cluster.login()
            try await killing {
                try await client.query("BEGIN")
                try await client.query("SAVEPOINT a")
                #expect(try await client.failure("UPDATE kv SET v = 1 WHERE k = \(key)") == nil)
                await kill()
                try await lossIsKnown()
                #expect(try await client.query("SELECT v FROM kv WHERE k = \(key)").map(\.description) == ["E(08006)", "Z(E)"])
                #expect(try await client.query("SELECT 1").map(\.description) == ["E(25P02)", "Z(E)"])
                #expect(try await client.query("ROLLBACK TO a").map(\.description) == ["E(25P02)", "Z(E)"])
                #expect(try await client.query("COMMIT").map(\.description) == ["C(ROLLBACK)", "Z(I)"])
            }
        }

        @Test func aRollbackAfterALossSucceeds() async throws {
            let key = try await row()
            let client = try await cluster.login()
            try await killing {
                try await client.query("BEGIN")
                #expect(try await client.failure("UPDATE kv SET v = 1 WHERE k = \(key)") == nil)
                await kill()
                try await lossIsKnown()
                #expect(try await client.query("ROLLBACK").map(\.description) == ["C(ROLLBACK)", "Z(I)"])
            }
        }

        @Test func theExtendedProtocolLearnsOfItToo() async throws {
            let key = try await row()
            let client = try await cluster.login()
            func run(_ sql: String) async throws -> [String] {
                try await client.send(WireMessages.parse("", sql) + WireMessages.bind("", "") + WireMessages.execute("") + WireMessages.sync)
                return try await client.until("Z").map(\.description).filter { $0.hasPrefix("E") || $0.hasPrefix("Z") || $0.hasPrefix("C") }
            }
            try await killing {
                for end in ["COMMIT", "SELECT 1"] {
                    if end == "SELECT 1" { try await cluster.regain(victim) }
                    #expect(try await run("BEGIN") == ["C(BEGIN)", "Z(T)"])
                    #expect(try await run("UPDATE kv SET v = 1 WHERE k = \(key)") == ["C(UPDATE 1)", "Z(T)"])
                    await kill()
                    try await lossIsKnown()
                    #expect(try await run(end) == ["E(08006)", end == "COMMIT" ? "Z(I)" : "Z(E)"])
                }
                #expect(try await run("ROLLBACK") == ["C(ROLLBACK)", "Z(I)"])
            }
        }

        @Test func aStatementOfATransactionHadNoEffect() async throws {
            let key = try await row()
            let client = try await cluster.login()
            try await killing {
                try await client.query("BEGIN")
                try await client.send(WireMessages.query("UPDATE kv SET v = v + 1 + length(pg_sleep(120)::text) WHERE k = \(key)"))
                try await sleeping()
                await kill()
                #expect(try await client.until("Z").map(\.description) == ["E(08006)", "Z(E)"])
                #expect(try await client.query("ROLLBACK").map(\.description) == ["C(ROLLBACK)", "Z(I)"])
            }
        }

        @Test func aCommitUnderWayIsUnknown() async throws {
            let key = try await row()
            let client = try await cluster.login()
            // A COMMIT that takes long: a deferred trigger, on the victim alone.
            try await cluster.onShard(
                victim,
                """
                CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(120); RETURN NULL; END';
                CREATE CONSTRAINT TRIGGER slow AFTER UPDATE ON kv DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION slow();
                """)
            try await killing {
                try await client.query("BEGIN")
                #expect(try await client.failure("UPDATE kv SET v = 1 WHERE k = \(key)") == nil)
                try await client.send(WireMessages.query("COMMIT"))
                try await sleeping()
                await kill()
                #expect(try await client.until("Z").map(\.description) == ["E(08007)", "Z(I)"])
            }
            try await cluster.onShard(victim, "DROP TRIGGER slow ON kv; DROP FUNCTION slow")
            #expect(try await client.rows("SELECT v FROM kv WHERE k = \(key)") == [["0"]])
        }

        // MARK: COPY

        @Test(arguments: [true, false]) func aCopyForSeveralShardsLeavesNothing(isInTransaction: Bool) async throws {
            let client = try await cluster.login()
            var keys: [Int64] = []
            for index in 0..<3 { keys += try await cluster.keys(on: index, from: isInTransaction ? 2_000_000_000 : 3_000_000_000, count: 50) }
            try await killing {
                if isInTransaction { try await client.query("BEGIN") }
                try await client.send(WireMessages.query("COPY kv FROM STDIN"))
                _ = try await client.until("G")
                for key in keys { try await client.send(WireMessages.copyData("\(key)\t1\n")) }
                await kill()
                // The error comes at once; what the client still sends is passed over.
                var answer = try await client.until("Z")
                #expect(answer.map(\.description) == ["E(08006)", isInTransaction ? "Z(E)" : "Z(I)"])
                try await client.send(WireMessages.copyData("1\t1\n") + WireMessages.copyDone)
                answer = try await client.query(isInTransaction ? "COMMIT" : "SELECT 1")
                #expect(answer.last?.status == "I")
            }
            for index in 0..<3 { #expect(try await cluster.onShard(index, "SELECT count(*) FROM kv WHERE k >= 2000000000") == "0") }
        }

        @Test(arguments: ["%", "COPY (%) TO STDOUT"]) func aLargeAnswerThatBreaksOffIsNeverTakenForWhole(form: String) async throws {
            let key = try await row()
            let client = try await cluster.login()
            try await killing {
                let select = "SELECT repeat('x', 100000), g FROM kv, generate_series(1, 20000) g WHERE k = \(key)"
                try await client.send(WireMessages.query(form.replacing("%", with: select)))
                for _ in 0..<20 { _ = try await client.next() }
                await kill()
                let rest = try await client.untilEnd(orReady: true)
                #expect(!rest.contains { $0.kind == "C" || $0.kind == "c" })
                // In the middle of a row there is nothing to say but farewell.
                if rest.last?.kind == "Z" { #expect(rest.contains { $0.sqlState == "08006" }) }
            }
        }

        // MARK: Statements on every shard

        /// A direct session that keeps a row of `ref` locked on one shard.
        private func locking(_ index: Int, _ sql: String = "UPDATE ref SET v = v WHERE id = 1") async throws -> WireClient {
            let session = try await cluster.shardSession(index)
            try await session.query("BEGIN")
            try #require(try await session.failure(sql) == nil)
            return session
        }

        private func prepareReference() async throws {
            let client = try await cluster.login()
            try #require(try await client.failure("DELETE FROM ref") == nil)
            try #require(try await client.failure("INSERT INTO ref VALUES (1, 0)") == nil)
        }

        /// Waits until somebody waits for a lock on the shard.
        private func blocked(_ index: Int) async throws {
            try await eventually("a statement waits for a lock") {
                try await self.cluster.onShard(index, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") != "0"
            }
        }

        private func sleeping() async throws {
            try await eventually("a statement sleeps") {
                try await self.cluster.onShard(self.victim, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") != "0"
            }
        }

        /// The statement waits for a lock on `waiting` while the victim, which has done its part or has not begun, is lost.
        @Test(arguments: [0, 1], [false, true]) func aReferenceWriteFailsAsAWhole(waiting: Int, isInTransaction: Bool) async throws {
            try await prepareReference()
            let client = try await cluster.login()
            try await killing {
                let lock = try await locking(waiting)
                if isInTransaction {
                    try await client.query("BEGIN")
                    // Every shard takes part already.
                    #expect(try await client.failure("INSERT INTO ref VALUES (2, 2)") == nil)
                }
                try await client.send(WireMessages.query("UPDATE ref SET v = 7 WHERE id = 1"))
                try await blocked(waiting)
                await kill()
                let answer = try await client.until("Z")
                #expect(answer.map(\.description) == ["E(08006)", isInTransaction ? "Z(E)" : "Z(I)"])
                if isInTransaction { #expect(try await client.query("ROLLBACK").map(\.description) == ["C(ROLLBACK)", "Z(I)"]) }
                try await lock.query("ROLLBACK")
            }
            #expect(try await cluster.settled() == "1=0")
        }

        @Test func anImplicitTransactionOfSeveralShardsIsNotCommittedWithoutOne() async throws {
            try await prepareReference()
            let client = try await cluster.login()
            try await killing {
                try await client.send(
                    WireMessages.parse("", "UPDATE ref SET v = 8 WHERE id = 1") + WireMessages.bind("", "") + WireMessages.execute("")
                        + WireMessages.flush)
                _ = try await client.until("C")
                await kill()
                #expect(try await client.until("E").last?.sqlState == "08006")
                try await client.send(WireMessages.sync)
                #expect(try await client.until("Z").map(\.description) == ["Z(I)"])
            }
            #expect(try await cluster.settled() == "1=0")
        }

        @Test func aTransactionOfSeveralShardsIsNotCommittedWithoutOne() async throws {
            try await prepareReference()
            let client = try await cluster.login()
            try await killing {
                try await client.query("BEGIN")
                #expect(try await client.failure("UPDATE ref SET v = 8 WHERE id = 1") == nil)
                await kill()
                try await lossIsKnown()
                #expect(try await client.query("COMMIT").map(\.description) == ["E(08006)", "Z(I)"])
            }
            #expect(try await cluster.settled() == "1=0")
        }

        // MARK: Two-phase commit

        /// Stops a reference write between its PREPAREs and its decision, which waits for a lock on the decider.
        private func stoppedBeforeDecision(_ client: WireClient) async throws -> WireClient {
            let lock = try await locking(0, "LOCK TABLE pgmosaic.decisions IN EXCLUSIVE MODE")
            try await client.send(WireMessages.query("UPDATE ref SET v = 9 WHERE id = 1"))
            try await blocked(0)
            for index in 1...2 { #expect(try await cluster.onShard(index, "SELECT count(*) FROM pg_prepared_xacts") == "1") }
            return lock
        }

        @Test(arguments: [false, true]) func whoCommitsIsToldWhenEveryShardThatComesBackHasIt(isBehindTheDecision: Bool) async throws {
            try await prepareReference()
            let client = try await cluster.login()
            try await killing {
                let lock = try await stoppedBeforeDecision(client)
                if isBehindTheDecision { await cluster.servers[victim].pause() } else { await kill() }
                try await lock.query("ROLLBACK")
                try await eventually("the decision is made, and carried out on the second shard") {
                    try await self.cluster.onShard(1, "SELECT count(*) FROM pg_prepared_xacts") == "0"
                }
                if isBehindTheDecision { await kill() }
                try await Task.sleep(for: .seconds(1))
                try await cluster.servers[victim].start()
                #expect(try await client.until("Z").map(\.description) == ["C(UPDATE 1)", "Z(I)"])
                #expect(try await cluster.onShard(victim, "SELECT v FROM ref WHERE id = 1") == "9")
            }
            #expect(try await cluster.settled() == "1=9")
        }

        @Test func aParticipantThatStaysLostAfterTheDecisionCommitsLater() async throws {
            try await prepareReference()
            let client = try await cluster.login()
            try await killing {
                let lock = try await stoppedBeforeDecision(client)
                await cluster.servers[victim].pause()
                try await lock.query("ROLLBACK")
                try await eventually("the decision is made, and carried out on the second shard") {
                    try await self.cluster.onShard(1, "SELECT count(*) FROM pg_prepared_xacts") == "0"
                }
                await kill()
                let answer = try await client.until("Z")
                #expect(answer.map(\.description) == ["N", "C(UPDATE 1)", "Z(I)"])
                #expect(answer.first?.field("C") == "01000" && answer.first?.field("M")?.contains("not to be seen yet on shard s3") == true)
            }
            #expect(try await cluster.settled() == "1=9")
        }

        @Test func aDeciderLostAtItsDecisionLeavesAllOrNothing() async throws {
            try await prepareReference()
            let client = try await cluster.login()
            let lock = try await stoppedBeforeDecision(client)
            await cluster.servers[0].kill()
            let answer = try await client.until("Z")
            #expect(["08006", "08007"].contains(answer.first { $0.kind == "E" }?.sqlState))
            lock.close()
            try await cluster.regain(0)
            #expect(try await cluster.settled() == "1=0")
            try await cluster.expectNoLeak()
        }
    }
}
