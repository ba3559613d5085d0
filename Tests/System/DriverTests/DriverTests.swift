import ClusterTestKit
import Foundation
import PostgresProcess
import ShardModel
import Testing

/// The same program by the same driver, through the router over three shards and on one plain PostgreSQL: it prints the same.
///
/// A driver that is not there is a failure in CI, and elsewhere a test that is skipped and names the package that is missing.
@Suite(.serialized) struct DriverTests {
    @Test(.enabled(if: Driver.psql.isPresent, Driver.psql.package))
    func psql() async throws { try await compare(.psql) }

    @Test(.enabled(if: Driver.psycopg.isPresent, Driver.psycopg.package))
    func psycopg() async throws { try await compare(.psycopg) }

    @Test(.enabled(if: Driver.psycopg2.isPresent, Driver.psycopg2.package))
    func psycopg2() async throws { try await compare(.psycopg2) }

    @Test(.enabled(if: Driver.asyncpg.isPresent, Driver.asyncpg.package))
    func asyncpg() async throws { try await compare(.asyncpg) }

    @Test(.enabled(if: Driver.alchemy.isPresent, Driver.alchemy.package))
    func sqlAlchemy() async throws { try await compare(.alchemy) }

    @Test(.enabled(if: Driver.alembic.isPresent, Driver.alembic.package))
    func alembic() async throws { try await compare(.alembic) }

    @Test(.enabled(if: Driver.django.isPresent, Driver.django.package))
    func django() async throws { try await compare(.django) }

    @Test(.enabled(if: Driver.node.isPresent, Driver.node.package))
    func nodePostgres() async throws { try await compare(.node) }

    @Test(.enabled(if: Driver.jdbc.isPresent, Driver.jdbc.package))
    func jdbc() async throws { try await compare(.jdbc) }

    @Test(.enabled(if: Driver.ruby.isPresent, Driver.ruby.package))
    func rubyPg() async throws { try await compare(.ruby) }

    @Test(.enabled(if: Driver.perl.isPresent, Driver.perl.package))
    func perlDBDPg() async throws { try await compare(.perl) }

    @Test(.enabled(if: Driver.php.isPresent, Driver.php.package))
    func phpPDO() async throws { try await compare(.php) }

    @Test(.enabled(if: Driver.odbc.isPresent, Driver.odbc.package))
    func odbc() async throws { try await compare(.odbc) }

    @Test(.enabled(if: Driver.libpq.isPresent, Driver.libpq.package))
    func libpqPipeline() async throws { try await compare(.libpq) }

    @Test(.enabled(if: Driver.pgx.isPresent, Driver.pgx.package))
    func goPgx() async throws { try await compare(.pgx) }

    private func compare(_ driver: Driver) async throws {
        let prefix = driver.prefix
        let tables: [String: Placement] = [
            "\(prefix)_accounts": .sharded(key: "id"), "\(prefix)_entries": .sharded(key: "account_id"),
            "\(prefix)_currencies": .reference, "\(prefix)_settings": .local,
        ]
        // Frameworks make tables of their own.
        try await TestCluster.withLogin(tables, defaultPlacement: [.alembic, .django].contains(driver) ? .local : .refuse) { cluster in
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
