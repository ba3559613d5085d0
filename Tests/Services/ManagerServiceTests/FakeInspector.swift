import ControlAPI
import HealthCore
import ManagerService
import ShardModel
import Synchronization

/// PostgreSQL servers as the manager's decisions see them: what a test says they are. An endpoint that nothing was said of cannot be reached.
final class FakeInspector: ShardInspector {
    struct Server {
        var inspection = ShardInspection()
        var tables: [QualifiedName: TableInspection] = [:]
        var failure: ShardAccessError?
        /// What `claim` and `release` throw, after `inspect` went well.
        var claimFailure: ShardAccessError?
        var figures = ServerFigures()
        /// nil: they cannot be had.
        var samples: RowSamples?
    }
    private let servers = Mutex<[String: Server]>([:])
    /// Runs while a server is asked for a table.
    let whileAsked = Mutex<(@Sendable () async -> Void)?>(nil)

    /// By "host/dbname", whatever the rest of the endpoint is.
    subscript(place: String) -> Server {
        get { servers.withLock { $0[place] ?? Server(failure: .unreachable("connection refused")) } }
        set { servers.withLock { $0[place] = newValue } }
    }

    private static func place(_ endpoint: String) -> String {
        let rest = endpoint.split(separator: "@").last.map(String.init) ?? endpoint
        return String(rest.prefix { $0 != "?" })
    }

    private func server(_ endpoint: String) throws(ShardAccessError) -> Server {
        let server = self[Self.place(endpoint)]
        if let failure = server.failure { throw failure }
        return server
    }

    func samples(_ endpoint: String, of tables: [QualifiedName: String], within limit: Duration) async throws(ShardAccessError) -> RowSamples {
        guard let samples = try server(endpoint).samples else { throw .unreachable("no samples") }
        return samples
    }

    func inspect(_ endpoint: String) async throws(ShardAccessError) -> ShardInspection { try server(endpoint).inspection }

    func claim(_ endpoint: String, as identity: ShardIdentity, by claim: String, over known: String?) async throws(ShardAccessError) {
        var server = try server(endpoint)
        if let failure = server.claimFailure { throw failure }
        if let owner = server.inspection.identity, owner != identity { throw .taken(owner) }
        guard server.inspection.claim == known else { throw .superseded }
        server.inspection.identity = identity
        server.inspection.claim = claim
        self[Self.place(endpoint)] = server
    }

    func release(_ endpoint: String, from identity: ShardIdentity, claimed claim: String?) async throws(ShardAccessError) {
        var server = try server(endpoint)
        if let failure = server.claimFailure { throw failure }
        guard server.inspection.identity != nil else { return }
        guard server.inspection.identity == identity, server.inspection.claim == claim else { throw .superseded }
        server.inspection.identity = nil
        server.inspection.claim = nil
        self[Self.place(endpoint)] = server
    }

    func probe(_ endpoint: String, as identity: ShardIdentity, within limit: Duration) async -> ProbeOutcome {
        let server = self[Self.place(endpoint)]
        if let failure = server.failure { return .failed(.noConnection, failure.apiError.message) }
        var figures = server.figures
        figures.inRecovery = server.inspection.inRecovery
        figures.isShard = server.inspection.identity == identity
        return .answered(figures, latency: .milliseconds(1))
    }

    func table(
        _ name: QualifiedName, for placement: Placement, at endpoint: String, declared: [QualifiedName: Placement]
    ) async throws(ShardAccessError) -> TableInspection? {
        await whileAsked.withLock(\.self)?()
        return try server(endpoint).tables[name]
    }

    func figures(_ endpoint: String) async throws(ShardAccessError) -> ShardFigures {
        _ = try server(endpoint)
        return ShardFigures(databaseBytes: 9_007_199_254_740_993, connections: 3, connectionsMax: 100, preparedTransactions: 1)
    }
}
