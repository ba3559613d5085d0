import CatalogStore
import ClusterTestKit
import Foundation
import PostgresProcess
import RESTTestKit
import ShardModel
import Testing

extension FaultTests {
    /// Which server answers what, with every server well.
    @Suite(.replicaCluster(), .serialized)
    struct ReplicaReadTests {
        private let cluster: TestCluster

        init() throws { cluster = try TestCluster.current }

        private func key(on shard: Int) async throws -> Int64 {
            let key = try await cluster.key(on: shard)
            try await cluster.plant(key, 1, on: shard)
            try await cluster.allUsable()
            return key
        }

        private static let portOf = "SELECT inet_server_port(), v FROM kv WHERE k = "

        @Test(arguments: [0, 1]) func aKeyedReadIsAnsweredByAReplicaOfItsShard(shard: Int) async throws {
            let key = try await key(on: shard)
            let client = try await cluster.eventualLogin()
            var readers: Set<Int> = []
            for _ in 0..<20 {
                let row = try #require(try await client.rows("\(Self.portOf)\(key)").first)
                #expect(row[1] == "1")
                readers.insert(try #require(row[0].flatMap { Int($0) }))
            }
            // Idle ones take turns.
            #expect(readers == cluster.ports(ofReplicasOf: shard))
            client.close()
        }

        @Test func everyProtocolAndKindOfTableReadsReplicas() async throws {
            let key = try await key(on: 1)
            let (keyed, home, all) = (
                cluster.ports(ofReplicasOf: 1), cluster.ports(ofReplicasOf: 0), cluster.ports(ofReplicasOf: 0).union(cluster.ports(ofReplicasOf: 1))
            )
            let client = try await cluster.eventualLogin()
            func port(_ messages: [WireClient.Message]) -> Int? { messages.first { $0.kind == "D" }?.row[0].flatMap { Int($0) } }
            for _ in 0..<3 {
                #expect(all.contains(try #require(port(try await client.query("SELECT inet_server_port() FROM (SELECT count(*) FROM ref) r")))))
                #expect(home.contains(try #require(port(try await client.query("SELECT inet_server_port() FROM (SELECT count(*) FROM notes) n")))))
                #expect(home.contains(try #require(port(try await client.query("SELECT inet_server_port()")))))
                #expect(try await client.rows("SELECT pg_is_in_recovery()") == [["t"]])
                // Unnamed, then named, prepared on whatever backend it meets.
                try await client.send(
                    WireMessages.parse("", Self.portOf + "$1") + WireMessages.bind("", "", ["\(key)"]) + WireMessages.describe("P", "")
                        + WireMessages.execute("") + WireMessages.sync)
                let answer = try await client.until("Z")
                #expect(answer.map(\.kind) == ["1", "2", "T", "D", "C", "Z"])
                #expect(keyed.contains(try #require(port(answer))))
            }
            try await client.send(WireMessages.parse("named", Self.portOf + "$1") + WireMessages.sync)
            #expect(try await client.until("Z").map(\.description) == ["1", "Z(I)"])
            var readers: Set<Int> = []
            for round in 0..<10 {
                // The statement moves between replicas and the primary, and back.
                if round == 5 { #expect(try await client.failure("SET pgmosaic.consistency = strong") == nil) }
                if round == 6 { #expect(try await client.failure("SET pgmosaic.consistency = eventual") == nil) }
                try await client.send(WireMessages.bind("", "named", ["\(key)"]) + WireMessages.execute("") + WireMessages.sync)
                let answer = try await client.until("Z")
                #expect(answer.map(\.kind) == ["2", "D", "C", "Z"])
                readers.insert(try #require(port(answer)))
            }
            #expect(readers == keyed.union([cluster.servers[1].port]))
            client.close()
            try await cluster.expectNoLeak()
        }

        @Test func writesLocksAndWhatOneServerHasForItselfGoToThePrimary() async throws {
            let key = try await key(on: 1)
            let client = try await cluster.eventualLogin()
            for statement in [
                "\(Self.portOf)\(key) FOR UPDATE", "SELECT inet_server_port(), random() FROM kv WHERE k = \(key)",
                "WITH w AS (UPDATE kv SET v = 1 WHERE k = \(key) RETURNING v) SELECT inet_server_port(), v FROM w",
                "INSERT INTO kv VALUES (\(key), 1) ON CONFLICT (k) DO UPDATE SET v = 1 RETURNING inet_server_port()",
            ] {
                #expect(try await client.rows(statement).first?[0] == "\(cluster.servers[1].port)", "\(statement)")
            }
            for statement in ["SELECT inet_server_port() FROM pg_class LIMIT 1", "SELECT inet_server_port(), pg_current_wal_lsn()"] {
                #expect(try await client.rows(statement).first?[0] == "\(cluster.servers[0].port)", "\(statement)")
            }
            #expect(try await client.rows("SHOW transaction_read_only") == [["off"]])
            client.close()
        }

        @Test func aTransactionBlockThatMayWriteStaysOnThePrimary() async throws {
            let key = try await key(on: 1)
            let client = try await cluster.eventualLogin()
            for begin in ["BEGIN", "BEGIN READ WRITE", "START TRANSACTION ISOLATION LEVEL REPEATABLE READ"] {
                #expect(try await client.failure(begin) == nil)
                #expect(try await client.rows("\(Self.portOf)\(key)") == [["\(cluster.servers[1].port)", "1"]])
                #expect(try await client.failure("COMMIT") == nil)
            }
            #expect(try await cluster.reader(of: key, client) != cluster.servers[1].port)
            client.close()
        }

        // MARK: How it is asked for

        @Test func theSessionSaysWhatItWants() async throws {
            let (key, primary) = (try await key(on: 1), cluster.servers[1].port)
            let client = try await cluster.login()
            func isOnPrimary() async throws -> Bool { try await cluster.reader(of: key, client) == primary }
            #expect(try await client.rows("SHOW pgmosaic.consistency") == [["strong"]])
            #expect(try await isOnPrimary())
            #expect(try await client.failure("SET pgmosaic.consistency TO 'Eventual'") == nil)
            #expect(try await client.rows("SHOW pgmosaic.consistency") == [["eventual"]])
            #expect(try await !isOnPrimary())
            for reset in ["SET pgmosaic.consistency = strong", "RESET pgmosaic.consistency", "SET pgmosaic.consistency TO DEFAULT", "RESET ALL", "DISCARD ALL"] {
                #expect(try await client.failure("SET pgmosaic.consistency = eventual") == nil)
                #expect(try await client.failure(reset) == nil)
                #expect(try await client.rows("SHOW pgmosaic.consistency") == [["strong"]], "\(reset)")
                #expect(try await isOnPrimary(), "\(reset)")
            }
            #expect(try await client.failure("SET pgmosaic.consistency = sometimes") == "22023")
            #expect(try await client.rows("SHOW pgmosaic.consistency") == [["strong"]])
            client.close()
        }

        @Test(arguments: [["pgmosaic.consistency": "eventual"], ["options": "-c pgmosaic.consistency=eventual"], ["options": "--pgmosaic.consistency=eventual"]])
        func theStartupPacketSaysWhatTheSessionWants(parameters: [String: String]) async throws {
            let key = try await key(on: 1)
            let client = try WireClient(port: cluster.wirePort)
            try await client.send(WireMessages.startup(["user": "test", "database": "shop"].merging(parameters) { $1 }))
            #expect(try await client.until("Z", orError: true).last?.status == "I")
            #expect(try await cluster.reader(of: key, client) != cluster.servers[1].port)
            #expect(try await client.failure("SET pgmosaic.consistency = strong") == nil)
            #expect(try await cluster.reader(of: key, client) == cluster.servers[1].port)
            // Back to the session's own start, as with every setting.
            #expect(try await client.failure("RESET pgmosaic.consistency") == nil)
            #expect(try await client.rows("SHOW pgmosaic.consistency") == [["eventual"]])
            client.close()
        }

        @Test func aWrongStartupOptionIsRefused() async throws {
            let client = try WireClient(port: cluster.wirePort)
            try await client.send(WireMessages.startup(["user": "test", "database": "shop", "pgmosaic.consistency": "maybe"]))
            #expect(try await client.until("Z", orError: true).last?.sqlState == "22023")
            client.close()
        }

        @Test func theDatabasesDefaultHoldsForWhoSaysNothing() async throws {
            let (key, primary) = (try await key(on: 1), cluster.servers[1].port)
            let (open, strong) = (try await cluster.login(), try await cluster.login())
            #expect(try await strong.failure("SET pgmosaic.consistency = strong") == nil)
            func setDefault(_ consistency: Consistency) async throws {
                let catalog = try await cluster.store.load()
                var database = try #require(catalog.databases[TestCluster.database])
                database.defaultConsistency = consistency
                _ = try await cluster.store.commit(CatalogChange([.putDatabase(database)], author: "test"), expecting: catalog.epoch)
                try await eventually("the router knows of it") { try await open.rows("SHOW pgmosaic.consistency") == [[consistency.rawValue]] }
            }
            try await setDefault(.eventual)
            #expect(try await cluster.reader(of: key, open) != primary)
            #expect(try await cluster.reader(of: key, strong) == primary)
            #expect(try await restReader(key, nil) != primary)
            #expect(try await restReader(key, "strong") == primary)
            try await setDefault(.strong)
            #expect(try await cluster.reader(of: key, open) == primary)
        }

        private func restReader(_ key: Int64, _ consistency: String?) async throws -> Int? {
            let member = consistency.map { #", "consistency": "\#($0)""# } ?? ""
            let body = #"{"query": "SELECT inet_server_port() AS port, v FROM kv WHERE k = $1", "params": [\#(key)]\#(member)}"#
            let answer = try await RawHTTP.send(
                "POST", "/v1/execute", port: cluster.httpPort, headers: [("Content-Type", "application/json")], body: Array(body.utf8))
            #expect(answer.status == 200, "\(answer.text)")
            return answer.text.firstMatch(of: /"port":\s*([0-9]+)/).flatMap { Int($0.output.1) }
        }

        @Test func aRequestSaysWhatItWants() async throws {
            let key = try await key(on: 1)
            for _ in 0..<4 {
                #expect(cluster.ports(ofReplicasOf: 1).contains(try #require(try await restReader(key, "eventual"))))
                #expect(try await restReader(key, "strong") == cluster.servers[1].port)
                #expect(try await restReader(key, nil) == cluster.servers[1].port)
            }
        }

        // MARK: Choice

        @Test func theReplicaWithTheLeastToDoIsChosen() async throws {
            let key = try await key(on: 1)
            var busy: [WireClient] = []
            let slow = "SELECT inet_server_port(), count(*) FROM kv, generate_series(1, 200000000) g WHERE k = \(key)"
            // Two on the same: the second begins while one that ends at once is on the other. So each replica gets one, and a third one makes a difference.
            for _ in 0..<3 {
                let client = try await cluster.eventualLogin()
                try await client.send(WireMessages.query(slow))
                busy.append(client)
                let count = Double(busy.count)
                try await eventually("it runs") { try await self.cluster.metric("pgmosaic_replica_backends", "state=\"busy\"") == count }
            }
            // At the servers a moment later than in the router's count.
            try await eventually("all three are at work") { try await slowReads().values.reduce(0, +) == 3 }
            let work = try await slowReads()
            #expect(work.values.sorted() == [1, 2])
            let idler = try #require(work.min { $0.value < $1.value }?.key)
            let client = try await cluster.eventualLogin()
            for _ in 0..<10 { #expect(try await cluster.reader(of: key, client) == idler) }
            for client in busy {
                try await client.cancel(port: cluster.wirePort)
                #expect(try await client.until("Z").map(\.description).suffix(2) == ["E(57014)", "Z(I)"])
            }
            try await cluster.expectNoLeak()
        }

        /// How many of them each replica of the second shard has.
        private func slowReads() async throws -> [Int: Int] {
            var work: [Int: Int] = [:]
            for replica in cluster.replicas[1] {
                work[replica.port] = Int(
                    try await replica.psql("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%200000000%' AND state = 'active' AND pid <> pg_backend_pid()"))
            }
            return work
        }

        // MARK: Errors and pipelines

        @Test func aFailingReadFailsAsOnThePrimaryAndTheSessionGoesOn() async throws {
            let key = try await key(on: 1)
            let client = try await cluster.eventualLogin()
            let before = try await cluster.served(by: "retried")
            for _ in 0..<3 {
                #expect(try await client.query("SELECT v / 0 FROM kv WHERE k = \(key)").map(\.description) == ["T", "E(22012)", "Z(I)"])
                try await client.send(
                    WireMessages.parse("", "SELECT 1 / (v - v) FROM kv WHERE k = $1") + WireMessages.bind("", "", ["\(key)"])
                        + WireMessages.execute("") + WireMessages.bind("", "", ["\(key)"]) + WireMessages.execute("") + WireMessages.sync)
                #expect(try await client.until("Z").map(\.description) == ["1", "2", "E(22012)", "Z(I)"])
                #expect(try await cluster.reader(of: key, client) != cluster.servers[1].port)
            }
            // The error is the primary's.
            #expect(try await cluster.served(by: "retried") == before + 6)
            client.close()
            try await cluster.expectNoLeak()
        }

        @Test func aPipelineReadsAndThenWrites() async throws {
            let key = try await key(on: 1)
            let client = try await cluster.eventualLogin()
            let read = WireMessages.parse("", "SELECT v FROM kv WHERE k = $1") + WireMessages.bind("", "", ["\(key)"]) + WireMessages.execute("")
            let write = WireMessages.parse("", "UPDATE kv SET v = v + 1 WHERE k = $1") + WireMessages.bind("", "", ["\(key)"]) + WireMessages.execute("")
            for flush in [[], WireMessages.flush] {
                let before = try await client.rows("SELECT v FROM kv WHERE k = \(key)").first?[0].flatMap { Int($0) } ?? -1
                try await client.send(read + flush + read + write + read + WireMessages.sync)
                let answer = try await client.until("Z")
                #expect(
                    answer.map(\.description) == [
                        "1", "2", "D(\(before))", "C(SELECT 1)", "1", "2", "D(\(before))", "C(SELECT 1)", "1", "2", "C(UPDATE 1)", "1", "2",
                        "D(\(before + 1))", "C(SELECT 1)", "Z(I)",
                    ])
                #expect(try await client.rows("SELECT v FROM kv WHERE k = \(key)") == [["\(before + 1)"]])
                try await eventually("replicas serve the session again") {
                    try await self.cluster.reader(of: key, client) != self.cluster.servers[1].port
                }
            }
            client.close()
            try await cluster.expectNoLeak()
        }

        /// A transaction of several shards, begun by a pipeline whose first part a replica has answered.
        @Test func aPipelineGoesOnToOtherShards() async throws {
            let (near, far) = (try await key(on: 1), try await key(on: 0))
            let client = try await cluster.eventualLogin()
            func run(_ sql: String) -> [UInt8] { WireMessages.parse("", sql) + WireMessages.bind("", "") + WireMessages.execute("") }
            // The portal of the write to every shard is older than the read.
            try await client.send(
                WireMessages.parse("all", "UPDATE ref SET v = v") + WireMessages.bind("all", "all") + run("SELECT v FROM kv WHERE k = \(near)")
                    + WireMessages.execute("all") + run("UPDATE kv SET v = 11 WHERE k = \(near)") + run("UPDATE kv SET v = 12 WHERE k = \(far)")
                    + run("SELECT v FROM kv WHERE k = \(near)") + WireMessages.sync)
            let answer = try await client.until("Z").map(\.description)
            #expect(!answer.contains { $0.hasPrefix("E") } && answer.contains("D(11)") && answer.last == "Z(I)", "\(answer)")
            #expect(try await client.rows("SELECT v FROM kv WHERE k = \(far)") == [["12"]])
            #expect(try await client.rows("SELECT v FROM kv WHERE k = \(near)") == [["11"]])
            client.close()
            try await cluster.expectNoLeak()
        }

        @Test func aFlushBringsTheAnswerBeforeTheSync() async throws {
            let key = try await key(on: 1)
            let client = try await cluster.eventualLogin()
            try await client.send(
                WireMessages.parse("", "\(Self.portOf)$1") + WireMessages.bind("", "", ["\(key)"]) + WireMessages.execute("") + WireMessages.flush)
            let answer = try await client.until("C")
            #expect(answer.map(\.kind) == ["1", "2", "D", "C"])
            try await client.send(WireMessages.sync)
            #expect(try await client.until("Z").map(\.description) == ["Z(I)"])
            client.close()
        }

        @Test func aBeginInAPipelineLeavesTheReplica() async throws {
            let key = try await key(on: 1)
            let client = try await cluster.eventualLogin()
            func run(_ sql: String) -> [UInt8] { WireMessages.parse("", sql) + WireMessages.bind("", "") + WireMessages.execute("") }
            try await client.send(
                run("\(Self.portOf)\(key)") + run("BEGIN") + run("UPDATE kv SET v = 7 WHERE k = \(key)") + run("\(Self.portOf)\(key)") + run("COMMIT")
                    + WireMessages.sync)
            let rows = try await client.until("Z").filter { $0.kind == "D" }.map(\.row)
            #expect(rows.count == 2 && rows.last == ["\(cluster.servers[1].port)", "7"])
            #expect(try await cluster.onShard(1, "SELECT v FROM kv WHERE k = \(key)") == "7")
            client.close()
            try await cluster.expectNoLeak()
        }

        @Test func aLargeAnswerComesWhole() async throws {
            let key = try await key(on: 1)
            let client = try await cluster.eventualLogin()
            let plain = try await client.rows("SELECT g, repeat('x', 500), inet_server_port() FROM kv, generate_series(1, 20000) g WHERE k = \(key)")
            #expect(plain.map { $0[0] } == (1...20000).map { "\($0)" })
            #expect(cluster.ports(ofReplicasOf: 1).contains(try #require(plain.first?[2].flatMap { Int($0) })))
            client.close()
        }
    }
}
