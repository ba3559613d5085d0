import CatalogStore
import ClusterTestKit
import Foundation
import ServerConfig
import ShardModel
import Testing

extension FaultTests {
    /// What waits at a router is bounded in number and bytes: beyond, the attempt is to be given up, and only much later do clients see an error.
    @Suite(
        .faultCluster(shards: 2) { settings in
            settings.loops = 1
            settings.heldStatementsMax = 3
            settings.heldBytesMax = 20_000
        }, .serialized)
    struct HeldBoundTests {
        private let cluster: TestCluster
        private let attempt = UInt64.random(in: 1...1_000_000_000)

        init() throws { cluster = try TestCluster.current }

        private typealias W = WireMessages

        private func isOverfull() async throws -> Bool {
            try await cluster.store.members().contains { $0.overfull?.contains(HoldAttempt(job: TestCluster.job, attempt: attempt)) == true }
        }

        @Test func moreStatementsThanTheBoundWaitOnAndTheManagerIsTold() async throws {
            let keys = try await cluster.keys(on: 1, from: Int64.random(in: 1...1_000_000_000), count: 13)
            try await cluster.withJob {
                try await cluster.hold(1, attempt: attempt)
                var clients: [WireClient] = []
                for (number, key) in keys.prefix(12).enumerated() {
                    let client = try await cluster.login()
                    let before = try await cluster.held()
                    try await client.send(W.query("INSERT INTO kv VALUES (\(key), 1)"))
                    try await eventually("it waits") { try await cluster.held() > before }
                    clients.append(client)
                    if number == 2 { #expect(try await !isOverfull()) }
                    if number == 3 { try await eventually("the manager is told") { try await isOverfull() } }
                }
                // Four times the bound: memory has an end.
                let last = try await cluster.login()
                let answers = try await last.query("INSERT INTO kv VALUES (\(keys[12]), 1)")
                #expect(answers.first?.sqlState == "57P03" && answers.first?.field("D") == "PGM-HELD-FULL" && answers.last?.status == "I", "\(answers)")
                try await cluster.lift()
                for client in clients { #expect(try await client.until("Z").map(\.description) == ["C(INSERT 0 1)", "Z(I)"]) }
                #expect(try await last.failure("INSERT INTO kv VALUES (\(keys[12]), 1)") == nil)
                let there = try await cluster.onShard(1, "SELECT count(*) FROM kv WHERE k IN (\(keys.map(String.init).joined(separator: ",")))")
                #expect(there == "13")
                try await eventually("it is told no more") { try await !isOverfull() }
            }
        }

        /// The text of a statement counts, its values, and what comes behind it.
        @Test(arguments: ["text", "values", "behind"]) func bytesAreBoundedToo(_ what: String) async throws {
            let keys = try await cluster.keys(on: 1, from: Int64.random(in: 1...1_000_000_000), count: 2)
            let long = String(repeating: "x", count: 30_000)
            try await cluster.withJob {
                let client = try await cluster.login()
                try await cluster.hold(1, attempt: attempt)
                let before = try await cluster.held()
                switch what {
                case "text": try await client.send(W.query("INSERT INTO kv VALUES (\(keys[0]), 1) /* \(long) */"))
                case "values":
                    try await client.send(
                        W.parse("", "UPDATE kv SET v = length($2::text) WHERE k = $1") + W.bind("", "", ["\(keys[0])", long]) + W.execute("") + W.sync)
                default: try await client.send(W.query("INSERT INTO kv VALUES (\(keys[0]), 1)") + W.query("SELECT 1 /* \(long) */"))
                }
                try await eventually("it waits") { try await cluster.held() > before }
                try await eventually("the manager is told") { try await isOverfull() }
                try await cluster.lift()
                #expect(try await client.until("Z").last?.status == "I")
            }
        }
    }
}
