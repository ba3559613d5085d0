import ClusterTestKit
import Foundation
import PostgresProcess
import Testing

extension FaultTests {
    /// COPY TO STDOUT of a table on three shards, when a shard, the client or a statement gives up in the middle.
    @Suite(.faultCluster(), .serialized)
    struct GatherCopyTests {
        private let cluster: TestCluster
        private static let rows = 1500

        init() throws { cluster = try TestCluster.current }

        /// 45 MB in the table `big`, more than all the sockets between a shard and a client hold.
        private func prepare() async throws {
            let client = try await cluster.login()
            defer { client.close() }
            guard try await cluster.onShard(0, "SELECT to_regclass('big') IS NULL") == "t" else { return }
            try #require(try await client.failure("SELECT pgmosaic.shard_table('big', 'k')") == nil)
            try #require(try await client.failure("CREATE TABLE big (k bigint PRIMARY KEY, body text)") == nil)
            for index in 0..<3 {
                try await cluster.onShard(
                    index, "ALTER TABLE big ALTER body SET STORAGE external; "
                        + "INSERT INTO big SELECT g * 3 + \(index), repeat('x', 10000) FROM generate_series(1, \(Self.rows)) g")
            }
        }

        /// A client that has read the beginning and no more.
        private func stopped(_ sql: String = "COPY big TO STDOUT", begin: Bool = false) async throws -> WireClient {
            let client = try await WireClient.login(port: cluster.wirePort, receiveBuffer: 16_384)
            if begin { try await client.query("BEGIN") }
            try await client.send(WireMessages.query(sql))
            _ = try await client.until("H")
            for _ in 0..<5 { #expect(try await client.next()?.kind == "d") }
            return client
        }

        private func rest(_ client: WireClient) async throws -> [WireClient.Message] { try await client.until("Z") }

        @Test(arguments: ["", "(FORMAT binary)", "(FORMAT csv, HEADER)"]) func allRowsOfAllShardsArrive(form: String) async throws {
            try await prepare()
            let client = try await stopped("COPY big TO STDOUT \(form)")
            let answer = try await rest(client)
            let rows = answer.filter { $0.kind == "d" && $0.body.count > 1000 }.count + (form == "(FORMAT csv, HEADER)" ? 4 : 5)
            #expect(rows == 3 * Self.rows)
            #expect(answer.suffix(3).map(\.description) == ["c", "C(COPY \(3 * Self.rows))", "Z(I)"])
            client.close()
            try await cluster.expectNoLeak(clients: 0)
        }

        /// Of the shard whose rows are passed on, and of one whose turn has not come.
        @Test(arguments: [0, 2], [false, true]) func aShardThatDiesEndsItWithAnError(victim: Int, isInTransaction: Bool) async throws {
            try await prepare()
            let client = try await stopped(begin: isInTransaction)
            await cluster.servers[victim].kill()
            let answer = try await rest(client)
            #expect(!answer.contains { $0.kind == "C" || $0.kind == "c" })
            #expect(answer.suffix(2).map(\.description) == ["E(08006)", isInTransaction ? "Z(E)" : "Z(I)"])
            if isInTransaction { #expect(try await client.query("ROLLBACK").last?.status == "I") }
            let key = try await cluster.key(on: 1)
            #expect(try await client.failure("SELECT v FROM kv WHERE k = \(key)") == nil)
            client.close()
            try await cluster.regain(victim)
            try await cluster.expectNoLeak(clients: 0)
        }

        @Test func aCancelEndsItAndNothingElse() async throws {
            try await prepare()
            var cancelled = 0
            for _ in 0..<5 {
                let client = try await stopped()
                try await client.cancel(port: cluster.wirePort, untilTaken: true)
                let answer = try await rest(client)
                // From here on the rows and the router's request to each shard are on their way at the same time.
                if answer.contains(where: { $0.kind == "E" }) {
                    cancelled += 1
                    #expect(!answer.contains { $0.kind == "C" || $0.kind == "c" })
                    #expect(answer.suffix(2).map(\.description) == ["E(57014)", "Z(I)"])
                } else {
                    #expect(answer.suffix(3).map(\.description) == ["c", "C(COPY \(3 * Self.rows))", "Z(I)"])
                }
                for index in 0..<3 {
                    let key = try await cluster.key(on: index)
                    #expect(try await client.failure("SELECT count(*) FROM kv WHERE k = \(key)") == nil)
                }
                client.close()
            }
            #expect(cancelled > 0)
            try await cluster.expectNoLeak(clients: 0)
        }

        @Test func aClientThatIsGoneHoldsNothing() async throws {
            try await prepare()
            let client = try await stopped()
            client.close()
            try await cluster.expectNoLeak(clients: 0)
        }

        @Test func aClientThatStopsReadingCostsLittle() async throws {
            try await prepare()
            let before = residentSize
            var clients: [WireClient] = []
            for _ in 0..<8 { clients.append(try await stopped()) }
            try await Task.sleep(for: .seconds(2))
            // 8 times 45 MB are under way.
            #expect(residentSize - before < 48, "\(before) MiB before, \(residentSize) after")
            for client in clients { client.close() }
            try await cluster.expectNoLeak(clients: 0)
        }

        /// Of this process, which the router is part of; in MiB.
        private var residentSize: Int {
            let text = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
            let line = text.split(separator: "\n").first { $0.hasPrefix("VmRSS:") } ?? ""
            return (line.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first.flatMap { Int($0) } ?? 0) / 1024
        }

        @Test(arguments: [0, 1, 2]) func aShardThatCannotBeginIsTheWholeAnswer(index: Int) async throws {
            try await prepare()
            let lock = try await cluster.shardSession(index)
            try await lock.query("BEGIN")
            try await lock.query("LOCK TABLE big")
            let client = try await cluster.login()
            try await client.query("SET lock_timeout = '300ms'")
            #expect(try await client.query("COPY big TO STDOUT").map(\.description) == ["E(55P03)", "Z(I)"])
            try await lock.query("ROLLBACK")
            lock.close()
            client.close()
            try await cluster.expectNoLeak(clients: 0)
        }

        /// A shard that fails in the middle of its rows.
        @Test func anErrorInTheMiddleIsAnError() async throws {
            try await prepare()
            let client = try await cluster.login()
            try await client.query("SET statement_timeout = '6s'")
            try await client.send(WireMessages.query("COPY big TO STDOUT"))
            _ = try await client.until("H")
            try await Task.sleep(for: .seconds(7))
            let answer = try await rest(client)
            if answer.contains(where: { $0.kind == "E" }) {
                #expect(answer.suffix(2).map(\.description) == ["E(57014)", "Z(I)"])
                #expect(!answer.contains { $0.kind == "C" || $0.kind == "c" })
            } else {
                #expect(answer.suffix(3).map(\.description) == ["c", "C(COPY \(3 * Self.rows))", "Z(I)"])
            }
            client.close()
            try await cluster.expectNoLeak(clients: 0)
        }
    }
}
