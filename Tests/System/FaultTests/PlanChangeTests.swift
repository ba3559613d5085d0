import ClusterTestKit
import PostgresProcess
import Testing

extension FaultTests {
    /// Prepared statements and a schema that changes under them: the same clients on the router and on one PostgreSQL.
    @Suite(.faultCluster(), .serialized)
    struct PlanChangeTests {
        private let cluster: TestCluster

        init() throws { cluster = try TestCluster.current }

        private static let texts: [(String, String)] = [
            ("all", "SELECT * FROM kv WHERE k = $1"), ("one", "SELECT v FROM kv WHERE k = $1"), ("write", "UPDATE kv SET v = v + 1 WHERE k = $1"),
            ("returning", "UPDATE kv SET v = v + 1 WHERE k = $1 RETURNING *"), ("copies", "SELECT * FROM ref WHERE id = $1"), ("none", "SELECT $1::int"),
        ]

        private func use(_ client: WireClient, _ name: String, _ key: Int64) async throws -> [String] {
            try await client.send(WireMessages.bind("", name, ["\(key)"]) + WireMessages.describe("P", "") + WireMessages.execute("") + WireMessages.sync)
            return try await client.until("Z").filter { !"NS".contains($0.kind) }.map(\.description)
        }

        /// What each step shows: on which server makes no difference.
        private func story(_ login: () async throws -> WireClient, _ key: Int64, change: String, back: String) async throws -> [String] {
            let (old, sql, other) = (try await login(), try await login(), try await login())
            var told: [String] = []
            for (name, text) in Self.texts {
                try await old.send(WireMessages.parse(name, text) + WireMessages.sync)
                told += try await old.until("Z").map(\.description)
                told += try await use(old, name, key)
                told += try await sql.query("PREPARE \(name) AS \(text)").map(\.description)
            }
            func everyone() async throws {
                for (name, text) in Self.texts {
                    for _ in 0..<2 {
                        told.append(name)
                        told += try await use(old, name, key)
                        told += try await sql.query("EXECUTE \(name)(\(key))").map(\.description)
                    }
                    let fresh = try await login()
                    try await fresh.send(WireMessages.parse(name, text) + WireMessages.describe("S", name) + WireMessages.sync)
                    told += try await fresh.until("Z").filter { !"NS".contains($0.kind) }.map(\.description)
                    told += try await use(fresh, name, key)
                    fresh.close()
                }
            }
            for statement in [change, back] {
                told += try await other.query(statement).filter { !"NS".contains($0.kind) }.map(\.description)
                try await everyone()
            }
            // Inside a transaction the error ends it.
            told += try await other.query(change).filter { !"NS".contains($0.kind) }.map(\.description)
            told += try await old.query("BEGIN").map(\.description)
            told += try await use(old, "all", key)
            told += try await use(old, "one", key)
            told += try await old.query("ROLLBACK").map(\.description)
            told += try await other.query(back).filter { !"NS".contains($0.kind) }.map(\.description)
            for client in [old, sql, other] { client.close() }
            return told
        }

        @Test(arguments: [
            ("ALTER TABLE kv ADD COLUMN extra int DEFAULT 7", "ALTER TABLE kv DROP COLUMN extra"),
            ("ALTER TABLE kv ALTER COLUMN v TYPE bigint", "ALTER TABLE kv ALTER COLUMN v TYPE int"),
            ("ALTER TABLE ref ADD COLUMN extra text", "ALTER TABLE ref DROP COLUMN extra"),
            ("ALTER TABLE kv RENAME COLUMN v TO w", "ALTER TABLE kv RENAME COLUMN w TO v"),
            ("CREATE INDEX kv_v ON kv (v)", "DROP INDEX kv_v"),
        ])
        func theErrorIsGivenToWhomPostgreSQLGivesIt(change: String, back: String) async throws {
            let key = try await cluster.key(on: 1)
            let name = "plain\(change.utf8.reduce(0) { ($0 * 31 + Int($1)) % 100_000 })"
            try await cluster.servers[1].createDatabase(name)
            for statement in FaultClusterTrait.statements + ["INSERT INTO kv VALUES (\(key), 1)"] {
                try await cluster.servers[1].psql(statement, database: name)
            }
            let first = try await cluster.login()
            #expect(try await first.failure("DELETE FROM kv WHERE k = \(key)") == nil)
            #expect(try await first.failure("INSERT INTO kv VALUES (\(key), 1)") == nil)
            first.close()
            let expected = try await story({ try await WireClient.login(port: cluster.servers[1].port, database: name, user: "postgres") }, key, change: change, back: back)
            let got = try await story({ try await cluster.login() }, key, change: change, back: back)
            for (index, pair) in zip(got, expected).enumerated() where pair.0 != pair.1 {
                Issue.record("\(index): \(got[max(0, index - 12)...index]) instead of \(expected[max(0, index - 12)...index])")
                break
            }
            #expect(got.count == expected.count)
            try await cluster.expectNoLeak()
        }

        /// A driver sends a number in the width that it was told, whatever the column is by now.
        @Test func theTypesOfParametersStayWhatTheyWere() async throws {
            let (client, other) = (try await cluster.login(), try await cluster.login())
            let key = try await cluster.keys(on: 2, from: 300)[0]
            try await client.send(WireMessages.parse("put", "INSERT INTO notes VALUES ($1, 'x')") + WireMessages.sync)
            _ = try await client.until("Z")
            #expect(try await other.failure("ALTER TABLE notes ALTER COLUMN id TYPE bigint") == nil)
            // An int4 in binary.
            let bind = [UInt8](message: "B", [0] + Array("put".utf8) + [0, 0, 1, 0, 1, 0, 1, 0, 0, 0, 4, 0, 0, UInt8(key >> 8 & 255), UInt8(key & 255), 0, 0])
            try await client.send(bind + WireMessages.execute("") + WireMessages.sync)
            #expect(try await client.until("Z").map(\.description) == ["2", "C(INSERT 0 1)", "Z(I)"])
            #expect(try await other.failure("ALTER TABLE notes ALTER COLUMN id TYPE int") == nil)
            client.close()
            other.close()
        }
    }
}

extension [UInt8] {
    /// A message of the protocol.
    fileprivate init(message kind: Character, _ body: [UInt8]) {
        let length = UInt32(body.count + 4)
        self = [kind.asciiValue!] + (0..<4).reversed().map { UInt8(length >> ($0 * 8) & 255) } + body
    }
}
