import ClusterTestKit
import ControlAPI
import Foundation
import NIOPosix
import PGChannel
import PostgresProcess
import RESTTestKit
import Synchronization
import Testing

/// A manager and a router, each a process of its own at log level `trace`, over two shards, a replica and a catalog on a PostgreSQL server: all with passwords
/// that are known, and of all that they leave a copy.
final class SecretCluster: Sendable {
    static let database = "shop"

    let folder: String
    let evidence = Evidence()
    let passwords: Passwords
    let shards: [PostgresServer]
    let replica: PostgresServer
    let catalog: PostgresServer
    let managerPort: Int
    let routerPort: Int
    let wirePort: Int
    private let processes = Mutex<[String: SupervisedProcess]>([:])
    private let learned = Mutex<[Secret]>([])
    private let token = Mutex<String?>(nil)

    /// One for each thing that has one. Joints are what each can hold: a URL's is encoded, a file's line ends at a line end.
    struct Passwords: Sendable {
        let shard = Password("the password of shards")
        let reader = Password("the password of the replica")
        let catalog = Password("the password of the catalog store")
        let ada = Password("the password of ada")
        let bob = Password("the password of bob")
        let token = Password("auth.secret", joint: "-")
        /// What somebody got wrong.
        let wrong = Password("a wrong password")
        /// What stands in settings that are no good.
        let setting = Password("a password in bad settings")
        let row = Password.word(24)

        var secrets: [Secret] {
            [shard, reader, catalog, ada, bob, token, wrong, setting].map(\.secret)
                + [Secret("a row's value", allowed: [.http, .command, .postgresLog], text: row)]
        }
    }

    static let program: String = {
        let bundle = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments[0]
        return (bundle as NSString).deletingLastPathComponent + "/pgmosaic"
    }()

    init(_ folder: String, _ shards: [PostgresServer], _ replica: PostgresServer, _ catalog: PostgresServer, _ passwords: Passwords) throws {
        (self.folder, self.shards, self.replica, self.catalog, self.passwords) = (folder, shards, replica, catalog, passwords)
        (managerPort, routerPort, wirePort) = (try LoopbackPort.free(), try LoopbackPort.free(), try LoopbackPort.free())
        try FileManager.default.createDirectory(atPath: folder + "/home", withIntermediateDirectories: true)
        for (name, text) in [("ada", passwords.ada), ("bob", passwords.bob), ("wrong", passwords.wrong), ("shard", passwords.shard), ("token", passwords.token)] {
            try write(text.text + "\n", to: "\(name).pw")
        }
        try configure()
    }

    var secrets: [Secret] { passwords.secrets + learned.withLock { $0 } }
    func learn(_ secret: Secret) { learned.withLock { $0.append(secret) } }

    // MARK: settings

    func write(_ text: String, to name: String) throws {
        try Data(text.utf8).write(to: URL(fileURLWithPath: "\(folder)/\(name)"))
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: "\(folder)/\(name)")
    }

    func configure(keyFile: String = "secrets.key") throws {
        func common(_ name: String, _ catalog: String) -> String {
            """
            id: "\(name)"
            catalog: "\(catalog)"
            secrets: {key_file: "\(folder)/\(keyFile)"}
            auth: {secret: "file:\(folder)/token.pw"}
            audit: {path: "\(folder)/\(name)-audit.jsonl", key_file: "\(folder)/audit.key", sync: always}
            log: {level: trace, format: json}
            http: {port: \(name == "manager" ? managerPort : routerPort)}

            """
        }
        // In the URL itself for one, by reference for the other.
        let plain = "postgres://postgres:\(passwords.catalog.encoded)@127.0.0.1:\(catalog.port)/catalog"
        let reference = "postgres://postgres@127.0.0.1:\(catalog.port)/catalog?password=env:CATALOG_PASSWORD"
        try write(common("manager", plain) + "copies: {interval: 100ms}\nhealth: {interval: 200ms}\n", to: "manager.yaml")
        let router = """
            snapshot_file: "\(folder)/router.snapshot"
            loops: 1
            wire: {port: \(wirePort)}
            replica: {probe_interval: 200ms}

            """
        try write(common("router", reference).replacing("sync: always", with: "sync: always, statements: writes") + router, to: "router.yaml")
    }

    // MARK: servers

    private var environment: [String: String] {
        [
            "PATH": "/usr/bin:/bin", "HOME": folder + "/home", "LC_ALL": "C.UTF-8", "CATALOG_PASSWORD": passwords.catalog.text, "SHARD_PASSWORD": passwords.shard.text,
            "PGMOSAIC_ADMIN_USER": "ada", "PGMOSAIC_ADMIN_PASSWORD": passwords.ada.text,
        ].merging(Patience.settings) { $1 }
    }

    func start(_ name: String) async throws {
        let process = try SupervisedProcess.start(
            .init(Self.program, [name, "--config", "\(folder)/\(name).yaml"], environment: environment, output: .file("\(folder)/\(name).log"), orphanSignal: "KILL"))
        processes.withLock { $0[name] = process }
        let port = name == "manager" ? managerPort : routerPort
        try await eventually("the \(name) is ready") {
            if process.exitStatus != nil { return true }
            return try await RawHTTP.send("GET", "/ready", port: port).status == 200
        }
        try #require(process.exitStatus == nil, "the \(name) has ended: \(log(name).suffix(1000))")
    }

    func signal(_ name: String, _ number: Int32) { processes.withLock { $0[name] }?.signal(number) }
    func pid(of name: String) -> Int32? { processes.withLock { $0[name] }?.pid }

    func end(_ name: String, _ number: Int32 = SIGKILL) async {
        guard let process = processes.withLock({ $0.removeValue(forKey: name) }) else { return }
        process.signal(number)
        await process.waitForExit()
    }

    func endAll() async { for name in ["manager", "router"] { await end(name) } }

    func log(_ name: String) -> String { (try? String(contentsOfFile: "\(folder)/\(name).log", encoding: .utf8)) ?? "" }

    /// What the processes of this machine show of themselves, and what ours gave to others.
    func lookAtProcesses() throws {
        let pids = (try FileManager.default.contentsOfDirectory(atPath: "/proc")).compactMap { Int32($0) }.filter { $0 != getpid() }
        for pid in pids {
            if let line = FileManager.default.contents(atPath: "/proc/\(pid)/cmdline") { evidence.add(.process, "command line of \(pid)", Array(line)) }
        }
        for name in ["manager", "router"] {
            let pid = try #require(self.pid(of: name))
            for child in ProcessTree.children(of: pid) {
                if let given = FileManager.default.contents(atPath: "/proc/\(child)/environ") { evidence.add(.process, "environment of a child of \(name)", Array(given)) }
            }
            let limits = try String(contentsOfFile: "/proc/\(pid)/limits", encoding: .utf8)
            let core = limits.split(separator: "\n").first { $0.hasPrefix("Max core file size") }?.split(separator: " ").dropFirst(4).prefix(2)
            #expect(core == ["0", "0"], "\(name) would leave its memory in a file: \(limits)")
        }
    }

    // MARK: requests

    /// Logs in, and knows the token from then on as a secret, too.
    func login() async throws {
        let body: JSONValue = ["username": "ada", "password": .string(passwords.ada.text)]
        let answer = try await RawHTTP.send("POST", "/api/v1/auth/login", port: managerPort, headers: [("Content-Type", "application/json")], body: body.encoded())
        let new = try #require(answer.json?["token"]?.stringValue, "\(answer.status)")
        learn(Secret("a token", parts: [Array(try #require(new.split(separator: ".").last).utf8)]))
        token.withLock { $0 = new }
        evidence.add(.http, "login", answer.text.replacing(new, with: "(the token)"))
    }

    @discardableResult
    func send(
        _ method: String, _ path: String, _ body: [UInt8] = [], to port: Int, headers: [(String, String)] = [], as place: Place = .http
    ) async throws -> HTTPAnswer {
        var all = headers
        if !headers.contains(where: { $0.0 == "Authorization" }), let token = token.withLock({ $0 }) { all.append(("Authorization", "Bearer \(token)")) }
        if !body.isEmpty { all.append(("Content-Type", "application/json")) }
        let answer = try await RawHTTP.send(method, path, port: port, headers: all, body: body)
        evidence.add(place, "\(method) \(path) \(answer.status)", "\(answer.headers)\n\(answer.text)")
        return answer
    }

    @discardableResult
    func send(_ method: String, _ path: String, _ body: JSONValue, to port: Int) async throws -> HTTPAnswer {
        try await send(method, path, body.encoded(), to: port)
    }

    @discardableResult
    func pgmosaic(_ words: [String], input: String = "", environment more: [String: String] = [:]) async throws -> CommandResult {
        let base = [
            "PATH": "/usr/bin:/bin", "HOME": folder + "/home", "LC_ALL": "C.UTF-8", "PGMOSAIC_MANAGER_URL": "http://127.0.0.1:\(managerPort)",
            "PGMOSAIC_ROUTER_URL": "http://127.0.0.1:\(routerPort)", "CATALOG_PASSWORD": passwords.catalog.text, "SHARD_PASSWORD": passwords.shard.text,
        ]
        let command = SupervisedProcess.Command(
            Self.program, words, environment: base.merging(more) { $1 }, workingDirectory: folder)
        let result = try await SupervisedProcess.run(command, input: input, limit: .seconds(300))
        evidence.add(.command, "pgmosaic \(words.joined(separator: " ").prefix(60))", result.output + result.errors)
        return result
    }

    // MARK: the wire

    func client(_ user: String, _ password: Password, database: String = SecretCluster.database) async throws -> PGClient {
        let endpoint = try PostgresEndpoint.parse("postgres://\(user):\(password.encoded)@127.0.0.1:\(wirePort)/\(database)?sslmode=disable&connect_timeout=120")
        return try await PGClient.connect(to: endpoint, on: MultiThreadedEventLoopGroup.singleton)
    }
}
