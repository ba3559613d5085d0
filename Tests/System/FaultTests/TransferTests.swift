import ClusterTestKit
import Foundation
import PostgresProcess
import ShardModel
import TestKit
import Testing

extension FaultTests {
    /// Money goes from account to account, over shards, while the router is killed between any two steps of the commit: none is made, none
    /// is lost, and what was acknowledged has happened.
    ///
    /// Each step once; with `PGMOSAIC_FAULT_ROUNDS=1000` a thousand kills, and nothing that a killed router left prepared may then become five seconds
    /// old while another is there.
    struct TransferTests {
        private static let tables: [String: Placement] = ["accounts": .sharded(key: "id"), "moves": .sharded(key: "id")]
        private static let accounts = 40
        private static let start = 1000
        /// From so many rounds on the age of what a killed router left is a promise to be kept, and not only told.
        private static let measuredFrom = 100

        /// Where the router is killed: at one of the messages with these words.
        private struct Step: CustomStringConvertible {
            var words: String
            var moment: ShardProxy.Moment
            var description: String { "\(words) \(moment)" }

            static let all: [Step] =
                ["PREPARE TRANSACTION", "COMMIT PREPARED"].flatMap { words in
                    [ShardProxy.Moment.before, .after, .answered].map { Step(words: words, moment: $0) }
                } + ShardProxy.Moment.allCases.map { Step(words: "INSERT INTO pgmosaic.decisions", moment: $0) }
        }

        @Test func noMoneyIsMadeOrLost() async throws {
            var options = TestCluster.Options(shards: 3, tables: Self.tables)
            options.postgres = ["synchronous_commit": "on", "max_prepared_transactions": "50"]
            try await TestCluster.withShards(options) { [options] folder, servers in
                let trap = ShardProxy.Trap()
                let proxies = try servers.map { try ShardProxy(to: $0.port, trap) }
                defer { for proxy in proxies { proxy.close() } }
                let router = try await RouterProcess(folder, servers, options, ports: proxies.map(\.port))
                try await router.start()
                let result: Result<Void, any Error>
                do { result = .success(try await run(router, servers, trap)) } catch { result = .failure(error) }
                await router.kill()
                try result.get()
            }
        }

        private func run(_ router: RouterProcess, _ servers: [PostgresServer], _ trap: ShardProxy.Trap) async throws {
            let client = try await router.login()
            try #require(try await client.failure("CREATE TABLE accounts (id bigint PRIMARY KEY, balance bigint NOT NULL)") == nil)
            try #require(try await client.failure("CREATE TABLE moves (id bigint PRIMARY KEY, source bigint, target bigint, amount bigint)") == nil)
            for id in 1...Self.accounts { try #require(try await client.failure("INSERT INTO accounts VALUES (\(id), \(Self.start))") == nil) }
            client.close()
            let log = TransferLog()
            let watch = OrphanWatch(servers)
            async let looks: Void = watch.run()
            watch.routerStarted()
            let count = rounds(Step.all.count)
            for round in 0..<count {
                let step = Step.all[round % Step.all.count]
                trap.set(step.words, step.moment, count: Int.random(in: 1...60)) {
                    watch.routerEnds()
                    router.strike()
                }
                await withTaskGroup(of: Void.self) { group in
                    for lane in 0..<4 { group.addTask { await transfer(router, log, round * 4 + lane) } }
                }
                #expect(trap.isSprung, "\(step)")
                watch.routerEnds()
                await router.kill()
                try await router.start()
                watch.routerStarted()
            }
            try await check(servers, log)
            watch.stop()
            try await looks
            let ages = watch.ages
            print("\(count) kills; the oldest of \(ages.transactions.count) prepared transactions: \(ages.seen); beside a router: \(ages.beside), of which with it: \(ages.sinceRouter)")
            #expect(!ages.transactions.isEmpty, "\(ages.looks) looks")
            // A few rounds on a busy machine tell nothing of time.
            if count >= Self.measuredFrom { #expect(ages.beside < .seconds(5)) }
        }

        /// Transfers until the router is gone.
        private func transfer(_ router: RouterProcess, _ log: TransferLog, _ lane: Int) async {
            guard let client = try? await WireClient.login(port: router.wirePort) else { return }
            defer { client.close() }
            for number in 0..<100_000 {
                let id = lane * 100_000 + number
                let source = Int.random(in: 1...Self.accounts)
                let target = source % Self.accounts + 1
                let amount = Int.random(in: 1...9)
                let statements = [
                    "BEGIN", "UPDATE accounts SET balance = balance - \(amount) WHERE id = \(source)",
                    "UPDATE accounts SET balance = balance + \(amount) WHERE id = \(target)",
                    "INSERT INTO moves VALUES (\(id), \(source), \(target), \(amount))", "COMMIT",
                ]
                var answer: [WireClient.Message] = []
                for statement in statements {
                    guard let next = try? await client.query(statement) else { return }
                    answer = next
                }
                if answer.contains(where: { $0.tag == "COMMIT" }) { await log.acknowledge(id) }
            }
        }

        private func check(_ servers: [PostgresServer], _ log: TransferLog) async throws {
            try await eventually("every transaction is settled") {
                for server in servers {
                    let left = try await on(server, "SELECT (SELECT count(*) FROM pg_prepared_xacts) + (SELECT count(*) FROM pgmosaic.decisions)")
                    guard left == "0" else { return false }
                }
                return true
            }
            var balances: [Int: Int] = [:]
            var moved: [Int: Int] = [:]
            var moves: Set<Int> = []
            for server in servers {
                for row in try await rows(server, "SELECT id, balance FROM accounts") { balances[row[0]] = row[1] }
                for row in try await rows(server, "SELECT id, source, target, amount FROM moves") {
                    moves.insert(row[0])
                    moved[row[1], default: 0] -= row[3]
                    moved[row[2], default: 0] += row[3]
                }
            }
            #expect(balances.count == Self.accounts)
            for (id, balance) in balances { #expect(balance == Self.start + moved[id, default: 0], "account \(id)") }
            #expect(balances.values.reduce(0, +) == Self.accounts * Self.start)
            let acknowledged = await log.acknowledged
            #expect(!acknowledged.isEmpty)
            #expect(acknowledged.isSubset(of: moves))
            print("\(acknowledged.count) transfers acknowledged, \(moves.count) found")
        }

        private func on(_ server: PostgresServer, _ sql: String) async throws -> String { try await server.psql(sql, database: TestCluster.database) }

        private func rows(_ server: PostgresServer, _ sql: String) async throws -> [[Int]] {
            try await on(server, sql).split(separator: "\n").map { $0.split(separator: "|").compactMap { Int($0) } }
        }
    }
}

private actor TransferLog {
    private(set) var acknowledged: Set<Int> = []
    func acknowledge(_ id: Int) { acknowledged.insert(id) }
}
