internal import NIOCore
internal import NIOPosix
internal import PGChannel
internal import PGWire
internal import ReplicaCore
internal import ShardModel

/// Opens the client's sessions with shards: each begins by saying who comes and which epoch it knows, as a router's does.
struct ShardConnector: Sendable {
    let id: String
    let login: MosaicConfiguration.Login
    let timeout: Duration

    /// A session that the shard has let in.
    ///
    /// Throws `staleCatalog` where the shard's fence is above `catalog`'s epoch, `wrongServer` where it is another shard, or its primary a replica.
    ///
    /// - system: the system identifier that a replica must have.
    func connect(_ server: ServerID, _ catalog: RoutingCatalog, system: String? = nil) async throws -> PooledConnection {
        let client: PGClient
        do {
            client = try await connect(server.endpoint)
        } catch {
            throw MosaicError.from(error).of(shard: server.shard.name)
        }
        do {
            try await greet(client, server, catalog, system)
        } catch {
            await client.close()
            throw Self.refusal(error).of(shard: server.shard.name)
        }
        return PooledConnection(client, epoch: catalog.epoch)
    }

    private func greet(_ client: PGClient, _ server: ServerID, _ catalog: RoutingCatalog, _ system: String?) async throws {
        // On one connection, in this order: nothing else is asked before the shard has let us in.
        try await client.query(
            "SELECT pgmosaic.hello($1, $2, $3, $4)",
            [.text(catalog.snapshot.clusterID), .text(server.shard.name), .text(name), .integer(catalog.epoch.number)])
        switch server.role {
        case .primary:
            let row = try await client.query("SELECT pg_catalog.pg_is_in_recovery()").rows.first
            guard row?.bool(0) == false else { throw MosaicError(.wrongServer, "the shard's primary is in recovery: it is a replica") }
        case .replica:
            let row = try await client.query(ReplicaQueries.greeting).rows.first
            guard row?.bool(0) == true, system == nil || row?.text(1) == system else {
                throw MosaicError(.wrongServer, "the server is no replica of the shard's primary")
            }
        }
    }

    private static func refusal(_ error: any Error) -> MosaicError {
        let refused = MosaicError.from(error)
        switch refused.sqlState {
        case FenceState.fenced: return MosaicError(.staleCatalog, refused.message, sqlState: refused.sqlState)
        case FenceState.stranger: return MosaicError(.wrongServer, refused.message, sqlState: refused.sqlState)
        default:
            // It was our own statement that failed, not the caller's.
            return refused.code == .wrongServer
                ? refused : MosaicError(.serverUnavailable, "the shard does not let the client in: \(refused.message)", sqlState: refused.sqlState)
        }
    }

    /// How the shard's fence, its log and `pg_stat_activity` call the client.
    var name: String { "pgmosaic-client-\(id)" }

    /// A session that has said nothing yet: for reading the schema, and for looking at replicas.
    func connect(_ text: String, callTimeout: Duration = .seconds(60)) async throws -> PGClient {
        var endpoint: PostgresEndpoint
        do throws(EndpointError) {
            endpoint = try PostgresEndpoint.parse(text)
        } catch {
            throw MosaicError(.serverUnavailable, "the shard's endpoint cannot be used: \(error)")
        }
        if let user = login.user { endpoint.user = user }
        endpoint.password = password(of: endpoint)
        var options = PGClient.Options()
        options.connectTimeout = TimeAmount(timeout)
        options.callTimeout = TimeAmount(callTimeout)
        options.overrides.parameters = Self.parameters + [.init(name: "application_name", value: name)]
        return try await PGClient.connect(to: endpoint, on: MultiThreadedEventLoopGroup.singleton, options: options)
    }

    /// What managers show and what is sealed is no password, and a reference names something on the servers' machines.
    private func password(of endpoint: PostgresEndpoint) -> PostgresEndpoint.PasswordSource {
        if let password = login.password { return .literal(password) }
        guard login.user == nil, case .literal(let text) = endpoint.password, text != "***", !text.hasPrefix("sealed:") else { return .none }
        return .literal(text)
    }

    /// What the decoding of rows and the planner take for granted.
    static let parameters: [StartupMessage.Parameter] = [
        .init(name: "client_encoding", value: "UTF8"), .init(name: "standard_conforming_strings", value: "on"), .init(name: "DateStyle", value: "ISO"),
        .init(name: "bytea_output", value: "hex"), .init(name: "extra_float_digits", value: "1"),
    ]
}

extension TimeAmount {
    init(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        self = .nanoseconds(seconds * 1_000_000_000 + attoseconds / 1_000_000_000)
    }
}
