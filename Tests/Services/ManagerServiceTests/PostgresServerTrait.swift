import Foundation
import PostgresProcess
import Testing

/// Gives a suite one PostgreSQL server, which is gone with its data when the suite has run.
struct PostgresServerTrait: SuiteTrait, TestScoping {
    @TaskLocal static var server: PostgresServer?
    let settings: [String: String]

    func provideScope(for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void) async throws {
        let folder = NSTemporaryDirectory() + "pgmosaic-manager-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o755])
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let server = try await PostgresServer.create(
            PostgresServerOptions(dataDirectory: folder + "/data", password: "hunter2", authentication: .scram, settings: settings))
        let outcome: Result<Void, any Error>
        do {
            try await Self.$server.withValue(server, operation: function)
            outcome = .success(())
        } catch {
            outcome = .failure(error)
        }
        await server.stop()
        try outcome.get()
    }
}

extension Trait where Self == PostgresServerTrait {
    static func postgresServer(settings: [String: String] = [:]) -> PostgresServerTrait { PostgresServerTrait(settings: settings) }
}
