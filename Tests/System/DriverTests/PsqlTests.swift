import ClusterTestKit
import Foundation
import PostgresProcess
import ShardModel
import Testing

/// What psql shows of the router itself, where a plain server is no measure.
@Suite struct PsqlTests {
    private static let tables: [String: Placement] = ["accounts": .sharded(key: "id"), "countries": .reference]

    @Test func aPasswordIsAskedForAndChecked() async throws {
        try await TestCluster.withLogin([:]) { cluster in
            let right = try await Psql.run(Driver.dsn(port: cluster.wirePort), "SELECT 1 + 1")
            #expect(right.status == 0 && right.output == "2\n")
            for (name, dsn) in [
                ("a wrong password", Driver.dsn(port: cluster.wirePort, password: "wrong-horse")),
                ("an unknown user", "postgres://nobody:wrong@127.0.0.1:\(cluster.wirePort)/\(TestCluster.database)"),
            ] {
                let wrong = try await Psql.run(dsn, "SELECT 1")
                #expect(wrong.status == 2 && wrong.errors.contains("password authentication failed"), "\(name): \(wrong.errors)")
                #expect(!wrong.errors.contains("wrong-horse"))
            }
        }
    }

    @Test func aRefusalNamesItsCodeAndWhatToDo() async throws {
        try await TestCluster.withLogin(Self.tables) { cluster in
            let dsn = Driver.dsn(port: cluster.wirePort)
            let made = try await Psql.run(
                dsn, "CREATE TABLE accounts (id bigint PRIMARY KEY, owner text)", "CREATE TABLE countries (code text PRIMARY KEY, changed timestamptz)")
            #expect(made.status == 0, "\(made.errors)")
            for (sql, sqlState, code) in Self.refusals {
                let result = try await Psql.run(dsn, sql, settings: ["VERBOSITY=verbose"])
                #expect(result.status == 1 && result.errors.contains("ERROR:  \(sqlState)"), "\(sql): \(result.errors)")
                #expect(result.errors.contains("DETAIL:  \(code)") && result.errors.contains("HINT:"), "\(sql): \(result.errors)")
            }
        }
    }

    /// Statement, SQLSTATE, code.
    private static let refusals: [(String, String, String)] = [
        ("SELECT * FROM accounts LIMIT 1 FOR UPDATE", "0A000", "PGM-NO-KEY"),
        ("SELECT ctid, count(*) FROM accounts GROUP BY ctid", "0A000", "PGM-NO-KEY"),
        ("SELECT row_to_json(a) FROM accounts a JOIN accounts b ON a.owner = b.owner", "0A000", "PGM-NO-KEY"),
        ("EXPLAIN SELECT ctid FROM accounts", "0A000", "PGM-NO-KEY"),
        ("SELECT * FROM accounts WHERE id IN (1, 2, 3, 4, 5, 6, 7, 8) FOR UPDATE", "0A000", "PGM-MANY-SHARDS"),
        ("WITH w AS (DELETE FROM accounts WHERE id = 1 RETURNING owner) DELETE FROM accounts a USING w WHERE a.owner = w.owner AND a.id IN (1, 2, 3, 4, 5, 6, 7, 8)", "0A000", "PGM-MANY-SHARDS"),
        ("SELECT * FROM accounts WHERE id = 1.0", "0A000", "PGM-KEY-TYPE"),
        ("INSERT INTO accounts VALUES (NULL)", "23502", "PGM-KEY-NULL"),
        ("INSERT INTO accounts (owner) VALUES ('Ada')", "0A000", "PGM-KEY-MISSING"),
        ("UPDATE accounts SET id = id + 1 WHERE id = 1", "0A000", "PGM-KEY-UPDATE"),
        ("UPDATE countries SET changed = now()", "0A000", "PGM-REFERENCE-VOLATILE"),
        ("CREATE TABLE stray (id bigint)", "0A000", "PGM-UNPLACED-TABLE"),
        ("CREATE UNIQUE INDEX i ON accounts (owner)", "0A000", "PGM-UNIQUE-WITHOUT-KEY"),
        ("ALTER TABLE accounts ADD COLUMN number serial", "0A000", "PGM-SEQUENCE-DEFAULT"),
        ("SELECT * FROM nowhere", "42P01", "PGM-UNKNOWN-TABLE"),
        ("CREATE TEMPORARY TABLE x () INHERITS (accounts)", "0A000", "PGM-TEMPORARY"),
    ]

    @Test func anInterruptCancelsTheStatement() async throws {
        try await TestCluster.withLogin(Self.tables) { cluster in
            let dsn = Driver.dsn(port: cluster.wirePort)
            let made = try await Psql.run(dsn, "CREATE TABLE accounts (id bigint PRIMARY KEY, owner text)", "INSERT INTO accounts VALUES (1)")
            #expect(made.status == 0, "\(made.errors)")
            let log = NSTemporaryDirectory() + "pgmosaic-psql-\(UUID().uuidString)"
            defer { try? FileManager.default.removeItem(atPath: log) }
            var command = try Psql.command(dsn, ["SELECT pg_sleep(120) FROM accounts WHERE id = 1"])
            command.output = .file(log)
            let psql = try SupervisedProcess.start(command)
            let isAsleep = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'"
            var sleeping = 0
            for _ in 0..<2400 where sleeping == 0 {
                try await Task.sleep(for: .milliseconds(50))
                for server in cluster.servers { sleeping += Int(try await server.psql(isAsleep)) ?? 0 }
            }
            #expect(sleeping == 1)
            psql.signal(SIGINT)
            #expect(await psql.waitForExit() != 0)
            let printed = try String(contentsOfFile: log, encoding: .utf8)
            #expect(printed.contains("canceling statement due to user request"), "\(printed)")
            for server in cluster.servers { #expect(try await server.psql(isAsleep) == "0") }
        }
    }

    @Test func twentyClientsAtOnceLoseNothing() async throws {
        try await TestCluster.withLogin(Self.tables) { cluster in
            let dsn = Driver.dsn(port: cluster.wirePort)
            let made = try await Psql.run(dsn, "CREATE TABLE accounts (id bigint PRIMARY KEY, owner text)", "INSERT INTO accounts VALUES (0, '')")
            #expect(made.status == 0, "\(made.errors)")
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 1...20 {
                    group.addTask {
                        let result = try await Psql.run(
                            dsn, "INSERT INTO accounts VALUES (\(number), 'x')", "UPDATE accounts SET owner = owner || 'x' WHERE id = 0",
                            "SELECT owner FROM accounts WHERE id = \(number)")
                        #expect(result.status == 0 && result.output.hasSuffix("x\n"), "\(result.errors)")
                    }
                }
                try await group.waitForAll()
            }
            #expect(try await Psql.run(dsn, "SELECT length(owner) FROM accounts WHERE id = 0").output == "20\n")
        }
    }
}
