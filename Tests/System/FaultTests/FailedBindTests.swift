import ClusterTestKit
import PostgresProcess
import Testing

extension FaultTests {
    /// PostgreSQL makes a portal before it reads its parameters and plans: behind most Binds that fail, the name is taken until the transaction ends or
    /// goes back to a savepoint.
    @Suite(.faultCluster(), .serialized)
    struct FailedBindTests {
        private let cluster: TestCluster

        init() throws { cluster = try TestCluster.current }

        /// A Bind of portal `p` that fails.
        struct Failing: CustomStringConvertible {
            let description: String
            let sql: String
            var parameters: [[UInt8]] = []
            var parameterFormats: [UInt8] = []
            var resultFormats: [UInt8] = []

            func message(statement: String = "failing") -> [UInt8] {
                var body = Array("p\0\(statement)\0".utf8) + Self.formats(parameterFormats) + [0, UInt8(parameters.count)]
                for parameter in parameters { body += WireMessages.integer(Int32(parameter.count)) + parameter }
                return WireMessages.message("B", body + Self.formats(resultFormats))
            }

            private static func formats(_ codes: [UInt8]) -> [UInt8] { [0, UInt8(codes.count)] + codes.flatMap { [0, $0] } }
        }

        static let failing = [
            Failing(description: "planning", sql: "SELECT 1/0"),
            Failing(description: "planning with a parameter", sql: "SELECT 1/($1::int)", parameters: [Array("0".utf8)]),
            Failing(description: "no parameter", sql: "SELECT $1::int"),
            Failing(description: "too many parameters", sql: "SELECT $1::int", parameters: [[0x31], [0x31]]),
            Failing(description: "too many formats", sql: "SELECT $1::int", parameters: [[0x31]], parameterFormats: [0, 0]),
            Failing(description: "bad text", sql: "SELECT $1::int", parameters: [[0x78]]),
            Failing(description: "binary that is cut off", sql: "SELECT $1::int", parameters: [[0, 0, 1]], parameterFormats: [1]),
            Failing(description: "binary that goes on", sql: "SELECT $1::int", parameters: [[0, 0, 0, 1, 0]], parameterFormats: [1]),
            Failing(description: "bytes that are no text", sql: "SELECT $1::text", parameters: [[0xFF]]),
            Failing(description: "too many result formats", sql: "SELECT 1, 2", resultFormats: [0, 0, 0]),
            Failing(description: "bad text of a key", sql: "SELECT v FROM kv WHERE k = $1", parameters: [[0x78]]),
        ]

        /// The statement is known to both before. Then, in a block: the Bind, the name again in the failed transaction, and behind a savepoint.
        private func answers(_ client: WireClient, _ failing: Failing) async throws -> [String] {
            func ask(_ bytes: [UInt8]) async throws -> [String] {
                try await client.send(bytes)
                return try await client.until("Z").filter { !"NS".contains($0.kind) }.map(\.description)
            }
            let end = WireMessages.parse("end", "ROLLBACK") + WireMessages.parse("back", "ROLLBACK TO s") + WireMessages.parse("one", "SELECT 1")
            var answers = try await ask(WireMessages.parse("failing", failing.sql) + end + WireMessages.sync)
            answers += try await ask(WireMessages.query("BEGIN"))
            answers += try await ask(failing.message() + WireMessages.sync)
            answers += try await ask(WireMessages.bind("p", "end") + WireMessages.sync)
            // Another name is free.
            answers += try await ask(WireMessages.bind("q", "end") + WireMessages.execute("q") + WireMessages.sync)
            for first in ["p", "q"] {
                answers += try await ask(WireMessages.query("BEGIN"))
                answers += try await ask(WireMessages.bind(first, "one") + WireMessages.sync)
                answers += try await ask(WireMessages.query("SAVEPOINT s"))
                // What stands behind it has not been.
                answers += try await ask(failing.message() + WireMessages.bind("r", "one") + WireMessages.sync)
                answers += try await ask(WireMessages.bind("r", "back") + WireMessages.execute("r") + WireMessages.sync)
                answers += try await ask(WireMessages.bind("p", "one") + WireMessages.execute("p") + WireMessages.sync)
                answers += try await ask(WireMessages.query("ROLLBACK"))
            }
            return answers
        }

        @Test(arguments: failing)
        func theNameOfAFailedPortalIsTakenAsInPostgreSQL(failing: Failing) async throws {
            let server = cluster.servers[1]
            try await server.psql("DROP DATABASE IF EXISTS plain WITH (FORCE)", database: "postgres")
            try await server.createDatabase("plain")
            for statement in FaultClusterTrait.statements { try await server.psql(statement, database: "plain") }
            let plain = try await WireClient.login(port: server.port, database: "plain", user: "postgres")
            let router = try await cluster.login()
            let expected = try await answers(plain, failing)
            #expect(try await answers(router, failing) == expected)
            plain.close()
            router.close()
            try await cluster.expectNoLeak()
        }

        /// In one pipeline inside the block, behind a statement that succeeds and one that fails.
        @Test(arguments: failing)
        func aBindBehindAnErrorHasNotBeen(failing: Failing) async throws {
            let client = try await cluster.login()
            try await client.send(WireMessages.parse("failing", failing.sql) + WireMessages.parse("end", "ROLLBACK") + WireMessages.sync)
            _ = try await client.until("Z")
            #expect(try await client.failure("BEGIN") == nil)
            func run(_ sql: String) -> [UInt8] { WireMessages.parse("", sql) + WireMessages.bind("", "") + WireMessages.execute("") }
            try await client.send(run("SELECT 1") + run("SELECT 1 / 0") + failing.message() + WireMessages.sync)
            #expect(try await client.until("Z").last?.description == "Z(E)")
            try await client.send(WireMessages.bind("p", "end") + WireMessages.execute("p") + WireMessages.sync)
            #expect(try await client.until("Z").map(\.description) == ["2", "C(ROLLBACK)", "Z(I)"])
            client.close()
            try await cluster.expectNoLeak()
        }
    }
}
