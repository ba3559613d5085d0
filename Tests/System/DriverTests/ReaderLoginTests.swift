import CatalogStore
import ClusterTestKit
import NIOPosix
import PGChannel
import PGWire
import PostgresProcess
import ServerConfig
import ShardModel
import Testing

/// Rights on databases, as clients of the protocol meet them.
@Suite struct ReaderLoginTests {
    private static let tables: [String: Placement] = ["kv": .sharded(key: "k"), "ref": .reference]

    private func withUsers(_ body: @Sendable (TestCluster) async throws -> Void) async throws {
        try await TestCluster.withLogin(Self.tables) { cluster in
            let grants: [(String, [DatabaseGrant])] = [
                ("reader", [DatabaseGrant(database: "shop", rights: [.read])]), ("writer", [DatabaseGrant(database: "*", rights: [.write])]),
                ("stranger", [DatabaseGrant(database: "other", rights: [.write])]), ("nobody", []),
            ]
            try await put(grants, cluster)
            try await Psql.waitForLogin(dsn(cluster, "writer"))
            let made = try await Psql.run(
                dsn(cluster, "writer"), "CREATE TABLE kv (k bigint PRIMARY KEY, v int)", "CREATE TABLE ref (a int)", "INSERT INTO kv VALUES (1, 1), (2, 2)",
                "CREATE SEQUENCE ids")
            try #require(made.status == 0, "\(made.errors)")
            try await body(cluster)
        }
    }

    private func put(_ grants: [(String, [DatabaseGrant])], _ cluster: TestCluster) async throws {
        let catalog = try await cluster.store.load()
        let verifier = ScramVerifier.make(password: Driver.password, salt: Array(1...16)).text
        let records = grants.map { name, grants in
            var record = catalog.users[name] ?? UserRecord(name: name, verifier: verifier, roles: [])
            record.set(roles: [], grants: grants)
            return CatalogChange.Operation.putUser(record)
        }
        _ = try await cluster.store.commit(CatalogChange(records, author: "test"), expecting: catalog.epoch)
    }

    private func dsn(_ cluster: TestCluster, _ user: String) -> String { "postgres://\(user):\(Driver.password)@127.0.0.1:\(cluster.wirePort)/shop" }

    private func connect(_ cluster: TestCluster, _ user: String) async throws -> PGClient {
        try await PGClient.connect(to: try PostgresEndpoint.parse(dsn(cluster, user)), on: MultiThreadedEventLoopGroup.singleton)
    }

    @Test func whoHasNoRightOnADatabaseIsNotLetIn() async throws {
        try await withUsers { cluster in
            for user in ["stranger", "nobody"] {
                let refused = try await Psql.run(dsn(cluster, user), "SELECT 1")
                #expect(refused.status == 2 && refused.errors.contains("permission denied for database \"shop\""), "\(refused.errors)")
                await #expect { try await connect(cluster, user) } throws: { "\($0)".contains("42501") }
            }
        }
    }

    @Test func aReaderReadsAndIsRefusedEverythingElse() async throws {
        try await withUsers { cluster in
            for reads in [
                "SELECT v FROM kv WHERE k = 1", "SELECT * FROM ref", "BEGIN; SELECT v FROM kv WHERE k = 1; COMMIT", "COPY kv TO STDOUT",
                "SELECT 1; SET application_name = 'x'; SELECT v FROM kv WHERE k = 2; SELECT v FROM kv WHERE k = 1",
                "PREPARE p(bigint) AS SELECT v FROM kv WHERE k = $1; EXECUTE p(1)",
                "BEGIN; DECLARE c CURSOR FOR SELECT v FROM kv WHERE k = 1; FETCH ALL FROM c; CLOSE c; COMMIT",
            ] {
                let answer = try await Psql.run(dsn(cluster, "reader"), reads)
                #expect(answer.status == 0, "\(reads): \(answer.errors)")
            }
            for writes in [
                "INSERT INTO kv VALUES (3, 3)", "UPDATE kv SET v = 9 WHERE k = 1", "DELETE FROM kv WHERE k = 1", "DELETE FROM kv", "UPDATE kv SET v = 1", "INSERT INTO ref VALUES (1)",
                "SELECT v FROM kv WHERE k = 1 FOR UPDATE", "SELECT nextval('ids')", "CREATE INDEX i ON ref (a)", "DROP TABLE kv", "TRUNCATE ref",
                "COPY kv FROM STDIN", "NOTIFY a", "SELECT pg_notify('a', '')", "SELECT pgmosaic.forget_table('kv')", "SELECT 1; DELETE FROM ref",
                "PREPARE p AS DELETE FROM ref; EXECUTE p", "BEGIN READ WRITE; DELETE FROM ref", "EXPLAIN ANALYZE DELETE FROM kv WHERE k = 1",
                "WITH gone AS (DELETE FROM ref RETURNING a) SELECT * FROM gone", "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE; DELETE FROM ref",
            ] {
                let answer = try await Psql.run(dsn(cluster, "reader"), writes, settings: ["VERBOSITY=verbose"])
                #expect(answer.status == 1 && answer.errors.contains("42501") && answer.errors.contains("PGM-READ-ONLY-USER"), "\(writes): \(answer.errors)")
            }
            // What only a hint places is not known to read: its own refusal stands.
            let hinted = try await Psql.run(dsn(cluster, "reader"), "SELECT count(*) FROM kv /* pgmosaic: shard_key=1 */", settings: ["VERBOSITY=verbose"])
            #expect(hinted.status == 1 && hinted.errors.contains("PGM-NO-KEY"), "\(hinted.errors)")
            #expect(try await Psql.run(dsn(cluster, "writer"), "SELECT count(*) FROM kv /* pgmosaic: shard_key=1 */").status == 0)
            #expect(try await Psql.run(dsn(cluster, "writer"), "SELECT v FROM kv WHERE k = 1").output == "1\n")
        }
    }

    @Test func theExtendedProtocolIsNoWayAround() async throws {
        try await withUsers { cluster in
            let client = try await connect(cluster, "reader")
            #expect(try await client.query("SELECT v FROM kv WHERE k = $1", ["1"]).rows.first?.text(0) == "1")
            for writes in ["UPDATE kv SET v = 9 WHERE k = $1", "SELECT v FROM kv WHERE k = $1 FOR SHARE", "DELETE FROM ref WHERE a = $1"] {
                await #expect { try await client.query(writes, ["1"]) } throws: { "\($0)".contains("42501") }
            }
            // The cached plans of those who may write are not the reader's.
            let writer = try await connect(cluster, "writer")
            for _ in 0..<3 {
                _ = try await writer.query("UPDATE kv SET v = 5 WHERE k = $1", ["1"])
                await #expect { try await client.query("UPDATE kv SET v = 9 WHERE k = $1", ["1"]) } throws: { "\($0)".contains("42501") }
            }
            #expect(try await client.query("SELECT v FROM kv WHERE k = $1", ["1"]).rows.first?.text(0) == "5")
            await client.close()
            await writer.close()
        }
    }

    @Test func aRightThatIsTakenAwayIsGoneFromSessionsThatAreOpen() async throws {
        try await withUsers { cluster in
            let client = try await connect(cluster, "writer")
            _ = try await client.query("UPDATE kv SET v = 5 WHERE k = 1")
            try await put([("writer", [DatabaseGrant(database: "shop", rights: [.read])])], cluster)
            try await eventually("the session may only read") {
                do {
                    _ = try await client.query("UPDATE kv SET v = 6 WHERE k = 1")
                    return false
                } catch { return "\(error)".contains("42501") }
            }
            #expect(try await client.query("SELECT 1").rows.count == 1)
            try await put([("writer", [])], cluster)
            try await eventually("the session is ended") {
                do {
                    _ = try await client.query("SELECT 1")
                    return false
                } catch { return true }
            }
            // On each event loop, which learn of it one after the other.
            try await eventually("nobody is let in") {
                do {
                    await (try connect(cluster, "writer")).close()
                    return false
                } catch { return "\(error)".contains("42501") }
            }
        }
    }
}
