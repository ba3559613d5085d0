import CatalogStore
import ClusterTestKit
import Foundation
import PGWire
import PostgresProcess
import ServerConfig
import ShardModel
import Testing

/// The database `pgmosaic`, for people who know PgBouncer.
@Suite struct ConsoleTests {
    private static let tables: [String: Placement] = ["kv": .sharded(key: "k")]

    private func withConsole(_ body: @Sendable (TestCluster) async throws -> Void) async throws {
        try await TestCluster.withLogin(Self.tables) { cluster in
            let verifier = ScramVerifier.make(password: Driver.password, salt: Array(1...16)).text
            let users = [("watcher", ["viewer"], nil), ("caged", ["operator"], ["shop"]), ("nobody", [], nil)] as [(String, [String], [String]?)]
            let epoch = try await cluster.store.load().epoch
            _ = try await cluster.store.commit(
                CatalogChange(
                    users.map { .putUser(UserRecord(name: $0.0, verifier: verifier, roles: $0.1, databases: $0.2)) }, author: "test"), expecting: epoch)
            try await Psql.waitForLogin(dsn(cluster, user: "nobody", database: "shop"))
            #expect(try await Psql.run(dsn(cluster, database: "shop"), "CREATE TABLE kv (k bigint PRIMARY KEY, v int)").status == 0)
            try await body(cluster)
        }
    }

    private func dsn(_ cluster: TestCluster, user: String = "postgres", database: String = "pgmosaic") -> String {
        "postgres://\(user):\(Driver.password)@127.0.0.1:\(cluster.wirePort)/\(database)"
    }

    @Test func everyReportAnswersAndNoneTellsASecret() async throws {
        try await withConsole { cluster in
            let open = try WireProcess(dsn(cluster, database: "shop"), "BEGIN; SELECT * FROM kv WHERE k = 5;")
            defer { open.end() }
            try await eventually("its transaction is open, and has a shard") { try await Psql.run(dsn(cluster), "SHOW TRANSACTIONS").output.contains("postgres|shop|open|idle|1|s") }
            for (report, expected) in [
                ("HELP", "SHOW POOLS|"), ("VERSION", "PGMosaic "), ("DATABASES", "shop|3|s1|"), ("POOLS", "shop|s1|0|"), ("SHARDS", "shop|s2|127.0.0.1|"),
                ("CLIENTS", "postgres|shop|idle|T|127.0.0.1|"), ("SERVERS", "|active|127.0.0.1|"), ("TRANSACTIONS", "postgres|shop|open|idle|1|s"),
                ("PREPARED", ""), ("STATS", ""), ("LISTS", "databases|1"),
            ] {
                let result = try await Psql.run(dsn(cluster), "show \(report.lowercased());")
                #expect(result.status == 0 && (expected.isEmpty || result.output.contains(expected)), "\(report): \(result.output) \(result.errors)")
                #expect(!result.output.contains(Driver.password) && !result.output.contains("SCRAM"))
            }
        }
    }

    @Test func whatTheConsoleDoesNotKnowIsSaid() async throws {
        try await withConsole { cluster in
            for (text, sqlState, words) in [
                ("SELECT 1", "42601", "no command \"SELECT\""), ("SHOW TABLES", "42704", "no report \"TABLES\""), ("SHOW", "42704", "no report"),
                ("PAUSE nowhere", "3D000", "does not exist"), ("SHOW POOLS; SHOW CLIENTS", "42601", "one line"), ("RELOAD", "55000", "without a source"),
            ] {
                let result = try await Psql.run(dsn(cluster), text, settings: ["VERBOSITY=verbose"])
                #expect(result.status == 1 && result.errors.contains(sqlState) && result.errors.contains(words), "\(text): \(result.errors)")
            }
            #expect(try await Psql.run(dsn(cluster), "SET application_name = 'x'", " ; ", "SHOW VERSION").status == 0)
        }
    }

    @Test func rolesDecideWhoMayDoWhat() async throws {
        try await withConsole { cluster in
            #expect(try await Psql.run(dsn(cluster, user: "watcher"), "SHOW POOLS").status == 0)
            for command in ["PAUSE", "RESUME", "RECONNECT", "RELOAD"] {
                let refused = try await Psql.run(dsn(cluster, user: "watcher"), command)
                #expect(refused.status == 1 && refused.errors.contains("permission denied"), "\(command)")
            }
            for user in ["nobody", "caged"] {
                let refused = try await Psql.run(dsn(cluster, user: user), "SHOW POOLS")
                #expect(refused.status == 2 && refused.errors.contains("permission denied for the console"), "\(user): \(refused.errors)")
            }
        }
    }

    @Test func pauseWaitsForTransactionsAndHoldsStatementsAndResumeLetsGo() async throws {
        try await withConsole { cluster in
            let shop = dsn(cluster, database: "shop")
            let open = try WireProcess(shop, "BEGIN; INSERT INTO kv VALUES (5, 1);")
            defer { open.end() }
            // What it says behind BEGIN has been done: a statement that comes later waits for the pause, and the pause for it.
            try await eventually("its transaction has written") { try await Psql.run(dsn(cluster), "SHOW TRANSACTIONS").output.contains("open|idle|1|s") }
            let done = Done()
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    let result = try await Psql.run(dsn(cluster), "PAUSE shop")
                    #expect(result.status == 0, "\(result.errors)")
                    await done.mark("paused")
                }
                try await eventually("the pause has begun") { try await Psql.run(dsn(cluster), "SHOW DATABASES").output.contains("|1\n") }
                group.addTask {
                    let result = try await Psql.run(shop, "INSERT INTO kv VALUES (6, 1)")
                    #expect(result.status == 0, "\(result.errors)")
                    await done.mark("statement")
                }
                try await eventually("the statement waits") { try await Psql.run(dsn(cluster), "SHOW CLIENTS").output.contains("waiting") }
                #expect(await done.marks.isEmpty)
                open.say("COMMIT;")
                try await eventually("the pause is complete") { await done.marks == ["paused"] }
                // No connection to a shard is left, for whoever wants to work on one.
                #expect(try await Psql.run(dsn(cluster), "SHOW SERVERS").output.isEmpty)
                #expect(try await Psql.run(dsn(cluster), "RESUME shop").status == 0)
                try await group.waitForAll()
            }
            #expect(try await Psql.run(shop, "SELECT v FROM kv WHERE k = 5", "SELECT v FROM kv WHERE k = 6").output == "1\n1\n")
        }
    }

    @Test func reconnectReplacesConnections() async throws {
        try await withConsole { cluster in
            let shop = dsn(cluster, database: "shop")
            @Sendable func pids() async throws -> Set<Substring> {
                let rows = try await Psql.run(dsn(cluster), "SHOW SERVERS").output.split(separator: "\n")
                return Set(rows.map { $0.split(separator: "|", omittingEmptySubsequences: false)[5] })
            }
            for key in 1...20 { _ = try await Psql.run(shop, "SELECT v FROM kv WHERE k = \(key)") }
            let before = try await pids()
            #expect(!before.isEmpty)
            #expect(try await Psql.run(dsn(cluster), "RECONNECT").status == 0)
            try await eventually("none of the old is left") { try await pids().isDisjoint(with: before) }
            #expect(try await Psql.run(shop, "SELECT 1").output == "1\n")
        }
    }

    @Test(.enabled(if: Driver.psycopg.isPresent, "PGMOSAIC_TEST_PYTHON names no Python with psycopg 3"))
    func aDriverOfTheExtendedProtocolGetsTheSameTextOrBinary() async throws {
        let program = """
            import os, psycopg
            for autocommit in (True, False):
                with psycopg.connect(os.environ["DSN"], autocommit=autocommit) as connection:
                    for binary in (False, True):
                        for prepare in (False, True):
                            cursor = connection.cursor(binary=binary)
                            cursor.execute("SHOW LISTS", prepare=prepare)
                            rows = dict(cursor.fetchall())
                            print([c.name for c in cursor.description], rows["databases"], rows["shards"])
                    try:
                        connection.execute("SELECT 1", prepare=True)
                    except psycopg.errors.SyntaxError as error:
                        print(error.diag.sqlstate)
                    connection.rollback()
                    print(connection.execute("SHOW VERSION").fetchone()[0].split()[0])
            """
        try await withConsole { cluster in
            let python = ProcessInfo.processInfo.environment["PGMOSAIC_TEST_PYTHON"] ?? "python3"
            let result = try await SupervisedProcess.run(.init(python, ["-c", program], environment: ["DSN": dsn(cluster), "PATH": "/usr/bin:/bin"]))
            let half = Array(repeating: "['list', 'items'] 1 3", count: 4) + ["42601", "PGMosaic"]
            #expect(result.output == (half + half).map { $0 + "\n" }.joined(), "\(result.output)\(result.errors)")
        }
    }
}

private actor Done {
    private(set) var marks: [String] = []
    func mark(_ name: String) { marks.append(name) }
}

/// A psql that stays, and is told what to say.
private final class WireProcess {
    private let process = Process()
    private let input = Pipe()

    init(_ dsn: String, _ first: String) throws {
        process.executableURL = URL(fileURLWithPath: try PostgresInstallation.find().path(of: "psql"))
        process.arguments = ["-X", "-A", "-t", dsn]
        process.standardInput = input
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        say(first)
    }

    func say(_ text: String) { input.fileHandleForWriting.write(Data((text + "\n").utf8)) }

    func end() {
        try? input.fileHandleForWriting.close()
        process.terminate()
    }
}
