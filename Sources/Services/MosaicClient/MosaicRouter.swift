internal import NIOPosix
internal import PGChannel
internal import PGWire
internal import ShardModel

/// One database through the configured routers: every statement that routers take, of one key, of several shards or of none.
public struct MosaicRouter: Sendable {
    private let client: MosaicClient
    private let id: RouterID

    init(_ client: MosaicClient, _ id: RouterID) { (self.client, self.id) = (client, id) }

    /// One statement, in a session of its own: nothing that it sets is left for the next one.
    @discardableResult
    public func query(_ sql: String, _ parameters: [MosaicParameter] = [], timeout: Duration? = nil) async throws -> MosaicRows {
        let lent = try await lease()
        let limits = client.configuration
        do {
            let result = try await lent.connection.client.run(
                sql, parameters, timeout: timeout ?? limits.statementTimeout, bytesMax: limits.resultBytesMax)
            // BEGIN without its end: what was answered is about to be rolled back.
            guard lent.connection.isIdle else { throw MosaicError(.transactionOver, "a transaction is begun by transaction { … }") }
            lent.giveBack(isClean: true)
            return MosaicRows(result, shard: nil)
        } catch {
            let error = MosaicError.from(error)
            lent.giveBack(isClean: error.code == .server)
            throw error
        }
    }

    /// A transaction over any number of keys and shards; otherwise as `MosaicClient.transaction`.
    public func transaction<Value: Sendable>(
        _ options: MosaicTransaction.Options = .init(), _ body: @Sendable (MosaicTransaction) async throws -> Value
    ) async throws -> Value {
        let lent = try await lease()
        let limits = client.configuration
        let transaction = MosaicTransaction(
            lent.connection, shard: nil, timeout: limits.statementTimeout, bytesMax: limits.resultBytesMax) { _, _ in }
        return try await MosaicClient.run(transaction, options, lent, body)
    }

    private func lease() async throws -> MosaicClient.Lent {
        let pool = try client.routers.pool(of: id)
        let connection = try await pool.lease(until: .now + client.configuration.acquireTimeout)
        return MosaicClient.Lent(connection: connection, pool: pool, shard: ShardID(""))
    }
}

extension MosaicClient {
    /// The database through a router. Throws `noRouter` where the configuration names none.
    ///
    /// - consistency: of the reads; nil: the database's own default.
    public func router(_ database: String, consistency: MosaicConsistency? = nil) throws -> MosaicRouter {
        guard !configuration.routers.isEmpty else { throw MosaicError(.noRouter, "the configuration names no router") }
        return MosaicRouter(self, RouterID(database: database, consistency: consistency))
    }
}

/// Sessions with routers that may be lent for one another.
struct RouterID: Hashable, Sendable {
    var database: String
    var consistency: MosaicConsistency?
}

/// Opens sessions with whichever router answers, from a random one on.
struct RouterConnector: Sendable {
    private let configuration: MosaicConfiguration
    private let name: String

    init(_ configuration: MosaicConfiguration, _ name: String) { (self.configuration, self.name) = (configuration, name) }

    func connect(_ router: RouterID) async throws -> PooledConnection {
        var options = PGClient.Options()
        options.connectTimeout = .init(configuration.connectTimeout)
        options.overrides.database = router.database
        options.overrides.parameters = ShardConnector.parameters + [.init(name: "application_name", value: name)]
        if let consistency = router.consistency {
            options.overrides.parameters.append(.init(name: "options", value: "-c pgmosaic.consistency=\(consistency.rawValue)"))
        }
        let first = Int.random(in: configuration.routers.indices)
        var failure: MosaicError?
        for step in configuration.routers.indices {
            let text = configuration.routers[(first + step) % configuration.routers.count]
            do {
                var endpoint = try PostgresEndpoint.parse(text)
                endpoint.sendsReferenceAsText = true
                return PooledConnection(try await PGClient.connect(to: endpoint, on: MultiThreadedEventLoopGroup.singleton, options: options), epoch: .zero)
            } catch let error as PGClientError {
                failure = failure ?? MosaicError(error)
            }
        }
        throw failure ?? MosaicError(.noRouter, "the configuration names no router")
    }
}
