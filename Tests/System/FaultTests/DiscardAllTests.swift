import ClusterTestKit
import PostgresProcess
import Testing

extension FaultTests {
    /// DISCARD ALL cannot run in a transaction block, nor in a transaction that earlier statements of its pipeline are in; it may stand behind the end of one.
    @Suite(.faultCluster(), .serialized)
    struct DiscardAllTests {
        private let cluster: TestCluster

        init() throws { cluster = try TestCluster.current }

        private func run(_ sql: String) -> [UInt8] { WireMessages.parse("", sql) + WireMessages.bind("", "") + WireMessages.execute("") }

        private func plain() async throws -> WireClient {
            try await cluster.servers[1].psql("DROP DATABASE IF EXISTS plain WITH (FORCE)", database: "postgres")
            try await cluster.servers[1].createDatabase("plain")
            for statement in FaultClusterTrait.statements { try await cluster.servers[1].psql(statement, database: "plain") }
            return try await WireClient.login(port: cluster.servers[1].port, database: "plain", user: "postgres")
        }

        /// What a client sees of a unit, without notices and reports.
        private func answers(_ client: WireClient, _ bytes: [UInt8]) async throws -> [String] {
            try await client.send(bytes)
            return try await client.until("Z").filter { !"NS".contains($0.kind) }.map(\.description)
        }

        /// Every pipeline of up to three statements with DISCARD ALL behind them, and one more statement behind that.
        @Test func itIsAnsweredAsByPostgreSQLBehindEveryShortPipeline() async throws {
            let key = try await cluster.key(on: 1)
            let statements = [
                "BEGIN", "COMMIT", "ROLLBACK", "SELECT v FROM kv WHERE k = \(key)", "SET work_mem = '6MB'", "DEALLOCATE ALL", "", "DISCARD ALL",
                "DELETE FROM kv WHERE k = \(key)",
            ]
            let (plain, router) = (try await plain(), try await cluster.login())
            var sequences: [[String]] = [[]]
            var next = sequences
            for _ in 1...3 {
                next = next.flatMap { sequence in statements.map { sequence + [$0] } }
                sequences += next
            }
            for sequence in sequences {
                let bytes = (sequence + ["DISCARD ALL", "SHOW work_mem"]).flatMap(run) + WireMessages.sync
                let expected = try await answers(plain, bytes)
                #expect(try await answers(router, bytes) == expected, "\(sequence)")
                // What of it stays is the same, too.
                let rest = try await answers(plain, WireMessages.query("ROLLBACK")) + answers(plain, WireMessages.query("SHOW work_mem"))
                #expect(try await answers(router, WireMessages.query("ROLLBACK")) + answers(router, WireMessages.query("SHOW work_mem")) == rest, "\(sequence)")
                for client in [plain, router] { _ = try await client.query("RESET work_mem") }
            }
            plain.close()
            router.close()
            try await cluster.expectNoLeak()
        }

        /// Portals are judged when they are executed, not when they are bound.
        @Test func aPortalIsJudgedWhenItIsExecuted() async throws {
            let (plain, router) = (try await plain(), try await cluster.login())
            let bound = WireMessages.parse("", "DISCARD ALL") + WireMessages.bind("p", "")
            for bytes in [
                bound + run("SELECT 1") + WireMessages.execute("p") + WireMessages.sync,
                run("SELECT 1") + bound + run("COMMIT") + run("SELECT 2") + WireMessages.sync,
                bound + WireMessages.describe("P", "p") + WireMessages.execute("p") + WireMessages.execute("p") + WireMessages.sync,
                WireMessages.parse("s", "SELECT count(*) FROM ref") + WireMessages.describe("S", "s") + bound + WireMessages.execute("p") + run("SELECT 1")
                    + WireMessages.sync,
                WireMessages.parse("s", "SELECT 1") + WireMessages.bind("q", "s") + bound + WireMessages.execute("p") + WireMessages.sync,
                // Without a Sync before it, a simple query is of the pipeline's transaction.
                run("SELECT 1") + WireMessages.query("DISCARD ALL"), run("COMMIT") + WireMessages.query("DISCARD ALL"),
                run("SELECT 1") + run("COMMIT") + WireMessages.query("DISCARD ALL"), run("SELECT 1") + WireMessages.query("VACUUM kv"),
                run("SELECT 1") + run("ROLLBACK") + WireMessages.query("VACUUM ref"),
            ] {
                #expect(try await answers(router, bytes) == answers(plain, bytes))
                for client in [plain, router] { _ = try await client.query("DEALLOCATE ALL") }
            }
            plain.close()
            router.close()
            try await cluster.expectNoLeak()
        }

        /// What the session kept in a server session ends with it, in the middle of a pipeline as well.
        @Test func whatTheSessionKeepsEndsInThePipeline() async throws {
            let client = try await cluster.login()
            #expect(try await client.failure("LISTEN news") == nil)
            try await client.send(run("BEGIN") + run("NOTIFY news") + run("COMMIT") + run("DISCARD ALL") + run("SELECT 1") + WireMessages.sync)
            let answers = try await client.until("Z").map(\.description)
            #expect(answers.suffix(6) == ["C(DISCARD ALL)", "1", "2", "D(1)", "C(SELECT 1)", "Z(I)"])
            #expect(try await client.rows("SHOW pgmosaic.session").first?[4] == "no")
            client.close()
            try await cluster.expectNoLeak()
        }
    }
}
