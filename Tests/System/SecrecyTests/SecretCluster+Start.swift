import Foundation
import PostgresProcess

extension SecretCluster {
    /// Runs `body` with the servers of PostgreSQL, and ends everything.
    static func with(_ body: @Sendable (SecretCluster) async throws -> Void) async throws {
        let folder = NSTemporaryDirectory() + "pgmosaic-secrets-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o755])
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let passwords = Passwords()
        var servers: [PostgresServer] = []
        let result: Result<Void, any Error>
        do {
            for (name, password) in [("s1", passwords.shard), ("s2", passwords.shard), ("catalog", passwords.catalog)] {
                let settings = ["shared_buffers": "16MB", "log_statement": "none"]
                servers.append(
                    try await PostgresServer.create(
                        .init(dataDirectory: "\(folder)/\(name)", password: password.text, authentication: .scram, settings: settings)))
            }
            for shard in servers.prefix(2) { try await shard.createDatabase(database) }
            try await servers[2].createDatabase("catalog")
            try await servers[0].psql("CREATE ROLE reader SUPERUSER LOGIN PASSWORD '\(passwords.reader.text)'")
            var settings = servers[0].options
            settings.dataDirectory = folder + "/replica"
            settings.logFile = settings.dataDirectory + ".log"
            settings.port = 0
            servers.append(try await servers[0].createReplica(settings))
            let cluster = try SecretCluster(folder, Array(servers.prefix(2)), servers[3], servers[2], passwords)
            result = await Result { try await body(cluster) }
            if case .failure = result { for name in ["manager", "router"] { print(cluster.log(name).suffix(2000)) } }
            await cluster.endAll()
        } catch {
            result = .failure(error)
        }
        for server in servers.reversed() { await server.stop(.immediate) }
        try result.get()
    }
}

extension Result where Failure == any Error {
    init(_ body: () async throws -> Success) async {
        do { self = .success(try await body()) } catch { self = .failure(error) }
    }
}
