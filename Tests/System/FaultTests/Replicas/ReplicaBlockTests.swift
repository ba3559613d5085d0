import ClusterTestKit
import Foundation
import PostgresProcess
import Testing

extension FaultTests {
    /// READ ONLY transaction blocks of eventual sessions: all of one runs on one replica, or is answered as by the primary.
    @Suite(.replicaCluster(), .serialized)
    struct ReplicaBlockTests {
        private let cluster: TestCluster
        private let shard = 1

        init() throws { cluster = try TestCluster.current }

        private func key(on shard: Int = 1) async throws -> Int64 {
            let key = try await cluster.key(on: shard)
            try await cluster.plant(key, 1, on: shard)
            try await cluster.allUsable()
            return key
        }

        private var primary: Int { cluster.servers[shard].port }
        private var replicas: Set<Int> { cluster.ports(ofReplicasOf: shard) }

        private func run(_ client: WireClient, _ statements: [String]) async throws {
            for statement in statements { #expect(try await client.failure(statement) == nil, "\(statement)") }
        }

        private func read(_ key: Int64, _ client: WireClient, also: String = "0") async throws -> (port: Int, value: String?) {
            let row = try #require(try await client.rows("SELECT inet_server_port(), v, \(also) FROM kv WHERE k = \(key)").first)
            return (try #require(row[0].flatMap { Int($0) }), row[1])
        }

        // MARK: Where a block runs

        @Test(arguments: [
            ["BEGIN READ ONLY"], ["BEGIN TRANSACTION READ ONLY"], ["START TRANSACTION READ ONLY"], ["BEGIN", "SET TRANSACTION READ ONLY"],
            ["BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"], ["BEGIN READ ONLY", "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"],
            ["SET default_transaction_read_only = on", "BEGIN"], ["SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "BEGIN"],
            ["SELECT set_config('default_transaction_read_only', 'on', false)", "BEGIN"],
        ]) func aBlockThatCannotWriteRunsOnOneReplica(begin: [String]) async throws {
            let key = try await key()
            let client = try await cluster.eventualLogin()
            for end in ["COMMIT", "ROLLBACK"] {
                try await run(client, begin)
                var readers: Set<Int> = []
                for _ in 0..<5 { readers.insert(try await read(key, client).port) }
                #expect(readers.count == 1)
                #expect(readers.isSubset(of: replicas))
                #expect(try await client.rows("SHOW transaction_read_only") == [["on"]])
                #expect(try await client.query(end).map(\.description) == ["C(\(end))", "Z(I)"])
            }
            client.close()
            try await cluster.expectNoLeak()
        }

        @Test(arguments: [
            ["BEGIN"], ["BEGIN READ WRITE"], ["BEGIN ISOLATION LEVEL REPEATABLE READ"], ["BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY"],
            ["BEGIN READ ONLY", "SET TRANSACTION READ WRITE"], ["SET default_transaction_read_only = on", "BEGIN READ WRITE"],
            ["SET default_transaction_read_only = on", "BEGIN", "SET TRANSACTION READ WRITE"], ["BEGIN READ ONLY", "SET LOCAL transaction_read_only = off"],
            ["SET default_transaction_isolation = serializable", "BEGIN READ ONLY"], ["BEGIN READ ONLY", "SELECT random()"],
            ["BEGIN READ ONLY", "SELECT count(*) FROM pg_class"], ["SET pgmosaic.consistency = strong", "BEGIN READ ONLY"],
            ["BEGIN READ ONLY", "SET pgmosaic.consistency = strong"],
            // No standby takes such a BEGIN.
            ["BEGIN READ WRITE", "SET TRANSACTION READ ONLY"],
        ]) func aBlockThatMayWriteOrBeganOtherwiseRunsOnThePrimary(begin: [String]) async throws {
            let key = try await key()
            let client = try await cluster.eventualLogin()
            try await run(client, begin)
            for _ in 0..<2 { #expect(try await read(key, client).port == primary) }
            try await run(client, ["COMMIT"])
            client.close()
            try await cluster.expectNoLeak()
        }

        @Test func theExtendedProtocolAndPipelinesRunBlocksOnReplicas() async throws {
            let key = try await key()
            let client = try await cluster.eventualLogin()
            func step(_ sql: String, _ parameters: [String] = []) -> [UInt8] {
                WireMessages.parse("", sql) + WireMessages.bind("", "", parameters) + WireMessages.execute("")
            }
            let select = step("SELECT inet_server_port() FROM kv WHERE k = $1", ["\(key)"])
            for isPipeline in [true, false] {
                let sync = isPipeline ? [] : WireMessages.sync
                try await client.send(step("BEGIN READ ONLY") + sync + select + sync + select + sync + step("COMMIT") + WireMessages.sync)
                var messages: [WireClient.Message] = []
                for _ in 0..<(isPipeline ? 1 : 4) { messages += try await client.until("Z") }
                let ports = messages.filter { $0.kind == "D" }.compactMap { $0.row[0].flatMap { Int($0) } }
                #expect(ports.count == 2 && ports[0] == ports[1] && replicas.contains(ports[0]), "\(messages)")
                #expect(messages.last?.description == "Z(I)")
                // The rows that are left are asked for when the block may have left its replica.
                try await run(client, ["BEGIN READ ONLY"])
                try await client.send(
                    WireMessages.parse("", "SELECT inet_server_port() FROM kv WHERE k = \(key)") + WireMessages.bind("named", "") + WireMessages.execute("named") + sync)
                if isPipeline { try await client.send(WireMessages.sync) }
                #expect(try await client.until("Z").first { $0.kind == "D" }?.row == ["\(primary)"])
                try await run(client, ["COMMIT"])
            }
            client.close()
            try await cluster.expectNoLeak()
        }

        @Test func aPreparedStatementOfSQLRunsWhereTheBlockIs() async throws {
            let key = try await key()
            let client = try await cluster.eventualLogin()
            try await run(client, ["PREPARE r (bigint) AS SELECT inet_server_port() FROM kv WHERE k = $1", "PREPARE p AS SELECT inet_server_port(), random()", "BEGIN READ ONLY"])
            let port = try await read(key, client).port
            #expect(replicas.contains(port))
            #expect(try await client.rows("EXECUTE r(\(key))") == [["\(port)"]])
            // It needs no row of a shard: once the block has left its replica the home shard is as good as any.
            #expect(try await client.rows("EXECUTE p").first?[0] == "\(cluster.servers[0].port)")
            #expect(try await client.rows("EXECUTE r(\(key))") == [["\(primary)"]])
            try await run(client, ["COMMIT"])
            client.close()
            try await cluster.expectNoLeak()
        }

        // MARK: What it sees

        @Test func aBlockOfOneSnapshotSeesOneAndAnotherSeesWhatIsReplayed() async throws {
            let key = try await key()
            let client = try await cluster.eventualLogin()
            for (isolation, second) in [("REPEATABLE READ", "1"), ("READ COMMITTED", "2")] {
                try await cluster.plant(key, 1, on: shard)
                try await run(client, ["BEGIN ISOLATION LEVEL \(isolation) READ ONLY"])
                let first = try await read(key, client)
                #expect(replicas.contains(first.port) && first.value == "1")
                try await cluster.plant(key, 2, on: shard)
                let again = try await read(key, client)
                #expect(again.port == first.port && again.value == second, "\(isolation)")
                try await run(client, ["COMMIT"])
                #expect(try await read(key, client).value == "2")
            }
            client.close()
        }

        @Test func aBlockSeesWhatItsSessionWroteBefore() async throws {
            let key = try await key()
            let client = try await cluster.eventualLogin()
            try await cluster.pauseReplay(shard)
            try await run(client, ["UPDATE kv SET v = 5 WHERE k = \(key)", "BEGIN READ ONLY"])
            let seen = try await read(key, client)
            #expect(seen.port == primary && seen.value == "5")
            try await run(client, ["COMMIT"])
            try await cluster.resumeReplay(shard)
            try await eventually("a replica has the write") { try await read(key, client).port != primary }
            try await run(client, ["BEGIN READ ONLY"])
            let later = try await read(key, client)
            #expect(replicas.contains(later.port) && later.value == "5")
            try await run(client, ["COMMIT"])
            client.close()
        }

        @Test func aChainedTransactionChoosesAnew() async throws {
            let key = try await key()
            let client = try await cluster.eventualLogin()
            try await run(client, ["BEGIN READ ONLY"])
            for end in ["COMMIT AND CHAIN", "ROLLBACK AND CHAIN", "COMMIT"] {
                #expect(replicas.contains(try await read(key, client).port))
                #expect(try await client.rows("SHOW transaction_read_only") == [["on"]])
                try await run(client, [end])
            }
            client.close()
            try await cluster.expectNoLeak()
        }

        // MARK: What is not for a replica

        @Test func whatIsForThePrimaryTakesTheBlockThereWithAllThatWasSetInIt() async throws {
            let key = try await key()
            let client = try await cluster.eventualLogin()
            try await run(client, ["BEGIN READ ONLY"])
            #expect(replicas.contains(try await read(key, client).port))
            try await run(client, ["SET LOCAL statement_timeout = '77s'", "SAVEPOINT s", "SET lock_timeout = '33s'"])
            #expect(replicas.contains(try await read(key, client).port))
            #expect(try await read(key, client, also: "random()").port == primary)
            #expect(try await read(key, client).port == primary)
            #expect(try await client.rows("SHOW statement_timeout") == [["77s"]])
            #expect(try await client.rows("SHOW lock_timeout") == [["33s"]])
            #expect(try await client.failure("UPDATE kv SET v = 9 WHERE k = \(key)") == "25006")
            try await run(client, ["ROLLBACK TO s"])
            #expect(try await client.rows("SHOW lock_timeout") == [["0"]])
            #expect(try await client.rows("SHOW statement_timeout") == [["77s"]])
            #expect(try await client.failure("SET TRANSACTION READ WRITE") == "25001")
            try await run(client, ["ROLLBACK"])
            client.close()
            try await cluster.expectNoLeak()
        }

        @Test func aSecondShardIsReadAtThePrimaries() async throws {
            let (key, other) = (try await key(), try await key(on: 0))
            let client = try await cluster.eventualLogin()
            try await run(client, ["BEGIN READ ONLY"])
            #expect(replicas.contains(try await read(key, client).port))
            #expect(try await read(other, client).port == cluster.servers[0].port)
            #expect(try await read(key, client).port == primary)
            try await run(client, ["COMMIT"])
            client.close()
            try await cluster.expectNoLeak()
        }

        @Test func whatWouldBreakTheOneSnapshotIsRefused() async throws {
            let (key, other) = (try await key(), try await key(on: 0))
            let client = try await cluster.eventualLogin()
            for statement in [
                "SELECT random()", "SELECT v FROM kv WHERE k = \(other)", "SELECT pg_advisory_xact_lock(1)", "SELECT v FROM kv WHERE k = \(key) FOR UPDATE",
                "UPDATE kv SET v = 3 WHERE k = \(key)", "LISTEN x", "CREATE TEMP TABLE t (a int)", "INSERT INTO ref VALUES (1, 'x')", "COPY kv TO STDOUT",
            ] {
                // Some of them could have written, for all that the router knows: until that would be replayed the session reads from primaries.
                try await eventually("the block is on a replica") {
                    try await run(client, ["BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"])
                    if replicas.contains(try await read(key, client).port) { return true }
                    try await run(client, ["COMMIT"])
                    return false
                }
                #expect(try await client.failure(statement) == "0A000", "\(statement)")
                #expect(try await client.failure("SELECT 1") == "25P02")
                #expect(try await client.query("COMMIT").map(\.description) == ["C(ROLLBACK)", "Z(I)"])
            }
            client.close()
            try await cluster.expectNoLeak()
        }

        // MARK: Failures

        @Test func anErrorOfTheFirstStatementIsThePrimarysAndOneOfALaterIsTheReplicas() async throws {
            let key = try await key()
            let client = try await cluster.eventualLogin()
            let before = try await cluster.served(by: "retried")
            try await run(client, ["BEGIN READ ONLY"])
            #expect(try await client.failure("SELECT 1 / (v - v) FROM kv WHERE k = \(key)") == "22012")
            #expect(try await cluster.served(by: "retried") == before + 1)
            #expect(try await client.failure("SELECT 1") == "25P02")
            try await run(client, ["ROLLBACK", "BEGIN READ ONLY", "SAVEPOINT s"])
            let port = try await read(key, client).port
            #expect(replicas.contains(port))
            #expect(try await client.failure("SELECT 1 / (v - v) FROM kv WHERE k = \(key)") == "22012")
            try await run(client, ["ROLLBACK TO s"])
            #expect(try await read(key, client).port == port)
            #expect(try await cluster.served(by: "retried") == before + 1)
            try await run(client, ["COMMIT"])
            client.close()
            try await cluster.expectNoLeak()
        }

        @Test func aReplicaLostInTheMiddleFailsTheBlockAndNothingElse() async throws {
            let key = try await key()
            let client = try await cluster.eventualLogin()
            try await run(client, ["BEGIN READ ONLY"])
            let port = try await read(key, client).port
            let victim = try #require(cluster.replicas[shard].first { $0.port == port })
            await victim.kill()
            #expect(try await client.failure("SELECT v FROM kv WHERE k = \(key)") == "08006")
            #expect(try await client.failure("SELECT 1") == "25P02")
            #expect(try await client.query("COMMIT").map(\.description) == ["C(ROLLBACK)", "Z(I)"])
            // And where the replica is gone before the block's first statement, nobody notices.
            try await run(client, ["BEGIN READ ONLY"])
            #expect(try await read(key, client).port != port)
            try await run(client, ["COMMIT"])
            try await victim.start()
            try await cluster.allUsable()
            client.close()
            try await cluster.expectNoLeak()
        }
    }
}
