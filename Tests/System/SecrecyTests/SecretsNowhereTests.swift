import CatalogStore
import ClusterTestKit
import ControlAPI
import Foundation
import PGChannel
import PostgresProcess
import RESTTestKit
import ShardModel
import Testing

/// Invariant 6: no password, key or row's value in what a cluster logs, answers, measures, prints or shows of its processes.
@Suite struct SecretsNowhereTests {
    @Test func noSecretIsInAnythingThatAClusterLeaves() async throws {
        try await SecretCluster.with { cluster in
            try await cluster.start("manager")
            try await cluster.login()
            try await cluster.build()
            try await cluster.start("router")
            try await cluster.useTables()
            try await cluster.askForEverything()
            try cluster.lookAtProcesses()
            try await cluster.getThingsWrong()
            try await cluster.reloadBadSettings()
            try await cluster.failToStart()
            try await cluster.crashAndStartWithAnotherKey()
            try await cluster.askForEverything()
            try cluster.lookAtProcesses()
            try await cluster.runEveryCommand()
            try await cluster.collect()
            let sizes = cluster.evidence.sizes
            for place in [Place.log, .audit, .metrics, .http, .command, .process, .snapshot, .export, .store, .shard, .postgresLog] {
                #expect(sizes[place, default: 0] > 100, "nothing was collected of \(place)")
            }
            #expect(cluster.log("manager").contains("\"level\":\"debug\"") && cluster.log("router").contains("\"level\":\"debug\""))
            for finding in cluster.evidence.findings(cluster.secrets) { Issue.record("\(finding)") }
            // The search does find: what the store holds of the verifiers, in the very evidence that was searched.
            cluster.evidence.add(.log, "a canary", "x\(cluster.passwords.shard.encoded)y")
            #expect(cluster.evidence.findings([cluster.passwords.shard.secret]).count == 1)
        }
    }
}

extension SecretCluster {
    /// `more`: ":PASSWORD" behind the user, or "?…" at the end.
    private func url(_ server: PostgresServer, _ more: String = "", user: String = "postgres") -> String {
        let (password, query) = more.hasPrefix("?") ? ("", more) : (more, "")
        return "postgres://\(user)\(password)@127.0.0.1:\(server.port)/\(Self.database)\(query)"
    }

    /// A database, a shard by command and one by reference, a replica, a user, tables.
    func build() async throws {
        func done(_ words: String..., input: String = "", sourceLocation: SourceLocation = #_sourceLocation) async throws {
            let result = try await pgmosaic(words, input: input)
            try #require(result.status == 0, "\(words): \(result.errors)", sourceLocation: sourceLocation)
        }
        try await done("login", "ada", "--password-file", "ada.pw")
        try await done("databases", "create", Self.database, "--vnode-count", "16")
        try await done(
            "shards", "add", "s1", "--database", Self.database, "--endpoint", url(shards[0]), "--password-stdin", input: passwords.shard.text + "\n")
        try await done("shards", "add", "s2", "--database", Self.database, "--endpoint", url(shards[1], "?password=env:SHARD_PASSWORD"))
        let shard = try await send("GET", "/api/v1/shards/s1", to: managerPort)
        let body: JSONValue = [
            "replicas": [.string(url(replica, ":" + passwords.reader.encoded, user: "reader"))], "version": try #require(shard.json?["version"]),
        ]
        #expect(try await send("PUT", "/api/v1/shards/s1/replicas", body, to: managerPort).status == 200)
        try await done("users", "add", "bob", "--grant", "shop:write", "--password-file", "bob.pw")
        try await done("tables", "declare", "kv", "--database", Self.database, "--sharded-by", "k")
    }

    /// Statements that hold a row's value in every way, right and wrong, on the wire and over REST.
    func useTables() async throws {
        let value = passwords.row
        try await eventually("the router takes bob") { await (try self.client("bob", self.passwords.bob)).close(); return true }
        let client = try await client("bob", passwords.bob)
        try await client.execute("CREATE TABLE kv (k bigint PRIMARY KEY, v text)")
        for key in 1...20 { try await client.execute("INSERT INTO kv VALUES (\(key), '\(value)-\(key)')") }
        _ = try await client.query("SELECT v FROM kv WHERE k = 3 AND v = $1", [.text("\(value)-3")])
        for wrong in [
            "INSERT INTO kv VALUES (1, '\(value)')", "SELECT '\(value)'::int", "SELECT '\(value)", "SELECT v FROM kv WHERE v = '\(value)'", "DO '\(value)'",
            "INSERT INTO kv (k, v, w) VALUES (1, '\(value)', 2)", "SET statement_timeout = '\(value)'", "SELECT v::int FROM kv WHERE k = 3", "VACUUM '\(value)'",
            "ALTER ROLE postgres PASSWORD '\(value)'", "BEGIN; INSERT INTO kv VALUES (1, '\(value)'); COMMIT",
        ] { _ = try? await client.execute(wrong) }
        await client.close()
        for (query, parameters) in [
            ("SELECT v FROM kv WHERE k = $1", ["3"]), ("UPDATE kv SET v = $2 WHERE k = $1", ["4", value]), ("SELECT $1::int", [value]),
            ("INSERT INTO kv VALUES ($1, $2)", ["1", "\(value)-5"]), ("SELECT '\(value)", []), ("SELECT v FROM kv WHERE v = $1", [value]),
        ] as [(String, [String])] {
            let body: JSONValue = ["query": .string(query), "params": .array(parameters.map { .string($0) })]
            try await send("POST", "/v1/execute", body, to: routerPort)
        }
        try await pgmosaic(["query", "SELECT k FROM kv WHERE k = $1", "--param", "5"])
    }

    // MARK: reading

    /// Every operation that reads, as the administrator, and every report of the console.
    func askForEverything() async throws {
        try await login()
        for (routes, port) in [(RouteCatalogue.manager, managerPort), (RouteCatalogue.router, routerPort)] {
            for route in routes where route.method == .get {
                let paths = ["s1", "s2", "shop", "ada", "bob"].map { name in route.path.replacing(/\{[a-z]+\}/, with: name) }
                for path in Set(paths) {
                    try await send("GET", path + (path.hasSuffix("/shard-for-key") ? "?key=3&database=shop" : ""), to: port, as: path == "/metrics" ? .metrics : .http)
                }
            }
        }
        let console = try await client("ada", passwords.ada, database: "pgmosaic")
        for report in ["HELP", "VERSION", "DATABASES", "POOLS", "SHARDS", "CLIENTS", "SERVERS", "TRANSACTIONS", "PREPARED", "STATS", "LISTS"] {
            let result = try await console.query("SHOW \(report)")
            evidence.add(.command, "SHOW \(report)", result.rows.map { row in (0..<result.columns.count).map { row.text($0) ?? "" }.joined(separator: " ") }.joined(separator: "\n"))
        }
        try await console.execute("RELOAD")
        await console.close()
    }

    func runEveryCommand() async throws {
        let location = "postgres://postgres@127.0.0.1:\(catalog.port)/catalog?password=env:CATALOG_PASSWORD"
        let key = folder + "/secrets.key"
        for words in [
            ["databases"], ["databases", "show", "shop"], ["shards"], ["shards", "show", "s1"], ["shards", "health"], ["shards", "stats", "s1"], ["shards", "replicas", "s1"],
            ["shards", "status", "s1", "active"], ["tables", "list"], ["users"], ["users", "show", "bob"], ["users", "change", "bob", "--password-file", "wrong.pw"],
            ["users", "change", "bob", "--password-file", "bob.pw"], ["users", "revoke", "bob"], ["routers"], ["managers"], ["catalog"], ["audit"], ["audit", "show"],
            ["audit", "verify", folder + "/manager-audit.jsonl", "--key-file", folder + "/audit.key"], ["route", "SELECT v FROM kv WHERE k = 3"],
            ["query", "SELECT k FROM kv WHERE k = 3"], ["catalog", "history", "--from", location], ["catalog", "export", "--from", location, "--file", "export.json"],
            ["catalog", "import", "export.json", "--check"], ["catalog", "copy", "--from", location, "--to", "sqlite:\(folder)/none/copy.sqlite"],
            ["catalog", "rekey", "--from", location, "--old-key", key, "--new-key", "other.key", "--check"],
            ["catalog", "recover", "--secrets-key-file", key, "--shard", url(shards[1], "?password=env:SHARD_PASSWORD")],
            ["catalog", "recover", "--secrets-key-file", key, "--snapshot", "router.snapshot", "--allow-missing", "--allow-older"],
            ["login", "ada", "--password-file", "wrong.pw"], ["login", "bob", "--password-file", "bob.pw"], ["version"],
        ] {
            try await pgmosaic(words)
            if words[0] == "databases" || words[0] == "shards" || words[0] == "users" { try await pgmosaic(words + ["--json"]) }
        }
        try await pgmosaic(["login", "ada", "--password-file", "ada.pw"])
        let refused = try await pgmosaic(
            ["shards", "add", "s9", "--database", "shop", "--endpoint", url(shards[0]), "--password-file", "wrong.pw"])
        #expect(refused.status == 1)
        try await pgmosaic(["shards", "replicas", "s1", "--add", url(replica), "--password-file", "wrong.pw"])
        try await pgmosaic(["logout"])
    }

    // MARK: wrong things

    func getThingsWrong() async throws {
        let json = [("Content-Type", "application/json")]
        for endpoint in badEndpoints(port: shards[0].port) {
            let body: JSONValue = ["id": "s9", "database": "shop", "primary_endpoint": .string(endpoint)]
            #expect(try await send("POST", "/api/v1/shards", body, to: managerPort).status >= 400, "an endpoint was taken")
            try await send("PUT", "/api/v1/shards/s1/replicas", ["replicas": [.string(endpoint)], "version": 1], to: managerPort)
            let version = try #require(try await send("GET", "/api/v1/shards/s1", to: managerPort).json?["version"])
            try await send("PUT", "/api/v1/shards/s1/replicas", ["replicas": [.string(endpoint)], "version": version], to: managerPort)
            try await pgmosaic(["catalog", "recover", "--shard", endpoint], environment: ["LC_ALL": "C"])
        }
        for body in badBodies {
            for route in RouteCatalogue.manager where route.method != .get {
                try await send(route.method.rawValue, route.path.replacing(/\{[a-z]+\}/, with: "nobody"), Array(body.utf8), to: managerPort)
            }
            for path in ["/v1/execute", "/v1/batch"] { try await send("POST", path, Array(body.utf8), to: routerPort) }
        }
        let basic = Data("ada:\(passwords.wrong.text)".utf8).base64EncodedString()
        for header in ["Basic \(basic)", "Bearer \(passwords.wrong.encoded)", "Bearer a.b.\(passwords.wrong.encoded)", passwords.wrong.encoded] {
            for port in [managerPort, routerPort] {
                try await send("GET", "/metrics?password=\(passwords.wrong.encoded)", to: port, headers: [("Authorization", header)] + json)
                try await send("GET", "/api/v1/users", to: port, headers: [("Authorization", header), ("X-Request-Id", passwords.wrong.encoded)])
            }
        }
        for user in ["ada", "bob", "nobody"] {
            for database in ["shop", "pgmosaic", "none"] {
                do {
                    await (try client(user, passwords.wrong, database: database)).close()
                    Issue.record("a wrong password was taken")
                } catch { evidence.add(.command, "login as \(user)", "\(error)") }
            }
        }
        // Some of it was about users: everything is as it was.
        try await eventually("the router takes ada", within: .seconds(60)) { await (try self.client("ada", self.passwords.ada)).close(); return true }
    }

    func reloadBadSettings() async throws {
        for name in ["manager", "router"] {
            let refused = badSettings.filter { ["an open quote", "a stray bracket"].contains($0.name) }
            for (index, bad) in refused.enumerated() {
                try write(bad.yaml, to: "\(name).yaml")
                signal(name, SIGHUP)
                try await eventually("\(name) refuses \(bad.name)") { self.log(name).components(separatedBy: "not reloaded").count > index + 1 }
            }
        }
        try configure()
        // What is only wrong at the next start is told of as a change.
        let text = try String(contentsOfFile: folder + "/router.yaml", encoding: .utf8)
        let secret = JSONValue.string(passwords.setting.text).text
        for line in ["catalog: \(JSONValue.string("postgres://app:\(passwords.setting.text)@127.0.0.1/catalog").text)", "catalog: \(secret)", "auth: {secret: \(secret)}"] {
            let lines = text.split(separator: "\n").filter { $0.prefix { $0 != ":" } != line.prefix { $0 != ":" } }.map(String.init) + [line]
            try write(lines.joined(separator: "\n") + "\n", to: "router.yaml")
            let before = log("router").components(separatedBy: "take effect at the next start only").count
            signal("router", SIGHUP)
            try await eventually("the router tells of it") { self.log("router").components(separatedBy: "take effect at the next start only").count > before }
        }
        try configure()
    }

    func failToStart() async throws {
        try write("pgmosaic-key-1 \(passwords.setting.text)\n", to: "no.key")
        for role in ["manager", "router"] {
            for (name, yaml) in badSettings {
                try write(yaml, to: "bad.yaml")
                let result = try await pgmosaic([role, "--config", "bad.yaml"], environment: ["ETCD_TIMEOUT": "1"])
                #expect(result.status == 78 || result.status == 1, "\(role), \(name): \(result.errors)")
            }
            let url = "postgres://app:\(passwords.setting.encoded)@127.0.0.1:1/catalog"
            let variable = "PGMOSAIC_\(role.uppercased())_CATALOG"
            #expect(try await pgmosaic([role], environment: [variable: url]).status != 0)
            #expect(try await pgmosaic([role, "--catalog", url]).errors.contains("warning: a URL on the command line"))
            #expect(try await pgmosaic([role, "--catalog=\(passwords.setting.text)"]).status == 78)
        }
        let administrator = ["PGMOSAIC_ADMIN_PASSWORD": passwords.setting.text]
        #expect(try await pgmosaic(["manager", "--catalog", "sqlite:\(folder)/unused.sqlite"], environment: administrator).status == 78)
    }

    /// As after a power failure, with keys that open nothing, and with the right ones again.
    func crashAndStartWithAnotherKey() async throws {
        await endAll()
        #expect(try await pgmosaic(["catalog", "make-key", "other.key"]).status == 0)
        try configure(keyFile: "other.key")
        for name in ["manager", "router"] { try await start(name) }
        try await eventually("the manager says what is wrong") { self.log("manager").contains("Sealed passwords do not open") }
        try await login()
        for path in ["/api/v1/shards/s1", "/api/v1/shards/s1/health", "/api/v1/shards/s1/stats"] { try await send("GET", path, to: managerPort) }
        if let client = try? await client("bob", passwords.bob) {
            _ = try? await client.query("SELECT v FROM kv WHERE k = 3")
            await client.close()
        }
        await endAll()
        try configure()
        for name in ["manager", "router"] { try await start(name) }
    }

    // MARK: what is left

    func collect() async throws {
        for name in ["manager", "router"] { await end(name, SIGTERM) }
        for name in ["manager", "router"] { try evidence.add(.log, file: "\(folder)/\(name).log") }
        for name in try FileManager.default.contentsOfDirectory(atPath: folder) where name.contains("-audit") { try evidence.add(.audit, file: "\(folder)/\(name)") }
        try evidence.add(.snapshot, file: folder + "/router.snapshot")
        let export = folder + "/export.json"
        try evidence.add(.export, file: export)
        try learnFromKeys(and: try JSONDecoder().decode(CatalogExport.self, from: Data(contentsOf: URL(fileURLWithPath: export))))
        try await dump(catalog, "catalog", .store, [])
        for shard in shards { try await dump(shard, Self.database, .shard, ["--schema=pgmosaic"]) }
        for server in shards + [replica, catalog] { try evidence.add(.postgresLog, file: server.options.logFile) }
    }

    /// What the program made or keeps itself: keys, verifiers, sealed passwords.
    private func learnFromKeys(and export: CatalogExport) throws {
        for name in ["secrets.key", "audit.key", "other.key"] {
            let text = try String(contentsOfFile: "\(folder)/\(name)", encoding: .utf8).split(separator: " ").last?.trimmingCharacters(in: .newlines) ?? ""
            let padded = text.replacing("-", with: "+").replacing("_", with: "/") + "="
            learn(Secret(name, parts: [Array(try #require(Data(base64Encoded: padded)))]))
        }
        for user in export.users {
            let keys = try #require(user.verifier.split(separator: "$").last).split(separator: ":").map { Array($0.utf8) }
            learn(Secret("the verifier of \(user.name)", allowed: [.snapshot, .export, .store], parts: keys))
        }
        let sealed = export.shards.flatMap { [$0.primaryEndpoint] + $0.replicas }.compactMap { endpoint in
            endpoint.range(of: "sealed:").map { String(endpoint[$0.upperBound...].prefix { $0 != "&" }) }
        }
        #expect(sealed.count == 2, "the password of s1 and of its replica")
        for text in sealed { learn(Secret("a sealed password", allowed: [.snapshot, .export, .store], text: text)) }
    }

    private func dump(_ server: PostgresServer, _ database: String, _ place: Place, _ words: [String]) async throws {
        let command = SupervisedProcess.Command(
            server.installation.path(of: "pg_dump"),
            ["-h", "127.0.0.1", "-p", String(server.port), "-U", "postgres", "-w", "-d", database] + words,
            environment: ["PATH": "/usr/bin:/bin", "PGPASSWORD": server.options.password ?? ""])
        evidence.add(place, "pg_dump of \(database)", try await SupervisedProcess.runChecked(command).output)
    }
}
