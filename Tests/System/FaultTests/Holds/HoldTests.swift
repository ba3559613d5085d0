import ClusterTestKit
import Foundation
import ShardModel
import Testing

extension FaultTests {
    /// What clients see while vnodes change their owner: statements for them wait, and go to the new owner; what was begun before comes to its end.
    @Suite(.faultCluster(shards: 2), .serialized) struct HoldTests {
        private let cluster: TestCluster
        /// Another one in each test: a router says of the last attempt what it has said until it says something new.
        private let attempt = UInt64.random(in: 1...1_000_000_000)

        init() throws { cluster = try TestCluster.current }

        private typealias W = WireMessages

        /// Each writes rows of the keys `a` and `b`, both of the second shard, or of the reference table.
        private static let writes: [(name: String, bytes: @Sendable (Int64, Int64) -> [UInt8])] = [
            ("simple", { a, _ in W.query("INSERT INTO kv VALUES (\(a), 1)") }),
            ("list", { a, b in W.query("INSERT INTO kv VALUES (\(a), 1); INSERT INTO kv VALUES (\(b), 1)") }),
            ("rows", { a, b in W.query("INSERT INTO kv VALUES (\(a), 1), (\(b), 1)") }),
            ("extended", { a, _ in
                W.parse("", "INSERT INTO kv VALUES ($1, 1)") + W.bind("", "", ["\(a)"]) + W.execute("") + W.sync
            }),
            ("pipeline", { a, b in
                W.parse("", "INSERT INTO kv VALUES ($1, 1)") + W.bind("", "", ["\(a)"]) + W.execute("") + W.bind("", "", ["\(b)"]) + W.execute("") + W.sync
            }),
            ("rows, extended", { a, b in
                W.parse("", "INSERT INTO kv VALUES ($1, 1), ($2, 1)") + W.bind("", "", ["\(a)", "\(b)"]) + W.execute("") + W.sync
            }),
            ("keys first", { a, b in W.query("INSERT INTO kv VALUES (\(a) + 0, 1), (\(b) + 0, 1)") }),
            ("keys first, extended", { a, b in W.parse("", "INSERT INTO kv VALUES (\(a) + 0, 1), (\(b) + 0, $1)") + W.bind("", "", ["1"]) + W.execute("") + W.sync }),
            ("delete", { a, b in W.query("DELETE FROM kv WHERE k IN (\(a), \(b))") }),
            ("lock", { a, _ in W.query("SELECT v FROM kv WHERE k = \(a) FOR UPDATE") }),
            ("reference", { a, _ in W.query("INSERT INTO ref VALUES (\(a), 1)") }),
            ("reference, extended", { a, _ in W.parse("", "INSERT INTO ref VALUES (\(a), 1)") + W.bind("", "") + W.execute("") + W.sync }),
        ]

        @Test(arguments: writes.map(\.name)) func aWriteWaitsAndGoesToTheNewOwner(name: String) async throws {
            let write = try #require(Self.writes.first { $0.name == name })
            let keys = try await cluster.keys(on: 1, from: Int64.random(in: 1...1_000_000_000), count: 2)
            try await cluster.withJob {
                let client = try await cluster.login()
                try await cluster.hold(1, attempt: attempt)
                let before = try await cluster.held()
                try await client.send(write.bytes(keys[0], keys[1]))
                try await eventually("it waits") { try await cluster.held() > before }
                let there = try await cluster.onShard(1, "SELECT count(*) FROM kv WHERE k IN (\(keys[0]), \(keys[1]))")
                #expect(there == "0")
                try await cluster.give(1, to: 0)
                let answers = try await client.until("Z").map(\.description)
                #expect(answers.last == "Z(I)" && !answers.contains { $0.hasPrefix("E") }, "\(answers)")
                // Nothing of it is where it would have been.
                #expect(try await cluster.onShard(1, "SELECT count(*) FROM kv WHERE k IN (\(keys[0]), \(keys[1]))") == "0")
                let rows = try await cluster.onShard(0, "SELECT count(*) FROM kv WHERE k IN (\(keys[0]), \(keys[1]))")
                switch name {
                case "simple", "extended": #expect(rows == "1")
                case "list", "rows", "pipeline", "rows, extended", "keys first", "keys first, extended": #expect(rows == "2")
                default: #expect(rows == "0")
                }
                client.close()
                try await cluster.expectNoLeak()
            }
        }

        @Test func whatCannotWaitForTheClientWaitsForTheHold() async throws {
            let keys = try await cluster.keys(on: 1, from: Int64.random(in: 1...1_000_000_000), count: 3)
            try await cluster.withJob {
                let (prepared, copy, spread) = (try await cluster.login(), try await cluster.login(), try await cluster.login())
                #expect(try await prepared.failure("PREPARE p AS INSERT INTO kv VALUES ($1, 1)") == nil)
                // Bound before the hold, executed behind it, and behind the switch: its parts are cut anew.
                let other = try await cluster.key(on: 0, from: Int64.random(in: 1...1_000_000_000))
                try await spread.send(
                    W.parse("", "INSERT INTO kv VALUES ($1, 1), ($2, 1)") + W.bind("", "", ["\(keys[1])", "\(other)"]) + W.message("H", []))
                _ = try await spread.until("2")
                try await cluster.hold(1, attempt: attempt)
                let before = try await cluster.held()
                try await prepared.send(W.query("EXECUTE p (\(keys[0]))"))
                try await copy.send(W.query("COPY kv FROM STDIN"))
                try await spread.send(W.execute("") + W.sync)
                try await eventually("they wait") { try await cluster.held() >= before + 3 }
                try await cluster.give(1, to: 0)
                #expect(try await prepared.until("Z").map(\.description) == ["C(INSERT 0 1)", "Z(I)"])
                #expect(try await copy.until("G").count == 1)
                try await copy.send(W.copyData("\(keys[2])\t1\n") + W.copyDone)
                #expect(try await copy.until("Z").map(\.description) == ["C(COPY 1)", "Z(I)"])
                #expect(try await spread.until("Z").map(\.description) == ["C(INSERT 0 2)", "Z(I)"])
                let list = (keys + [other]).map(String.init).joined(separator: ",")
                #expect(try await cluster.onShard(0, "SELECT count(*) FROM kv WHERE k IN (\(list))") == "4")
                #expect(try await cluster.onShard(1, "SELECT count(*) FROM kv WHERE k IN (\(list))") == "0")
            }
        }

        @Test func readsGoOnAndOtherKeysNoticeNothing() async throws {
            let (mine, others) = (try await cluster.key(on: 1), try await cluster.key(on: 0, from: Int64.random(in: 1...1_000_000_000)))
            try await cluster.withJob {
                let client = try await cluster.login()
                // None is opened while the hold stands.
                #expect(try await client.failure("SELECT v FROM kv WHERE k = \(mine)") == nil)
                try await cluster.hold(1, attempt: attempt)
                _ = try await cluster.waitsForAcknowledgement(attempt)
                #expect(try await client.failure("SELECT v FROM kv WHERE k = \(mine)") == nil)
                #expect(try await client.failure("INSERT INTO kv VALUES (\(others), 1)") == nil)
                for sql in ["BEGIN", "UPDATE kv SET v = 2 WHERE k = \(others)", "SELECT count(*) FROM notes", "COMMIT"] {
                    #expect(try await client.failure(sql) == nil)
                }
                // In a block a read begins a transaction on the old owner.
                let before = try await cluster.held()
                try await client.send(W.query("BEGIN") + W.query("SELECT v FROM kv WHERE k = \(mine)"))
                _ = try await client.until("Z")
                try await eventually("it waits") { try await cluster.held() > before }
                try await cluster.lift()
                #expect(try await client.until("Z").last?.status == "T")
                #expect(try await client.failure("ROLLBACK") == nil)
            }
        }

        @Test func aTransactionThatWasOpenGoesOnAndIsWaitedFor() async throws {
            let keys = try await cluster.keys(on: 1, from: Int64.random(in: 1...1_000_000_000), count: 3)
            try await cluster.withJob {
                let client = try await cluster.login()
                for sql in ["BEGIN", "INSERT INTO kv VALUES (\(keys[0]), 1)"] { #expect(try await client.failure(sql) == nil) }
                try await cluster.hold(1, attempt: attempt)
                #expect(try await client.failure("INSERT INTO kv VALUES (\(keys[1]), 1)") == nil)
                #expect(try await cluster.acknowledgement(attempt) == nil)
                // One that comes now has nothing under way there.
                let late = try await cluster.login()
                let before = try await cluster.held()
                try await late.send(W.query("INSERT INTO kv VALUES (\(keys[2]), 1)"))
                try await eventually("it waits") { try await cluster.held() > before }
                #expect(try await cluster.acknowledgement(attempt) == nil)
                #expect(try await client.failure("COMMIT") == nil)
                let acknowledgement = try await cluster.waitsForAcknowledgement(attempt)
                #expect(Set(acknowledgement.sessions[TestCluster.id(of: 1)] ?? []).isSuperset(of: try await cluster.sessions(on: 1)))
                // The next transaction of the same client waits.
                try await client.send(W.query("UPDATE kv SET v = 2 WHERE k = \(keys[0])"))
                try await eventually("it waits, too") { try await cluster.held() > before + 1 }
                try await cluster.lift()
                for one in [client, late] { #expect(try await one.until("Z").last?.status == "I") }
                #expect(try await cluster.onShard(1, "SELECT count(*) FROM kv WHERE k IN (\(keys[0]), \(keys[1]), \(keys[2]))") == "3")
            }
        }

        @Test func aStatementUnderWayIsWaitedForAndALongReadIsNot() async throws {
            let key = try await cluster.key(on: 1, from: Int64.random(in: 1...1_000_000_000))
            try await cluster.withJob {
                let (writer, reader, blocker) = (try await cluster.login(), try await cluster.login(), try await cluster.shardSession(1))
                #expect(try await writer.failure("INSERT INTO kv VALUES (\(key), 1)") == nil)
                for sql in ["BEGIN", "UPDATE kv SET v = 5 WHERE k = \(key)"] { #expect(try await blocker.failure(sql) == nil) }
                try await writer.send(W.query("UPDATE kv SET v = v + 1 WHERE k = \(key)"))
                try await reader.send(W.query("SELECT v, pg_sleep(600) FROM kv WHERE k = \(key)"))
                try await eventually("both are under way") {
                    try await cluster.onShard(1, "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND wait_event IN ('transactionid', 'PgSleep')")
                        == "2"
                }
                try await cluster.hold(1, attempt: attempt)
                try await Task.sleep(for: .milliseconds(100))
                #expect(try await cluster.acknowledgement(attempt) == nil)
                #expect(try await blocker.failure("COMMIT") == nil)
                #expect(try await writer.until("Z").map(\.description) == ["C(UPDATE 1)", "Z(I)"])
                _ = try await cluster.waitsForAcknowledgement(attempt)
                try await reader.cancel(port: cluster.wirePort)
                #expect(try await reader.until("Z").contains { $0.sqlState == "57014" })
                #expect(try await cluster.onShard(1, "SELECT v FROM kv WHERE k = \(key)") == "6")
            }
        }

        @Test func whoHasATransactionOnAnotherShardOnlyWaits() async throws {
            let (mine, others) = (
                try await cluster.key(on: 1, from: Int64.random(in: 1...1_000_000_000)), try await cluster.key(on: 0, from: Int64.random(in: 1...1_000_000_000))
            )
            try await cluster.withJob {
                let client = try await cluster.login()
                for sql in ["BEGIN", "INSERT INTO kv VALUES (\(others), 1)"] { #expect(try await client.failure(sql) == nil) }
                try await cluster.hold(1, attempt: attempt)
                _ = try await cluster.waitsForAcknowledgement(attempt)
                let before = try await cluster.held()
                try await client.send(W.query("INSERT INTO kv VALUES (\(mine), 1)"))
                try await eventually("it waits") { try await cluster.held() > before }
                try await cluster.give(1, to: 0)
                #expect(try await client.until("Z").map(\.description) == ["C(INSERT 0 1)", "Z(T)"])
                #expect(try await client.failure("COMMIT") == nil)
                #expect(try await cluster.onShard(0, "SELECT count(*) FROM kv WHERE k IN (\(mine), \(others))") == "2")
            }
        }

        @Test func aHeldStatementIsCancelledAndOneWhoseClientHasGoneIsForgotten() async throws {
            let keys = try await cluster.keys(on: 1, from: Int64.random(in: 1...1_000_000_000), count: 2)
            try await cluster.withJob {
                let (one, two) = (try await cluster.login(), try await cluster.login())
                try await cluster.hold(1, attempt: attempt)
                let before = try await cluster.held()
                try await one.send(W.query("INSERT INTO kv VALUES (\(keys[0]), 1)"))
                try await two.send(W.query("INSERT INTO kv VALUES (\(keys[1]), 1)"))
                try await eventually("they wait") { try await cluster.held() >= before + 2 }
                try await one.cancel(port: cluster.wirePort)
                #expect(try await one.until("Z").map(\.description) == ["E(57014)", "Z(I)"])
                two.close()
                try await eventually("the client is gone") { try await cluster.metric("pgmosaic_clients", "state=\"waiting\"") == 0 }
                try await cluster.lift()
                #expect(try await one.failure("SELECT v FROM kv WHERE k = \(keys[0])") == nil)
                #expect(try await cluster.onShard(1, "SELECT count(*) FROM kv WHERE k IN (\(keys[0]), \(keys[1]))") == "0")
                try await cluster.expectNoLeak()
            }
        }

        @Test func noConnectionIsOpenedToTheOldOwnerThatTheFenceDoesNotKnow() async throws {
            let key = try await cluster.key(on: 1)
            try await cluster.withJob {
                let client = try await cluster.login()
                #expect(try await client.failure("SELECT v FROM kv WHERE k = \(key)") == nil)
                try await cluster.hold(1, attempt: attempt)
                let named = Set(try await cluster.waitsForAcknowledgement(attempt).sessions[TestCluster.id(of: 1)] ?? [])
                // More reads at the same time than there are connections.
                var readers: [WireClient] = []
                for _ in 0..<(named.count + 3) {
                    let reader = try await cluster.login()
                    try await reader.send(W.query("SELECT v, pg_sleep(0.2) FROM kv WHERE k = \(key)"))
                    readers.append(reader)
                }
                for _ in 0..<5 {
                    #expect(named.isSuperset(of: try await cluster.sessions(on: 1)))
                    try await Task.sleep(for: .milliseconds(20))
                }
                try await cluster.lift()
                for reader in readers { #expect(try await reader.until("Z").last?.status == "I") }
            }
        }

        @Test func anAttemptThatWasGivenUpIsFollowedByAnother() async throws {
            try await cluster.withJob {
                for attempt in attempt...attempt + 2 {
                    try await cluster.hold(1, attempt: attempt)
                    _ = try await cluster.waitsForAcknowledgement(attempt)
                    #expect(try await cluster.acknowledgement(attempt - 1) == nil)
                    if attempt == self.attempt { try await cluster.lift() }
                }
            }
        }

        /// Nobody has looked for keys there.
        @Test func inADatabaseWithOneShardWhateverMayWriteWaits() async throws {
            var options = TestCluster.Options(shards: 1)
            options.defaultPlacement = .local
            try await TestCluster.with(options) { cluster in
                let client = try await cluster.login()
                #expect(try await client.failure("CREATE TABLE t (a int)") == nil)
                try await cluster.beginJob(of: [0])
                try await cluster.hold(0, attempt: attempt)
                _ = try await cluster.waitsForAcknowledgement(attempt)
                #expect(try await client.rows("SELECT count(*) FROM t") == [["0"]])
                var writers: [WireClient] = []
                for sql in ["INSERT INTO t VALUES (1)", "DO $$ BEGIN INSERT INTO t VALUES (1); END $$", "WITH x AS (INSERT INTO t VALUES (1) RETURNING a) SELECT a FROM x"] {
                    let one = try await cluster.login()
                    let before = try await cluster.held()
                    try await one.send(W.query(sql))
                    try await eventually("it waits: \(sql)") { try await cluster.held() > before }
                    writers.append(one)
                }
                #expect(try await cluster.onShard(0, "SELECT count(*) FROM t") == "0")
                try await cluster.lift()
                for writer in writers { #expect(try await writer.until("Z").last?.status == "I") }
                #expect(try await cluster.onShard(0, "SELECT count(*) FROM t") == "3")
            }
        }

        /// A shard may have rows that it does not own yet, or not any more.
        @Test func whatWouldSeeRowsTwiceIsRefusedWhileAJobIsNotOver() async throws {
            let (mine, others) = (
                try await cluster.key(on: 1, from: Int64.random(in: 1...1_000_000_000)), try await cluster.key(on: 0, from: Int64.random(in: 1...1_000_000_000))
            )
            let client = try await cluster.login()
            #expect(try await client.failure("INSERT INTO kv VALUES (\(mine), 1), (\(others), 1)") == nil)
            try await cluster.withJob {
                // On its way.
                try await cluster.onShard(0, "INSERT INTO kv VALUES (\(mine), 1)")
                for sql in ["UPDATE kv SET v = 2 WHERE k IN (\(mine), \(others))", "DELETE FROM kv WHERE k IN (\(mine), \(others))", "COPY kv TO STDOUT"] {
                    let error = try #require(try await client.query(sql).first { $0.kind == "E" }, "\(sql)")
                    #expect(error.sqlState == "55006" && error.field("D") == "PGM-ROWS-MOVE", "\(sql)")
                }
                #expect(try await client.query("UPDATE kv SET v = 2 WHERE k = \(mine)").map(\.description) == ["C(UPDATE 1)", "Z(I)"])
                #expect(try await client.rows("SELECT count(*) FROM kv WHERE k = \(mine)") == [["1"]])
                try await cluster.onShard(0, "DELETE FROM kv WHERE k = \(mine)")
            }
            #expect(try await client.query("DELETE FROM kv WHERE k IN (\(mine), \(others))").map(\.description) == ["C(DELETE 2)", "Z(I)"])
        }

        @Test func definitionsAreRefusedWhileAJobIsNotOver() async throws {
            let client = try await cluster.login()
            try await cluster.withJob {
                let error = try #require(try await client.query("ALTER TABLE kv ADD COLUMN w int").first)
                #expect(error.sqlState == "55006" && error.field("D") == "PGM-RESHARDING" && error.field("M")?.contains(TestCluster.job) == true)
                #expect(try await client.failure("SELECT pgmosaic.local_table('later')") == "55006")
                #expect(try await client.failure("CREATE TEMP TABLE mine (a int)") == nil)
                #expect(try await client.failure("INSERT INTO ref VALUES (\(Int.random(in: 1...1_000_000_000)), 1)") == nil)
            }
            #expect(try await client.failure("ALTER TABLE kv ADD COLUMN w int") == nil)
            #expect(try await client.failure("ALTER TABLE kv DROP COLUMN w") == nil)
        }
    }
}
