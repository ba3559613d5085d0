import ClusterTestKit
import PostgresProcess
import Testing

/// What a session has prepared for its temporary table, used when the table has other columns: the messages of a client, whose answers must be PostgreSQL's.
enum ChangedTemporaryTable {
    private static func simple(_ texts: String...) -> [[UInt8]] { texts.map(WireMessages.query) }
    private static func step(_ name: String) -> [UInt8] { WireMessages.bind("", name) + WireMessages.execute("") }
    private static func bind(_ name: String) -> [UInt8] { step(name) + WireMessages.sync }
    private static func describe(_ name: String) -> [UInt8] { WireMessages.describe("S", name) + WireMessages.sync }
    private static func parse(_ name: String, _ sql: String) -> [UInt8] { WireMessages.parse(name, sql) + WireMessages.sync }
    private static func run(_ sql: String) -> [UInt8] { WireMessages.parse("", sql) + step("") }

    private static let make = simple("CREATE TEMP TABLE t (a int)", "INSERT INTO t VALUES (1)")
    private static let grow = simple("ALTER TABLE t ADD b int DEFAULT 7")

    /// Each element is answered by one ReadyForQuery.
    private static let scripts: [[[UInt8]]] = [
        make + simple("PREPARE p AS SELECT * FROM t", "EXECUTE p") + grow + simple("EXECUTE p", "EXECUTE p", "DEALLOCATE p", "PREPARE p AS SELECT * FROM t", "EXECUTE p"),
        make + simple("PREPARE p AS SELECT * FROM t") + grow + simple("EXECUTE p"),
        make + simple("PREPARE p AS SELECT a FROM t", "EXECUTE p") + grow + simple("EXECUTE p"),
        make + [parse("p", "SELECT * FROM t"), bind("p")] + grow + [bind("p"), bind("p"), describe("p"), parse("q", "SELECT * FROM t"), bind("q")],
        make + [parse("p", "SELECT * FROM t")] + grow + [bind("p")],
        make + [parse("p", "SELECT * FROM t"), bind("p")] + simple("ALTER TABLE t ALTER a TYPE bigint") + [bind("p")],
        make + [parse("p", "SELECT * FROM t"), bind("p")] + simple("ALTER TABLE t RENAME a TO z") + [bind("p")],
        make + [parse("p", "SELECT * FROM t"), bind("p")] + simple("DROP TABLE t", "CREATE TEMP TABLE t (a int, b int)") + [bind("p")],
        make + [parse("p", "SELECT * FROM t"), bind("p")] + simple("DROP TABLE t", "CREATE TEMP TABLE t (a int)") + [bind("p")],
        make + [parse("p", "INSERT INTO t VALUES (5) RETURNING *"), bind("p")] + grow + [bind("p")],
        make + [parse("", "SELECT * FROM t"), parse("p", "ALTER TABLE t ADD b int")] + [bind("p")] + [bind("")],
        simple("BEGIN") + make + [parse("p", "SELECT * FROM t"), bind("p")] + simple("SAVEPOINT s") + grow + [bind("p")] + simple("ROLLBACK TO s") + [bind("p")] + simple("COMMIT") + [bind("p")],
        make + [parse("p", "SELECT * FROM t")] + simple("BEGIN") + grow + simple("ROLLBACK") + [bind("p")],
        make + simple("PREPARE p AS SELECT * FROM t") + grow + [bind("p")],
        make + [parse("p", "SELECT * FROM t")] + grow + simple("EXECUTE p"),
        make + [parse("p", "SELECT * FROM t"), bind("p"), run("ALTER TABLE t ADD b int") + bind("p")],
        make + [parse("p", "SELECT * FROM t WHERE a = $1")] + grow + [describe("p"), describe("p")],
        make + simple("PREPARE p AS SELECT * FROM t", "EXECUTE p", "DROP TABLE t", "EXECUTE p") + make + simple("EXECUTE p") + grow + simple("EXECUTE p"),
        // Unnamed: only what is prepared under a name may come between, for a Query takes its place.
        make + [parse("a", "ALTER TABLE t ADD b int"), parse("", "SELECT * FROM t"), bind("a"), bind(""), bind("")],
        make + [parse("a", "ALTER TABLE t ADD b int"), parse("", "SELECT * FROM t"), bind(""), bind("a"), bind("")],
        make + [parse("a", "ALTER TABLE t ADD b int"), parse("", "SELECT a FROM t"), bind(""), bind("a"), bind("")],
        make + [parse("a", "ALTER TABLE t ADD b int"), parse("", "SELECT * FROM t"), bind("a"), describe(""), describe("")],
        make + [parse("a", "ALTER TABLE t ADD b int"), parse("", "SELECT * FROM t"), bind("a"), parse("", "SELECT * FROM t"), bind("")],
        make + [parse("a", "ALTER TABLE t ALTER a TYPE text"), parse("", "SELECT * FROM t"), bind("a"), bind("")],
        make + [parse("a", "DROP TABLE t"), parse("", "SELECT * FROM t"), bind("a"), bind("")],
        make + [parse("a", "ALTER TABLE t ADD b int"), parse("", "UPDATE t SET a = 2 RETURNING *"), bind("a"), bind("")],
        make + [parse("a", "ALTER TABLE t ADD b int"), parse("", "INSERT INTO t VALUES (2)"), bind("a"), bind("")],
        make + [parse("a", "ALTER TABLE t ADD b int"), parse("", "SELECT * FROM t"), step("a") + bind("")],
        make + [parse("a", "ALTER TABLE t ADD b int"), WireMessages.parse("", "SELECT * FROM t") + step("a") + bind(""), bind("")],
        make + [parse("a", "ALTER TABLE t ADD b int"), WireMessages.parse("", "SELECT * FROM t") + step("a") + describe("")],
        make + [parse("a", "ALTER TABLE t ADD b int"), parse("b", "BEGIN"), parse("c", "ROLLBACK"), parse("", "SELECT * FROM t"), bind("b"), bind("a"), bind("c"), bind("")],
        make + [parse("a", "ALTER TABLE t ADD b int"), parse("b", "BEGIN"), parse("c", "ROLLBACK"), parse("", "SELECT * FROM t"), bind("b"), bind("a"), bind(""), bind("c"), bind("")],
    ]

    /// Has a session of the router and one of a plain server of the same schema answer each script.
    static func expectTheAnswersOfPostgreSQL(_ cluster: TestCluster, plain server: PostgresServer) async throws {
        try await server.psql("DROP DATABASE IF EXISTS plain WITH (FORCE)", database: "postgres")
        try await server.createDatabase("plain")
        for (number, script) in scripts.enumerated() {
            var found: [[String]] = []
            for client in [try await WireClient.login(port: server.port, database: "plain", user: "postgres"), try await cluster.login()] {
                var answers: [String] = []
                for messages in script {
                    try await client.send(messages)
                    answers += try await client.until("Z").filter { !"NS".contains($0.kind) }.map(\.description)
                }
                found.append(answers)
                client.close()
            }
            #expect(found[1] == found[0], "script \(number)")
        }
        try await cluster.expectNoLeak()
    }
}
