import ClusterTestKit
import Foundation
import PostgresProcess
import ShardModel
import Testing

/// The same program by the same driver, through the router over three shards and on one plain PostgreSQL: it prints the same.
///
/// A driver that is not there is a failure in CI, and elsewhere a test that is skipped and says why.
@Suite(.serialized) struct DriverTests {
    @Test(.enabled(if: Driver.psql.isPresent, "psql is not installed"))
    func psql() async throws { try await compare(.psql, prefix: "psql") }

    @Test(.enabled(if: Driver.psycopg.isPresent, "PGMOSAIC_TEST_PYTHON names no Python with psycopg 3: run scripts/install-drivers"))
    func psycopg() async throws { try await compare(.psycopg, prefix: "psycopg") }

    @Test(.enabled(if: Driver.node.isPresent, "node, or PGMOSAIC_TEST_NODE_PATH with node-postgres, is missing: run scripts/install-drivers"))
    func nodePostgres() async throws { try await compare(.node, prefix: "node") }

    @Test(.enabled(if: Driver.jdbc.isPresent, "javac, or Debian's libpostgresql-jdbc-java, is missing"))
    func jdbc() async throws { try await compare(.jdbc, prefix: "jdbc") }

    private func compare(_ driver: Driver, prefix: String) async throws {
        let tables: [String: Placement] = [
            "\(prefix)_accounts": .sharded(key: "id"), "\(prefix)_entries": .sharded(key: "account_id"),
            "\(prefix)_currencies": .reference, "\(prefix)_settings": .local,
        ]
        try await TestCluster.withLogin(tables) { cluster in
            // Both under one name, for some programs print it.
            let plain = try await PostgresServer.create(.init(dataDirectory: NSTemporaryDirectory() + "pgmosaic-plain-\(UUID().uuidString)/data"))
            try await plain.createDatabase(TestCluster.database)
            let expected = try await driver.run(port: plain.port)
            let printed = try await driver.run(port: cluster.wirePort)
            await plain.stop(.immediate)
            try? FileManager.default.removeItem(atPath: (plain.dataDirectory as NSString).deletingLastPathComponent)
            #expect(expected.contains("=="), "the program ran on the plain server: \(expected.suffix(2000))")
            for (number, lines) in zip(expected.split(separator: "\n"), printed.split(separator: "\n")).enumerated() where lines.0 != lines.1 {
                Issue.record("line \(number + 1): \(lines.1) instead of \(lines.0)")
                break
            }
            #expect(
                printed.split(separator: "\n").count == expected.split(separator: "\n").count,
                "through the router: \(printed.suffix(500))\ndirectly: \(expected.suffix(500))")
        }
    }
}
