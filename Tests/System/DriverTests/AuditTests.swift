import ClusterTestKit
import ControlAPI
import Foundation
import Glibc
import PGWire
import PostgresProcess
import RESTTestKit
import ServerConfig
import ShardModel
import Testing

/// The router's trail: logins of the protocol, what users may not do, and statements that write.
@Suite struct AuditTests {
    private func withFolder(_ body: (String) async throws -> Void) async throws {
        let folder = NSTemporaryDirectory() + "pgmosaic-audit-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try await body(folder)
    }

    private func lines(_ path: String) -> [JSONValue] {
        String(decoding: FileManager.default.contents(atPath: path) ?? Data(), as: UTF8.self).split(separator: "\n").compactMap { try? JSONParser.parse(String($0)) }
    }

    private func shown(_ line: JSONValue) -> String {
        ["action", "outcome", "user", "code", "statement", "count"].compactMap { line[$0]?.stringValue ?? line[$0]?.integerValue.map(String.init) }.joined(separator: " ")
    }

    @Test func loginsAndWritesHaveALineWithoutAnyLiteral() async throws {
        try await withFolder { folder in
            let path = folder + "/audit.jsonl"
            try await TestCluster.withLogin(["kv": .sharded(key: "k")]) {
                $0.audit.path = path
                $0.audit.auditsWrites = true
            } _: { cluster in
                let dsn = Driver.dsn(port: cluster.wirePort)
                let wrong = dsn.replacing(Driver.password, with: "wrong-password-1")
                #expect(try await Psql.run(wrong, "SELECT 1").status == 2)
                let done = try await Psql.run(
                    dsn, "CREATE TABLE kv (k bigint PRIMARY KEY, v text)", "INSERT INTO kv VALUES (1, 'secret-1')", "SELECT v FROM kv WHERE k = 1",
                    "BEGIN; UPDATE kv SET v = 'secret-2' WHERE k = 1; UPDATE kv SET v = E'secret\\'3' WHERE k = 2 /* secret-4 */; COMMIT",
                    "PREPARE p(bigint) AS DELETE FROM kv WHERE k = $1 AND v = 'secret-5'; EXECUTE p(77)", "INSERT INTO kv VALUES (1, 'secret-6')")
                #expect(done.status == 1 && done.errors.contains("duplicate key"), "\(done.errors)")
                let body: JSONValue = ["query": "UPDATE kv SET v = 'secret-7' WHERE k = $1", "params": ["12345678"]]
                let rest = try await RawHTTP.send(
                    "POST", "/v1/execute", port: cluster.httpPort, headers: [("Content-Type", "application/json"), ("X-Request-Id", "request-9")], body: body.encoded())
                #expect(rest.status == 200, "\(rest.text)")
                try await eventually("the last line is written") { lines(path).contains { $0["request_id"]?.stringValue == "request-9" } }
                let found = lines(path)
                let logins = found.filter { $0["action"]?.stringValue == "login" }
                #expect(logins.contains { shown($0) == "login refused postgres 28P01" } && logins.contains { shown($0) == "login ok postgres" })
                #expect(logins.allSatisfy { $0["address"]?.stringValue == "127.0.0.1" && $0["object"]?.stringValue == "shop" })
                #expect(
                    found.filter { $0["action"]?.stringValue == "statement" }.map(shown) == [
                        "statement ok postgres CREATE TABLE kv (k bigint PRIMARY KEY, v text)", "statement ok postgres INSERT INTO kv VALUES (?, ?)",
                        "statement ok postgres UPDATE kv SET v = ? WHERE k = ? 2",
                        "statement ok postgres DELETE FROM kv WHERE k = $1 AND v = ?", "statement failed postgres 23505 INSERT INTO kv VALUES (?, ?)",
                        "statement ok rest UPDATE kv SET v = ? WHERE k = $1",
                    ], "\(found.map(shown))")
                let text = String(decoding: FileManager.default.contents(atPath: path) ?? Data(), as: UTF8.self)
                for secret in ["secret", "wrong-password-1", Driver.password, "12345678"] { #expect(!text.contains(secret), "\(secret)") }
            }
            let found = lines(path)
            #expect(found.last?["action"]?.stringValue == "audit.closed")
        }
    }

    @Test func aWritesLineNamesTheTraceOfItsCommentOrOfItsRequest() async throws {
        try await withFolder { folder in
            let path = folder + "/audit.jsonl"
            try await TestCluster.withLogin(["kv": .sharded(key: "k")]) {
                $0.audit.path = path
                $0.audit.auditsWrites = true
            } _: { cluster in
                let (wire, rest, step) = ("0af7651916cd43dd8448eb211c80319c", "4bf92f3577b34da6a3ce929d0e0e4736", "b7ad6b7169203331")
                let insert = "INSERT INTO kv VALUES (1, 'x')"
                let done = try await Psql.run(
                    Driver.dsn(port: cluster.wirePort), "CREATE TABLE kv (k bigint, v text)", insert, "\(insert) /*action='a',traceparent='00-\(wire)-\(step)-01'*/",
                    "\(insert) /*traceparent='00-\(wire)-0-01'*/", "/*traceparent='00-\(wire)-\(step)-00'*/ DELETE FROM kv WHERE k = 1 /* pgmosaic: shard_key=1 */")
                #expect(done.status == 0, "\(done.errors)")
                let headers = [("Content-Type", "application/json"), ("traceparent", "00-\(rest)-\(step)-01")]
                let body: JSONValue = ["query": .string("UPDATE kv SET v = 'y' WHERE k = $1 /*traceparent='00-\(wire)-\(step)-01'*/"), "params": ["1"]]
                let answer = try await RawHTTP.send("POST", "/v1/execute", port: cluster.httpPort, headers: headers, body: body.encoded())
                #expect(answer.status == 200 && answer.headers["traceparent"]?.contains(rest) == true, "\(answer.text)")
                try await eventually("the last line is written") { lines(path).contains { $0["statement"]?.stringValue?.hasPrefix("UPDATE") == true } }
                let traces = lines(path).filter { $0["action"]?.stringValue == "statement" }.map { $0["trace_id"]?.stringValue }
                #expect(traces == [nil, nil, wire, nil, wire, rest], "\(traces)")
            }
        }
    }

    @Test func manyRowsOfOneStatementAreOneLine() async throws {
        try await withFolder { folder in
            let path = folder + "/audit.jsonl"
            try await TestCluster.withLogin(["kv": .sharded(key: "k")]) {
                $0.audit.path = path
                $0.audit.auditsWrites = true
            } _: { cluster in
                let dsn = Driver.dsn(port: cluster.wirePort)
                _ = try await Psql.run(dsn, "CREATE TABLE kv (k bigint PRIMARY KEY, v text)")
                let rows = (1...300).map { "INSERT INTO kv VALUES (\($0), 'secret')" }.joined(separator: ";")
                #expect(try await Psql.run(dsn, rows).status == 0)
                try await eventually("the line is written") { lines(path).contains { $0["count"]?.integerValue == 300 } }
                #expect(lines(path).filter { $0["statement"]?.stringValue == "INSERT INTO kv VALUES (?, ?)" }.count == 1)
            }
        }
    }

    @Test(.enabled(if: geteuid() == 0, "mounting a small file system takes root"))
    func onAFullDiskLoginsAndWritesAreRefusedAndReadsGoOn() async throws {
        try await withFolder { folder in
            try #require(mount("none", folder, "tmpfs", 0, "size=512k") == 0)
            defer { umount2(folder, Int32(MNT_DETACH)) }
            try await TestCluster.withLogin(["kv": .sharded(key: "k")]) {
                $0.audit.path = folder + "/audit.jsonl"
                $0.audit.auditsWrites = true
            } _: { cluster in
                let dsn = Driver.dsn(port: cluster.wirePort)
                #expect(try await Psql.run(dsn, "CREATE TABLE kv (k bigint PRIMARY KEY, v text)", "INSERT INTO kv VALUES (0, 'old')").status == 0)
                let ballast = folder + "/ballast"
                try Data(count: 1).write(to: URL(fileURLWithPath: ballast))
                let file = try FileHandle(forWritingTo: URL(fileURLWithPath: ballast))
                while (try? file.write(contentsOf: Data(count: 4096))) != nil {}
                // What was let in while there was room finds some; then the first write is refused, in the open session.
                let writes = (1...800).map { "UPDATE kv SET v = 'new' WHERE k = \($0)" }
                let session = try await SupervisedProcess.run(try Psql.command(dsn, writes + ["SELECT v FROM kv WHERE k = 0"], ["VERBOSITY=verbose"]))
                #expect(session.errors.contains("53100") && session.output.hasSuffix("old\n"), "\(session.errors.prefix(300))")
                let refused = try await Psql.run(dsn, "SELECT 1")
                #expect(refused.status == 2 && refused.errors.contains("the audit trail cannot be written"), "\(refused.errors)")
                try file.truncate(atOffset: 0)
                try await eventually("there is room again") { try await Psql.run(dsn, "UPDATE kv SET v = 'new' WHERE k = 0").status == 0 }
            }
        }
    }
}
