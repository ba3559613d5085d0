import ClusterTestKit
import Foundation
import PostgresProcess
import ServerConfig
import TestKit
import Testing

extension FaultTests {
    /// COPY of several shards by Parse, Bind and Execute: message for message what a plain server answers.
    @Suite(.faultCluster(), .serialized)
    struct ExtendedCopyTests {
        private let cluster: TestCluster

        init() throws { cluster = try TestCluster.current }

        private func makePlain() async throws {
            let server = cluster.servers[1]
            try await server.psql("DROP DATABASE IF EXISTS plain WITH (FORCE)", database: "postgres")
            try await server.createDatabase("plain")
            for statement in FaultClusterTrait.statements { try await server.psql(statement, database: "plain") }
        }

        private func plain() async throws -> WireClient { try await WireClient.login(port: cluster.servers[1].port, database: "plain", user: "postgres") }

        private static func copy(_ sql: String, describe: Bool = true, portal: String = "") -> [UInt8] {
            WireMessages.parse("", sql) + WireMessages.bind(portal, "") + (describe ? WireMessages.describe("P", portal) : []) + WireMessages.execute(portal)
        }
        private static func run(_ sql: String) -> [UInt8] { WireMessages.parse("", sql) + WireMessages.bind("", "") + WireMessages.execute("") }
        private static let (sync, flush, done) = (WireMessages.sync, WireMessages.flush, WireMessages.copyDone)
        private static func data(_ text: String) -> [UInt8] { WireMessages.copyData(text) }

        private static let rows = (1...9).map { "\($0)\t\($0 * 10)\n" }.joined()

        /// What is sent at once, and how many ReadyForQuery end it; each begins with empty tables.
        private static let scripts: [(String, [UInt8], Int)] = [
            ("plain", copy("COPY kv FROM STDIN") + data(rows) + done + sync, 1),
            ("no rows", copy("COPY kv FROM STDIN") + done + sync, 1),
            ("a row over several messages", copy("COPY kv FROM STDIN") + data("1\t") + data("10\n2") + data("\t20\n") + done + sync, 1),
            ("reference table", copy("COPY ref FROM STDIN") + data("1\t1\n2\t2\n") + done + sync, 1),
            ("csv with a header", copy("COPY kv (v, k) FROM STDIN (FORMAT csv, HEADER)") + data("v,k\n1,2\n3,4\n") + done + sync, 1),
            ("without Describe", copy("COPY kv FROM STDIN", describe: false) + data(rows) + done + sync, 1),
            // libpq sends its Sync before it knows that it is a COPY, and another behind the data.
            ("Sync right behind Execute", copy("COPY kv FROM STDIN") + sync + data(rows) + done + sync, 1),
            ("Flush and Sync among the data", copy("COPY kv FROM STDIN") + flush + data(rows) + sync + flush + sync + data("10\t5\n") + done + sync, 1),
            ("CopyFail", copy("COPY kv FROM STDIN") + data(rows) + WireMessages.copyFail("enough") + sync, 1),
            ("a malformed row", copy("COPY kv FROM STDIN") + data("1\t10\nx\t20\n") + data(rows) + done + sync, 1),
            ("a malformed value", copy("COPY kv FROM STDIN") + data("1\t10\n2\ttwo\n") + done + sync, 1),
            ("too few columns", copy("COPY kv FROM STDIN") + data("1\n") + done + sync, 1),
            ("a repeated key", copy("COPY kv FROM STDIN") + data("1\t10\n1\t20\n") + done + sync, 1),
            ("a failed one, then a query", copy("COPY kv FROM STDIN") + data("1\tx\n") + done + run("SELECT 1") + sync + run("SELECT 2") + sync, 2),
            ("no such column", copy("COPY kv (k, nothing) FROM STDIN", describe: false) + sync + data(rows) + done + sync, 2),
            ("rows of the pipeline before it", run("INSERT INTO kv VALUES (100, 1)") + copy("COPY kv FROM STDIN") + data(rows) + done + run("SELECT v FROM kv WHERE k = 3") + sync, 1),
            ("undone with the pipeline", copy("COPY kv FROM STDIN") + data(rows) + done + run("SELECT 1 / 0") + run("SELECT 5") + sync, 1),
            ("undoes the pipeline", run("INSERT INTO kv VALUES (100, 1)") + copy("COPY kv FROM STDIN") + data("1\tx\n") + done + sync, 1),
            ("two of them", copy("COPY kv FROM STDIN") + data(rows) + done + copy("COPY ref FROM STDIN") + data("7\t7\n") + done + sync, 1),
            ("twice the same portal", copy("COPY kv FROM STDIN", portal: "p") + data(rows) + done + WireMessages.execute("p") + sync, 1),
            ("a parameter too many", WireMessages.parse("", "COPY kv FROM STDIN") + WireMessages.bind("", "", ["1"]) + WireMessages.execute("") + sync, 1),
            ("described as a statement", WireMessages.parse("c", "COPY kv FROM STDIN") + WireMessages.describe("S", "c") + sync + WireMessages.bind("", "c") + WireMessages.execute("") + data(rows) + done + sync, 2),
            ("committed", run("BEGIN") + copy("COPY kv FROM STDIN") + data(rows) + done + run("COMMIT") + sync, 1),
            ("rolled back", run("BEGIN") + sync + copy("COPY kv FROM STDIN") + data(rows) + done + sync + run("ROLLBACK") + sync, 3),
            ("failed in a block", run("BEGIN") + sync + copy("COPY kv FROM STDIN") + data("x\t1\n") + done + sync + run("SELECT 1") + sync + run("ROLLBACK") + sync, 4),
            ("behind a savepoint", run("BEGIN") + run("SAVEPOINT s") + sync + copy("COPY kv FROM STDIN") + data("x\t1\n") + done + sync + run("ROLLBACK TO s") + copy("COPY kv FROM STDIN") + data(rows) + done + run("COMMIT") + sync, 3),
            ("out", run("INSERT INTO kv VALUES (1, 10)") + copy("COPY kv TO STDOUT") + sync, 1),
            ("out of nothing", copy("COPY kv TO STDOUT") + sync, 1),
            ("out, with a Sync more", run("INSERT INTO kv VALUES (1, 10)") + copy("COPY kv TO STDOUT (FORMAT csv, HEADER)") + run("SELECT 1") + sync + sync, 2),
            ("in and out", copy("COPY kv FROM STDIN") + data("4\t40\n") + done + copy("COPY kv TO STDOUT") + sync, 1),
            ("out in a block", run("BEGIN") + copy("COPY kv TO STDOUT") + run("INSERT INTO kv VALUES (1, 10)") + copy("COPY kv TO STDOUT") + run("COMMIT") + sync, 1),
            ("out, then an error", copy("COPY kv TO STDOUT") + run("SELECT 1 / 0") + copy("COPY kv TO STDOUT") + sync, 1),
            ("in a failed block", run("BEGIN") + run("SELECT 1 / 0") + sync + copy("COPY kv FROM STDIN") + sync + copy("COPY kv TO STDOUT") + sync + run("ROLLBACK") + sync, 4),
            ("data that nobody asked for", data("1\t1\n") + done + run("SELECT 1") + sync, 1),
            ("a simple query behind it", copy("COPY kv FROM STDIN") + data(rows) + done + sync + WireMessages.query("SELECT v FROM kv WHERE k = 3"), 2),
        ]

        private func answers(_ client: WireClient, _ bytes: [UInt8], _ readies: Int) async throws -> [String] {
            try await client.send(bytes)
            var answers: [String] = []
            for _ in 0..<readies {
                answers += try await client.until("Z").filter { !"NS".contains($0.kind) }.map { message in
                    "GHd".contains(message.kind) ? "\(message.kind)\(message.body)" : message.description
                }
            }
            return answers
        }

        /// In pieces of one byte, too: no answer may depend on what has arrived.
        @Test(arguments: [Int.max, 1]) func everyScriptIsAnsweredAsByPostgreSQL(piece: Int) async throws {
            try await makePlain()
            for (name, bytes, readies) in Self.scripts {
                var (found, tables): ([[String]], [[[String?]]]) = ([], [])
                for client in [try await plain(), try await cluster.login()] {
                    if piece < bytes.count { try await trickle(client, bytes.dropLast(bytes.count / 4), piece) }
                    found.append(try await answers(client, piece < bytes.count ? Array(bytes.suffix(bytes.count / 4)) : bytes, readies))
                    tables.append(
                        [try await client.query("COPY kv TO STDOUT"), try await client.query("COPY ref TO STDOUT")].map { answer in
                            answer.filter { $0.kind == "d" }.map { String(decoding: $0.body, as: UTF8.self) }.sorted()
                        })
                    _ = try await client.query("ROLLBACK")
                    for table in ["kv", "ref"] { #expect(try await client.failure("TRUNCATE \(table)") == nil) }
                    client.close()
                }
                #expect(found[1] == found[0], "\(name)")
                #expect(tables[1] == tables[0], "\(name)")
            }
            try await cluster.settled()
            try await cluster.expectNoLeak()
        }

        private func trickle(_ client: WireClient, _ bytes: ArraySlice<UInt8>, _ piece: Int) async throws {
            var rest = bytes
            while !rest.isEmpty {
                try await client.send(Array(rest.prefix(piece)))
                rest = rest.dropFirst(piece)
            }
        }

        /// As most drivers do it: the data follow when the server has asked for them.
        @Test func aClientThatWaitsForEachAnswerIsServed() async throws {
            let client = try await cluster.login()
            try await client.send(WireMessages.parse("", "COPY kv FROM STDIN") + WireMessages.describe("S", "") + Self.sync)
            #expect(try await client.until("Z").map(\.kind).filter { $0 != "S" } == ["1", "t", "n", "Z"])
            try await client.send(WireMessages.bind("", "") + WireMessages.execute("") + Self.sync)
            #expect(try await client.until("G").map(\.kind) == ["2", "G"])
            for row in 200..<260 { try await client.send(Self.data("\(row)\t1\n")) }
            try await client.send(Self.done + Self.sync)
            #expect(try await client.until("Z").map(\.description) == ["C(COPY 60)", "Z(I)"])
            // Another message ends the connection, as in PostgreSQL.
            try await client.send(WireMessages.bind("", "") + WireMessages.execute("") + WireMessages.query("SELECT 1"))
            #expect(try await client.untilEnd().last?.field("V") == "FATAL")
            client.close()
            // An error that comes while it sends: its Sync ends it, with no CopyDone.
            let other = try await cluster.login()
            try await other.send(Self.copy("COPY kv FROM STDIN") + Self.flush)
            _ = try await other.until("G")
            try await other.send(Self.data("300\t1\nx\t1\n"))
            #expect(try await other.until("E").last?.sqlState == "22P02")
            try await other.send(Self.data("301\t1\n") + Self.sync)
            #expect(try await other.until("Z").map(\.description) == ["Z(I)"])
            #expect(try await other.rows("SELECT count(*) FROM kv WHERE k = 300") == [["0"]])
            other.close()
            try await cluster.expectNoLeak()
        }

        /// The client's Sync may be there before the shards have answered the CopyFail that follows an error.
        @Test func aSyncRightBehindBadDataIsAnswered() async throws {
            let client = try await cluster.login()
            for _ in 0..<20 {
                try await client.send(Self.copy("COPY kv FROM STDIN") + Self.data("x\t1\n") + Self.sync + Self.run("SELECT 7") + Self.sync)
                #expect(try await client.until("Z").last { $0.kind == "E" }?.sqlState == "22P02")
                #expect(try await client.until("Z").map(\.description) == ["1", "2", "D(7)", "C(SELECT 1)", "Z(I)"])
            }
            client.close()
            try await cluster.expectNoLeak()
        }

        @Test func aClientThatIsGoneLeavesNothing() async throws {
            let client = try await cluster.login()
            try await client.send(Self.copy("COPY kv FROM STDIN") + Self.flush + Self.data("500\t1\n501\t1\n502\t1\n"))
            _ = try await client.until("G")
            client.close()
            try await cluster.expectNoLeak()
            let other = try await cluster.login()
            for key in 500...502 { #expect(try await other.rows("SELECT count(*) FROM kv WHERE k = \(key)") == [["0"]]) }
            other.close()
        }
    }
}
