import ClusterTestKit
import Foundation
import PostgresProcess
import Testing

extension FaultTests {
    /// Rows of three shards in one order: they come as they are known, and something ends the statement in the middle.
    @Suite(.faultCluster(), .serialized)
    struct SortedGatherTests {
        private let cluster: TestCluster
        private static let rows = 100_002

        init() throws { cluster = try TestCluster.current }

        /// 100 MB in the table `sorted`.
        private func prepare() async throws {
            let client = try await cluster.login()
            defer { client.close() }
            guard try await cluster.onShard(0, "SELECT to_regclass('sorted') IS NULL") == "t" else { return }
            try #require(try await client.failure("SELECT pgmosaic.shard_table('sorted', 'k')") == nil)
            try #require(try await client.failure("CREATE TABLE sorted (k bigint PRIMARY KEY, at timestamp, body text)") == nil)
            for index in 0..<3 {
                try await cluster.onShard(
                    index, "INSERT INTO sorted SELECT g * 3 + \(index), timestamp '2026-01-01' + g * interval '1 second', repeat('x', 1000) FROM generate_series(1, \(Self.rows / 3)) g")
            }
        }

        enum Form: CaseIterable { case simple, extended, block }

        private func send(_ client: WireClient, _ form: Form, _ sql: String) async throws {
            switch form {
            case .simple: try await client.send(WireMessages.query(sql))
            case .extended: try await client.send(WireMessages.parse("", sql) + WireMessages.bind("", "") + WireMessages.describe("P", "") + WireMessages.execute("") + WireMessages.sync)
            case .block:
                try await client.query("BEGIN")
                try await client.send(WireMessages.query(sql))
            }
        }

        private static let orders = ["k", "at DESC, k"]

        /// A client that has read the beginning and no more.
        private func stopped(_ form: Form = .simple, _ order: String = "k") async throws -> WireClient {
            let client = try await WireClient.login(port: cluster.wirePort, receiveBuffer: 16_384)
            try await send(client, form, "SELECT k, body FROM sorted ORDER BY \(order)")
            _ = try await client.until("T")
            for _ in 0..<5 { #expect(try await client.next()?.kind == "D") }
            return client
        }

        private func rest(_ client: WireClient) async throws -> [WireClient.Message] { try await client.until("Z") }

        @Test(arguments: Form.allCases) func allRowsCome(form: Form) async throws {
            try await prepare()
            for order in Self.orders {
                let client = try await stopped(form, order)
                let answer = try await rest(client)
                #expect(answer.count { $0.kind == "D" } == Self.rows - 5)
                #expect(answer.suffix(2).map(\.description) == ["C(SELECT \(Self.rows))", form == .block ? "Z(T)" : "Z(I)"])
                client.close()
            }
            try await cluster.expectNoLeak(clients: 0)
        }

        @Test func whatWaitsForTheClientIsLittle() async throws {
            try await prepare()
            let before = residentSize
            var clients: [WireClient] = []
            for number in 0..<8 { clients.append(try await stopped(Form.allCases[number % 3], Self.orders[number % 2])) }
            try await Task.sleep(for: .seconds(2))
            // 8 times 100 MB are under way.
            #expect(residentSize - before < 64, "\(before) MiB before, \(residentSize) after")
            for client in clients { client.close() }
            try await cluster.expectNoLeak(clients: 0)
        }

        /// Of this process, which the router is part of; in MiB.
        private var residentSize: Int {
            let text = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
            let line = text.split(separator: "\n").first { $0.hasPrefix("VmRSS:") } ?? ""
            return (line.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first.flatMap { Int($0) } ?? 0) / 1024
        }

        /// More than a shard may send for nothing stays unsent.
        @Test(arguments: Form.allCases) func whatIsBehindALimitIsPassedOver(form: Form) async throws {
            try await prepare()
            let client = try await cluster.login()
            for (limit, offset) in [(3, 0), (3000, 2), (1, 5000)] {
                try await send(client, form, "SELECT k, body FROM sorted ORDER BY k LIMIT \(limit) OFFSET \(offset)")
                let answer = try await rest(client)
                #expect(answer.count { $0.kind == "D" } == limit)
                #expect(answer.first { $0.kind == "D" }?.description.hasPrefix("D(\(3 + offset),") == true)
                #expect(answer.suffix(2).map(\.description) == ["C(SELECT \(limit))", form == .block ? "Z(T)" : "Z(I)"])
                if form == .block { try await client.query("COMMIT") }
                #expect(try await client.rows("SELECT count(*) FROM kv").count == 1)
            }
            client.close()
            try await cluster.expectNoLeak(clients: 0)
        }

        @Test(arguments: Form.allCases, ["cancel", "kill", "leave"]) func whatEndsInTheMiddleIsNoAnswer(form: Form, end: String) async throws {
            try await prepare()
            let client = try await stopped(form)
            switch end {
            case "cancel": try await client.cancel(port: cluster.wirePort, untilTaken: true)
            case "kill": await cluster.servers[2].kill()
            default: client.close()
            }
            if end != "leave" {
                let answer = try await rest(client)
                #expect(!answer.contains { $0.kind == "C" })
                #expect(answer.suffix(2).map(\.description) == [end == "cancel" ? "E(57014)" : "E(08006)", form == .block ? "Z(E)" : "Z(I)"])
                client.close()
            }
            if end == "kill" { try await cluster.regain(2) }
            try await cluster.expectNoLeak(clients: 0)
        }

        @Test(arguments: Form.allCases) func anErrorOfOneShardIsAnError(form: Form) async throws {
            try await prepare()
            let client = try await cluster.login()
            // The shard sorts by the index, and computes each row as it goes.
            try await send(client, form, "SELECT k, 1 / (k - 60001), body FROM sorted ORDER BY k")
            let answer = try await rest(client)
            #expect(answer.suffix(2).map(\.description) == ["E(22012)", form == .block ? "Z(E)" : "Z(I)"] && !answer.contains { $0.kind == "C" })
            client.close()
            try await cluster.expectNoLeak(clients: 0)
        }
    }
}
