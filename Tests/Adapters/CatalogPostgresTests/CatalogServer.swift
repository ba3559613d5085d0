import CatalogPostgres
import Foundation
import NIOPosix
import PGChannel
import PostgresProcess
import Testing

/// A PostgreSQL server for tests, in a folder that goes with it, and the database of a catalog on it.
struct CatalogServer: Sendable {
    let server: PostgresServer
    private let folder: String
    var database = "postgres"

    @TaskLocal static var shared: CatalogServer?
    static var current: CatalogServer { get throws { try #require(shared, "the suite lacks its trait") } }

    /// The same server, with a new database.
    func withDatabase() async throws -> CatalogServer {
        var other = self
        other.database = "catalog-\(UUID().uuidString)"
        try await server.createDatabase(other.database)
        return other
    }

    static func with<Value>(settings: [String: String] = [:], _ body: (CatalogServer) async throws -> Value) async throws -> Value {
        let folder = NSTemporaryDirectory() + "pgmosaic-catalog-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o755])
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let server = try await PostgresServer.create(
            .init(dataDirectory: folder + "/data", settings: ["shared_buffers": "16MB"].merging(settings) { $1 }))
        let result: Result<Value, any Error>
        do {
            result = .success(try await body(CatalogServer(server: server, folder: folder)))
        } catch {
            result = .failure(error)
        }
        await server.stop(.immediate)
        return try result.get()
    }

    /// `port`: of a proxy before it.
    func endpoint(port: Int? = nil, user: String? = nil) throws -> PostgresEndpoint {
        var endpoint = try PostgresEndpoint.parse(server.dsn(database: database))
        if let port { endpoint.address = .tcp(host: "127.0.0.1", port: port) }
        if let user { endpoint.user = user }
        return endpoint
    }

    func open(port: Int? = nil, isManager: Bool = true, timing: CatalogTiming = CatalogTiming()) async throws -> PostgresCatalogStore {
        try await PostgresCatalogStore(try endpoint(port: port), isManager: isManager, on: MultiThreadedEventLoopGroup.singleton, timing: timing)
    }
}

/// One server for all tests of a suite.
struct CatalogServerTrait: SuiteTrait, TestScoping {
    func provideScope(for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void) async throws {
        try await CatalogServer.with { server in try await CatalogServer.$shared.withValue(server) { try await function() } }
    }
}

extension SuiteTrait where Self == CatalogServerTrait {
    static var catalogServer: CatalogServerTrait { CatalogServerTrait() }
}
