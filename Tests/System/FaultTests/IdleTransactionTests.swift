import ClusterTestKit
import Foundation
import ServerConfig
import Testing

extension FaultTests {
    /// Clients that leave a transaction open.
    @Suite(.faultCluster { $0.idleTransactionTimeout = .seconds(5) }, .serialized)
    struct IdleTransactionTests {
        private let cluster: TestCluster

        init() throws { cluster = try TestCluster.current }

        @Test(arguments: [true, false]) func whoLeavesATransactionOpenIsSentAwayAndItIsRolledBack(_ touchesAShard: Bool) async throws {
            let key = try await cluster.key(on: 1)
            let client = try await cluster.login()
            try await client.query("BEGIN")
            if touchesAShard { #expect(try await client.failure("INSERT INTO kv VALUES (\(key), 1)") == nil) }
            let end = try await client.untilEnd()
            #expect(end.first?.sqlState == "25P03")
            let other = try await cluster.login()
            #expect(try await other.rows("SELECT v FROM kv WHERE k = \(key)").isEmpty)
            other.close()
            try await cluster.expectNoLeak(clients: 0)
        }

        @Test func whoIsAtWorkOrOutsideOfATransactionStays() async throws {
            let key = try await cluster.key(on: 1)
            let client = try await cluster.login()
            try await Task.sleep(for: .seconds(6))
            try await client.query("BEGIN")
            #expect(try await client.failure("SELECT pg_sleep(6) FROM kv WHERE k = \(key)") == nil)
            #expect(try await client.failure("SELECT pg_sleep(6)") == nil)
            #expect(try await client.query("COMMIT").map(\.description) == ["C(COMMIT)", "Z(I)"])
            client.close()
        }
    }
}
