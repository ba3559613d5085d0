import ClusterTestKit
import Foundation
import ServerConfig
import Testing

/// Longer than the few statements of a transaction take on a busy machine.
private let transactionLimit = Duration.seconds(6)

extension FaultTests {
    /// Transactions that take too long, at work or not.
    @Suite(.faultCluster(preparesApart: true) { $0.transactionTimeout = transactionLimit }, .serialized)
    struct TransactionTimeoutTests {
        private let cluster: TestCluster

        init() throws { cluster = try TestCluster.current }

        @Test func whoKeepsATransactionOpenWithWorkIsSentAwayAndItIsRolledBack() async throws {
            let key = try await cluster.key(on: 1)
            let client = try await cluster.login()
            try await client.query("BEGIN")
            #expect(try await client.failure("INSERT INTO kv VALUES (\(key), 1)") == nil)
            var end: [WireClient.Message] = []
            for _ in 0..<2000 where end.isEmpty {
                try? await client.send(WireMessages.query("SELECT pg_sleep(0.05) FROM kv WHERE k = \(key)"))
                let messages = try await client.untilEnd(orReady: true)
                if messages.last?.kind != "Z" { end = messages }
            }
            #expect(end.last?.sqlState == "25P04", "\(end)")
            let other = try await cluster.login()
            #expect(try await other.rows("SELECT v FROM kv WHERE k = \(key)").isEmpty)
            other.close()
            try await cluster.expectNoLeak(clients: 0)
        }

        @Test func aStatementOutsideOfATransactionIsCancelledToo() async throws {
            let key = try await cluster.key(on: 2)
            let client = try await cluster.login()
            try await client.send(WireMessages.query("INSERT INTO kv SELECT \(key), length(pg_sleep(60)::text) WHERE \(key) = \(key)"))
            #expect(try await client.untilEnd().map(\.description) == ["E(57014)", "Z(I)", "E(25P04)"])
            try await cluster.expectNoLeak(clients: 0)
        }

        @Test func aSessionMayBeOlderThanItsTransactions() async throws {
            let client = try await cluster.login()
            let end = ContinuousClock.now + transactionLimit + .seconds(1)
            while ContinuousClock.now < end {
                try await client.query("BEGIN")
                #expect(try await client.failure("SELECT pg_sleep(0.02)") == nil)
                #expect(try await client.query("COMMIT").map(\.description) == ["C(COMMIT)", "Z(I)"])
            }
            #expect(try await client.failure("SELECT 1") == nil)
            client.close()
        }
    }

    /// Limits that are smaller than the router's own.
    @Suite(.faultCluster { ($0.clientsPerUserMax, $0.clientsPerDatabaseMax, $0.loginsMax) = (3, 5, 8) }, .serialized)
    struct ClientShareTests {
        private let cluster: TestCluster

        init() throws { cluster = try TestCluster.current }

        private func refusal(_ user: String) async throws -> WireClient.Message? {
            let client = try WireClient(port: cluster.wirePort)
            try await client.send(WireMessages.startup(["user": user, "database": "shop"]))
            let first = try await client.until("Z", orError: true).first { $0.kind == "E" }
            client.close()
            return first
        }

        @Test func aUserAndADatabaseHaveTheirShareAndItComesBack() async throws {
            var held: [WireClient] = []
            for _ in 0..<3 { held.append(try await WireClient.login(port: cluster.wirePort, user: "alice")) }
            let ofUser = try await refusal("alice")
            #expect(ofUser?.sqlState == "53300" && ofUser?.field("M") == "too many connections for role \"alice\"")
            for _ in 0..<2 { held.append(try await WireClient.login(port: cluster.wirePort, user: "bob")) }
            let ofDatabase = try await refusal("bob")
            #expect(ofDatabase?.sqlState == "53300" && ofDatabase?.field("M") == "too many connections for database \"shop\"")
            for client in held { client.close() }
            try await cluster.expectNoLeak(clients: 0)
            for user in ["alice", "bob"] { #expect(try await refusal(user) == nil) }
        }

        @Test func whoSaysNothingMakesRoomForWhoLogsIn() async throws {
            var silent: [WireClient] = []
            for _ in 0..<60 { silent.append(try WireClient(port: cluster.wirePort)) }
            for _ in 0..<20 {
                let others = try await cluster.metric("pgmosaic_clients_total", "accepted")
                #expect(try await refusal("carol") == nil)
                #expect(try await cluster.metric("pgmosaic_clients_total", "accepted") == others + 1)
                // Her share is three, and the router may be slow to hear that she has hung up.
                try await eventually("she is gone") { try await cluster.metric("pgmosaic_clients") == 0 }
            }
            // The oldest were closed without a word.
            #expect(try await silent[0].untilEnd().isEmpty)
            for client in silent { client.close() }
        }
    }
}
