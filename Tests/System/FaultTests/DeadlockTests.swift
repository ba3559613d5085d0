import ClusterTestKit
import ServerConfig
import Synchronization
import Testing

extension FaultTests {
    /// Transactions that wait for each other on several shards: one of them ends, and the others go on. Nothing else could end them in time.
    @Suite(.faultCluster { $0.lockTimeout = .seconds(600) }, .serialized)
    struct DeadlockTests {
        private typealias W = WireMessages
        private let cluster: TestCluster

        init() throws { cluster = try TestCluster.current }

        private func run(_ client: WireClient, _ statements: [String]) async throws -> [String] {
            var answers: [String] = []
            for statement in statements { answers.append(try await client.query(statement).filter { "CE".contains($0.kind) }.map(\.description).joined(separator: " ")) }
            return answers
        }

        private func update(_ key: Int64, by amount: Int = 1) -> String { "UPDATE kv SET v = v + \(amount) WHERE k = \(key)" }

        /// A new key on each shard, with a row of value 0 each.
        private func rows() async throws -> [Int64] {
            var keys: [Int64] = []
            let client = try await cluster.login()
            defer { client.close() }
            for index in cluster.servers.indices {
                let key = try await cluster.key(on: index, from: Int64.random(in: 1...1_000_000_000_000))
                try #require(try await client.failure("INSERT INTO kv VALUES (\(key), 0)") == nil)
                keys.append(key)
            }
            return keys
        }

        private func values(_ keys: [Int64]) async throws -> [String] {
            var values: [String] = []
            for (index, key) in keys.enumerated() { values.append(try await cluster.onShard(index, "SELECT v FROM kv WHERE k = \(key)")) }
            return values
        }

        private func logins(_ count: Int) async throws -> [WireClient] {
            var clients: [WireClient] = []
            for _ in 0..<count { clients.append(try await cluster.login()) }
            return clients
        }

        /// How the statement that each has sent has ended, and its transaction by a COMMIT: as the clients' threads hear of it, not in the order of the list.
        private func ends(_ clients: [WireClient]) async throws -> [(statement: String, commit: String)] {
            try await withThrowingTaskGroup(of: (Int, String, String).self) { group in
                for (number, client) in clients.enumerated() {
                    group.addTask {
                        let answer = try await client.until("Z").filter { "CE".contains($0.kind) }.map(\.description).joined(separator: " ")
                        return (number, answer, try await run(client, ["COMMIT"])[0])
                    }
                }
                var ends = Array(repeating: ("", ""), count: clients.count)
                for try await (number, statement, commit) in group { ends[number] = (statement, commit) }
                return ends
            }
        }

        private func finish(_ clients: [WireClient]) async throws {
            for client in clients { client.close() }
            try await cluster.settled()
            try await cluster.expectNoLeak(clients: 0)
        }

        // MARK: Circles

        /// The last to come to a second shard is the one to go.
        @Test(arguments: [2, 3]) func ofACircleOneEnds(_ size: Int) async throws {
            let keys = try await rows()
            let clients = try await logins(size)
            for (number, client) in clients.enumerated() { _ = try await run(client, ["BEGIN", update(keys[number]), "SAVEPOINT s"]) }
            for (number, client) in clients.enumerated() { try await client.send(W.query(update(keys[(number + 1) % size], by: 10))) }
            let ends = try await ends(clients)
            #expect(ends.filter { $0.statement == "E(40P01)" && $0.commit == "C(ROLLBACK)" }.count == 1, "\(ends)")
            #expect(ends.filter { $0.statement == "C(UPDATE 1)" && $0.commit == "C(COMMIT)" }.count == size - 1, "\(ends)")
            let sum = try await values(keys).compactMap { Int($0) }.reduce(0, +)
            #expect(sum == (size - 1) * 11)
            // The session goes on.
            for client in clients { #expect(try await run(client, ["BEGIN", update(keys[0]), update(keys[1]), "COMMIT"]).last == "C(COMMIT)") }
            #expect(try await cluster.metric("pgmosaic_deadlocks_total") >= 1)
            try await finish(clients)
        }

        @Test func theVictimCanOnlyRollBack() async throws {
            let keys = try await rows()
            let clients = try await logins(2)
            _ = try await run(clients[0], ["BEGIN", update(keys[0]), "SAVEPOINT s"])
            _ = try await run(clients[1], ["BEGIN", update(keys[1]), "SAVEPOINT s"])
            try await clients[0].send(W.query(update(keys[1])))
            try await clients[1].send(W.parse("", update(keys[0])) + W.bind("", "") + W.execute("") + W.sync)
            var messages: [[WireClient.Message]] = []
            for client in clients { messages.append(try await client.until("Z")) }
            let victim = try #require(messages.firstIndex { $0.contains { $0.kind == "E" } })
            let error = try #require(messages[victim].first { $0.kind == "E" })
            #expect(error.sqlState == "40P01" && error.field("M") == "deadlock detected")
            #expect(error.field("D")?.contains("s1, s2") == true && error.field("H") == "Nothing of it was done: repeat the whole transaction.")
            #expect(messages[victim].last?.status == "E" && messages[1 - victim].last?.status == "T")
            #expect(try await run(clients[victim], ["SELECT 1", "ROLLBACK TO s", "ROLLBACK"]) == ["E(25P02)", "E(25P02)", "C(ROLLBACK)"])
            #expect(try await run(clients[1 - victim], ["ROLLBACK"]) == ["C(ROLLBACK)"])
            try await finish(clients)
        }

        /// One transaction in the middle has one shard only.
        @Test func aCircleThroughATransactionOfOneShardIsFound() async throws {
            let keys = try await rows()
            let second = try await cluster.key(on: 1, from: keys[1] + 1)
            let clients = try await logins(3)
            _ = try await run(clients[0], ["INSERT INTO kv VALUES (\(second), 0)", "BEGIN", update(keys[0])])
            _ = try await run(clients[1], ["BEGIN", update(keys[1])])
            _ = try await run(clients[2], ["BEGIN", update(second)])
            try await clients[1].send(W.query(update(second)))
            try await clients[2].send(W.query(update(keys[0])))
            try await clients[0].send(W.query(update(keys[1])))
            let ends = try await ends(clients)
            #expect(ends.filter { $0.statement == "E(40P01)" }.count == 1 && ends[1].statement == "C(UPDATE 1)", "\(ends)")
            #expect(ends.filter { $0.commit == "C(COMMIT)" }.count == 2)
            try await finish(clients)
        }

        /// A statement that runs on every shard, as a transaction of the router's own.
        @Test(arguments: [false, true]) func aWriteOfAllShardsIsPartOfIt(_ extended: Bool) async throws {
            let keys = try await rows()
            let clients = try await logins(2)
            _ = try await run(clients[0], ["BEGIN", update(keys[2])])
            let all = "UPDATE kv SET v = v + 100"
            try await clients[1].send(extended ? W.parse("", all) + W.bind("", "") + W.execute("") + W.sync : W.query(all))
            // It holds what is on the first shard by then.
            try await eventually("the write waits") {
                try await cluster.onShard(2, "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%100%'") == "t"
            }
            try await clients[0].send(W.query(update(keys[0])))
            var answers: [String] = []
            for client in clients { answers.append(try await client.until("Z").filter { "CE".contains($0.kind) }.map(\.description).joined()) }
            let isVictim = answers.map { $0 == "E(40P01)" }
            #expect(isVictim.filter { $0 }.count == 1, "\(answers)")
            let commit = try await run(clients[0], ["COMMIT"])
            #expect(commit == [isVictim[0] ? "C(ROLLBACK)" : "C(COMMIT)"])
            #expect(try await values(keys) == (isVictim[0] ? ["100", "100", "100"] : ["1", "0", "1"]))
            try await finish(clients)
        }

        @Test func transactionsOfTwoRoutersAreOneCircle() async throws {
            var options = TestCluster.Options()
            options.router = {
                $0.id = "other"
                $0.lockTimeout = .seconds(600)
            }
            try await cluster.withAnotherRouter(options) { port in
                let keys = try await rows()
                let clients = [try await cluster.login(), try await WireClient.login(port: port)]
                for (number, client) in clients.enumerated() { _ = try await run(client, ["BEGIN", update(keys[number])]) }
                for (number, client) in clients.enumerated() { try await client.send(W.query(update(keys[1 - number], by: 10))) }
                let ends = try await ends(clients)
                #expect(ends.map(\.statement).sorted() == ["C(UPDATE 1)", "E(40P01)"] && ends.map(\.commit).sorted() == ["C(COMMIT)", "C(ROLLBACK)"], "\(ends)")
                for client in clients { client.close() }
            }
        }

        // MARK: None

        /// Whoever waits for a transaction that waits for nobody waits on.
        @Test func aLongWaitIsNoDeadlock() async throws {
            let keys = try await rows()
            let clients = try await logins(3)
            _ = try await run(clients[0], ["BEGIN", update(keys[0]), update(keys[1])])
            _ = try await run(clients[1], ["BEGIN", update(keys[2])])
            try await clients[1].send(W.query(update(keys[0])))
            _ = try await run(clients[2], ["BEGIN"])
            try await clients[2].send(W.query(update(keys[1])))
            let before = try await cluster.metric("pgmosaic_deadlocks_total")
            try await Task.sleep(for: .seconds(3))
            #expect(try await run(clients[0], ["COMMIT"]) == ["C(COMMIT)"])
            let ends = try await ends([clients[1], clients[2]])
            #expect(ends.allSatisfy { $0.statement == "C(UPDATE 1)" && $0.commit == "C(COMMIT)" }, "\(ends)")
            #expect(try await cluster.metric("pgmosaic_deadlocks_total") == before)
            #expect(try await values(keys) == ["2", "2", "1"])
            try await finish(clients)
        }

        /// Transfers between random rows in any order: each gets through in the end, and what was answered is what is there.
        @Test func randomTransfersGetThrough() async throws {
            let keys = try await rows()
            // They have logged in before the first begins, and go on until two have met.
            let clients = try await logins(4)
            let meeting = Meeting()
            let (transfers, deadlocks) = try await withThrowingTaskGroup(of: (Int, Int).self) { group in
                for client in clients {
                    group.addTask {
                        defer { client.close() }
                        var (done, failed) = (0, 0)
                        while done < rounds(3) || done < 200 && !meeting.was.load(ordering: .relaxed) {
                            let chosen = keys.shuffled()
                            let answers = try await run(client, ["BEGIN"] + chosen.map { update($0) } + ["COMMIT"])
                            if answers.last == "C(COMMIT)" {
                                done += 1
                            } else {
                                try #require(answers.contains("E(40P01)") && answers.last == "C(ROLLBACK)", "\(answers)")
                                failed += 1
                                meeting.was.store(true, ordering: .relaxed)
                            }
                        }
                        return (done, failed)
                    }
                }
                return try await group.reduce((0, 0)) { ($0.0 + $1.0, $0.1 + $1.1) }
            }
            #expect(deadlocks > 0, "no two have met")
            #expect(try await values(keys) == Array(repeating: String(transfers), count: 3))
        }
    }
}

/// Whether two transactions have waited for each other.
private final class Meeting: Sendable {
    let was = Atomic(false)
}
