import ClusterTestKit
import Foundation
import PostgresProcess
import RESTTestKit
import ShardModel
import Synchronization
import Testing

extension FaultTests {
    /// SIGHUP to a router that serves.
    @Suite(.serialized) struct ReloadTests {
        /// Its settings and certificate lie in `folder`.
        private struct Setting: Sendable {
            let router: RouterProcess
            let folder: String

            func certificate(_ name: String) async throws {
                try await SupervisedProcess.runChecked(
                    .init(
                        "/usr/bin/openssl",
                        [
                            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=\(name)", "-keyout",
                            folder + "/\(name).key", "-out", folder + "/\(name).crt",
                        ]))
            }

            /// In the place where the settings have them.
            func use(_ name: String) throws {
                for ending in ["crt", "key"] {
                    let target = folder + "/router.\(ending)"
                    try? FileManager.default.removeItem(atPath: target)
                    try FileManager.default.copyItem(atPath: folder + "/\(name).\(ending)", toPath: target)
                }
            }

            func edit(_ old: String, _ new: String) throws {
                let file = folder + "/router.yaml"
                let text = try String(contentsOfFile: file, encoding: .utf8)
                try #require(text.contains(old))
                try text.replacingOccurrences(of: old, with: new).write(toFile: file, atomically: true, encoding: .utf8)
            }

            /// How often the log says so.
            func said(_ words: String) -> Int { router.log.components(separatedBy: words).count - 1 }

            func reload(_ expected: String = "Settings reloaded") async throws {
                let before = said(expected)
                router.signal(SIGHUP)
                try await eventually("the log says: \(expected)") { said(expected) > before }
            }

            /// How many statements sleep for so long on the shard; those of REST for ten minutes.
            func sleeping(_ seconds: Int = 600) async throws -> Int {
                let sql = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(\(seconds))%' AND state = 'active'"
                return Int(try await psql("", sql).output.trimmingCharacters(in: .whitespacesAndNewlines)) ?? -1
            }

            func psql(_ more: String, _ sql: String = "SELECT 1") async throws -> CommandResult {
                let dsn = "host=127.0.0.1 port=\(router.wirePort) dbname=shop user=test \(more)"
                return try await SupervisedProcess.run(
                    .init(try PostgresInstallation.find().path(of: "psql"), ["-X", "-A", "-t", "-c", sql, dsn], environment: ["PATH": "/usr/bin:/bin", "PGCONNECT_TIMEOUT": "120"]))
            }
        }

        private func withRouter(_ body: @Sendable (Setting) async throws -> Void) async throws {
            let options = TestCluster.Options(shards: 1)
            try await TestCluster.withShards(options) { folder, servers in
                let tls = "tls: {mode: allow, certificate_file: \"\(folder)/router.crt\", key_file: \"\(folder)/router.key\"}"
                let router = try await RouterProcess(folder, servers, options, settings: "loops: 2\n\(tls)\npool: {size_max: 4}\n")
                let setting = Setting(router: router, folder: folder)
                for name in ["first", "second"] { try await setting.certificate(name) }
                try setting.use("first")
                try await router.start()
                try await body(setting)
                await router.stop()
            }
        }

        @Test func aCertificateIsReplacedUnderLoadAndOpenConnectionsStay() async throws {
            try await withRouter { setting in
                let (first, second) = ("sslmode=verify-ca sslrootcert=\(setting.folder)/first.crt", "sslmode=verify-ca sslrootcert=\(setting.folder)/second.crt")
                #expect(try await setting.psql(first).status == 0)
                let isDone = Flag()
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for _ in 0..<3 {
                        group.addTask {
                            while !isDone.isSet {
                                let result = try await setting.psql("sslmode=require")
                                #expect(result.output == "1\n", "\(result.errors)")
                            }
                        }
                    }
                    // Open before the change, and at work after it.
                    group.addTask {
                        let result = try await setting.psql(first, "SELECT pg_sleep(4)")
                        #expect(result.status == 0, "\(result.errors)")
                    }
                    group.addTask {
                        defer { isDone.set() }
                        try await eventually("one is open and at work") { try await setting.sleeping(4) == 1 }
                        try setting.use("second")
                        try await setting.reload()
                        #expect(try await setting.psql(second).output == "1\n")
                        #expect(try await setting.psql(first).status == 2)
                        try await Task.sleep(for: .seconds(1))
                    }
                    try await group.waitForAll()
                }
            }
        }

        /// REST takes up TLS, a new certificate, and plain HTTP again, without a restart; and over HTTP/2 a statement ends with its stream.
        @Test func restIsSecuredAndServesHTTP2() async throws {
            try await withRouter { setting in
                try await TestCertificates.with { files in
                    let port = setting.router.httpPort
                    func curl(_ url: String, trusting name: String = "first") async throws -> String {
                        let result = try await SupervisedProcess.run(
                            .init(
                                "/usr/bin/curl",
                                [
                                    "-sS", "-m", "30", "--http2", "-o", "/dev/null", "-w", "%{http_version} %{http_code}", "--cacert", files.certificate(name),
                                    "\(url)localhost:\(port)/health",
                                ]), limit: .seconds(60))
                        return result.status == 0 ? result.output : "failed \(result.status)"
                    }
                    for name in ["first", "second"] { try await files.make(name) }
                    #expect(try await curl("http://") == "1.1 200")
                    let plain = "http: {port: \(port), auth: none}"
                    let secure = "http: {port: \(port), auth: none, tls_certificate_file: \"\(files.certificate("first"))\", tls_key_file: \"\(files.key("first"))\"}"
                    try setting.edit(plain, secure)
                    try await setting.reload()
                    #expect(try await curl("https://") == "2 200")
                    #expect(try await curl("http://").hasPrefix("failed"))

                    let connection = try await RawHTTP2.connect(port: port)
                    let statement = Array(#"{"database": "shop", "query": "SELECT pg_sleep(600)"}"#.utf8)
                    for stream: UInt32 in [1, 3] {
                        try await connection.request(stream, "POST", "/v1/execute", headers: [("content-type", "application/json")], body: statement)
                    }
                    try await eventually("both statements run") { try await setting.sleeping() == 2 }
                    try await connection.reset(1)
                    try await eventually("the one of the stream that was reset ends") { try await setting.sleeping() == 1 }
                    let quick = Array(#"{"database": "shop", "query": "SELECT 42 AS answer"}"#.utf8)
                    try await connection.request(5, "POST", "/v1/execute", headers: [("content-type", "application/json")], body: quick)
                    let answer = try await connection.answer(5)
                    #expect(String(decoding: answer, as: UTF8.self).contains("42"))
                    #expect(try await setting.sleeping() == 1)

                    // A new certificate in the same files, and one that does not fit.
                    try await files.make("first")
                    try await setting.reload()
                    #expect(try await curl("https://") == "2 200")
                    try setting.edit(files.certificate("first"), files.certificate("second"))
                    try await setting.reload("were not reloaded")
                    #expect(try await curl("https://") == "2 200")
                    try setting.edit(files.key("first"), files.key("second"))
                    try await setting.reload()
                    #expect(try await curl("https://") == "failed 60")
                    #expect(try await curl("https://", trusting: "second") == "2 200")
                    #expect(try await setting.sleeping() == 1)
                    await connection.close()
                    try await eventually("the other ends with its connection") { try await setting.sleeping() == 0 }
                }
            }
        }

        @Test func whatIsBrokenLeavesTheOldInForce() async throws {
            try await withRouter { setting in
                let good = "sslmode=verify-ca sslrootcert=\(setting.folder)/first.crt"
                // A key that belongs to another certificate, no key at all, and settings that do not go together.
                try FileManager.default.removeItem(atPath: setting.folder + "/router.key")
                try FileManager.default.copyItem(atPath: setting.folder + "/second.key", toPath: setting.folder + "/router.key")
                try await setting.reload("were not reloaded")
                #expect(try await setting.psql(good).output == "1\n")
                try "nonsense".write(toFile: setting.folder + "/router.crt", atomically: true, encoding: .utf8)
                try await setting.reload("were not reloaded")
                try setting.use("first")
                for (old, new) in [("size_max: 4", "size_max: none"), ("size_max: none", "size_min: 50, size_max: 4"), ("pool:", "poool:")] {
                    try setting.edit(old, new)
                    try await setting.reload("were not reloaded")
                    #expect(try await setting.psql(good).output == "1\n")
                }
            }
        }

        @Test func settingsChangeAndTheLogSaysWhich() async throws {
            try await withRouter { setting in
                let open = try await setting.router.login()
                try await open.query("BEGIN")
                try setting.edit("loops: 2", "loops: 3")
                try setting.edit("auth: trust}", "auth: trust, clients_max: 3, idle_transaction_timeout: 5s}")
                try setting.edit("size_max: 4", "size_max: 1")
                try await setting.reload()
                #expect(setting.said("pool.size_max: 4 -> 1") == 1 && setting.said("wire.clients_max: 10000 -> 3") == 1)
                #expect(setting.said("loops: 2 -> 3") == 1 && setting.said("next start only") == 1)
                // It was idle in its transaction before the limit was there, and is so from now on.
                #expect(try await open.untilEnd().first?.sqlState == "25P03")
                let first = try await setting.router.login()
                let clients = [first, try await setting.router.login(), try await setting.router.login()]
                let fourth = try WireClient(port: setting.router.wirePort)
                try await fourth.send(WireMessages.startup(["user": "test", "database": "shop"]))
                #expect(try await fourth.untilEnd().first?.sqlState == "53300")
                // One backend for all, in turn.
                for client in clients { try await client.send(WireMessages.query("SELECT pg_sleep(0.1)")) }
                for client in clients { #expect(try await client.until("Z").contains { $0.kind == "C" }) }
                let count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgmosaic'"
                // The one before it, of the other event loop, is listed a moment longer.
                try await eventually("there is one") { try await first.rows(count) == [["1"]] }
                for client in clients { client.close() }
            }
        }
    }
}

private final class Flag: Sendable {
    private let value = Atomic(false)
    func set() { value.store(true, ordering: .releasing) }
    var isSet: Bool { value.load(ordering: .acquiring) }
}
