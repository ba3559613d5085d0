internal import NIOCore
internal import PGChannel
internal import PGWire
internal import RoutePlanning
package import NIOPosix
package import Secrets
package import ShardModel

/// Looks at real PostgreSQL servers, one short connection a question.
package struct PostgresShardInspector: ShardInspector {
    let box: SecretBox?
    let group: MultiThreadedEventLoopGroup
    private let timeout: Duration
    private let addresses: AddressPolicy

    /// - allowsLinkLocal: also addresses at which clouds tell a machine its secrets.
    package init(box: SecretBox?, group: MultiThreadedEventLoopGroup, timeout: Duration, allowsLinkLocal: Bool = false) {
        addresses = allowsLinkLocal ? .any : .noMetadata
        self.box = box
        self.group = group
        self.timeout = timeout
    }

    package func inspect(_ endpoint: String) async throws(ShardAccessError) -> ShardInspection {
        try await withClient(endpoint) { client in
            let start = ContinuousClock.now
            let facts = try await client.query(ShardQueries.facts)
            let latency = ContinuousClock.now - start
            guard let row = facts.rows.first else { throw ShardAccessError.unreachable("the server gave no answer") }
            var inspection = ShardInspection(
                versionNumber: row.integer(0) ?? 0, versionText: row.text(1) ?? "", inRecovery: row.bool(2) ?? true, walLevel: row.text(3) ?? "",
                preparedTransactionsMax: row.integer(4) ?? 0, encoding: row.text(5) ?? "", collation: row.text(6) ?? "", role: row.text(7) ?? "",
                mayCreateSchema: row.bool(8) ?? false, isSuperuser: row.bool(9) ?? false, inDoubt: row.integer(11) ?? 0, latency: latency,
                systemIdentifier: row.text(12) ?? "")
            if row.bool(10) == true, let mark = try await Self.mark(client) { (inspection.identity, inspection.claim) = (mark.identity, mark.claim) }
            inspection.tables = try await client.query(ShardQueries.tables).rows.compactMap { row in
                guard let schema = row.text(0), let name = row.text(1) else { return nil }
                return QualifiedName(schema: schema, name: name)
            }
            inspection.objects = try await client.query(ShardQueries.objects).rows.compactMap { $0.text(0) }
            inspection.schemaFingerprint = try await client.query(ShardQueries.fingerprint).rows.first?.text(0) ?? ""
            return inspection
        }
    }

    package func claim(
        _ endpoint: String, as identity: ShardIdentity, by claim: String, over known: String?
    ) async throws(ShardAccessError) {
        try await withClient(endpoint) { client in
            try await client.execute("BEGIN")
            try await client.execute(ShardSchema.install)
            _ = try await client.query(
                ShardQueries.identify, [.text(identity.clusterID), .text(identity.database), .text(identity.shard.name), .text(claim)])
            guard let mark = try await Self.mark(client), mark.identity == identity else {
                throw ShardAccessError.taken(try await Self.mark(client)?.identity ?? identity)
            }
            if mark.claim != claim {
                let replaced = try await client.query(ShardQueries.claim, [.text(claim), known.map { .text($0) } ?? .null])
                guard !replaced.rows.isEmpty else { throw ShardAccessError.superseded }
            }
            // What throws before closes the connection, and nothing of it is there.
            try await client.execute("COMMIT")
        }
    }

    package func release(_ endpoint: String, from identity: ShardIdentity, claimed claim: String?) async throws(ShardAccessError) {
        try await withClient(endpoint) { client in
            try await client.execute("BEGIN")
            // Registrations take it as well: what is seen here stays until the end.
            try await client.execute(ShardSchema.lock)
            guard try await client.query(ShardQueries.facts).rows.first?.bool(10) == true, let mark = try await Self.mark(client) else { return }
            guard mark.identity == identity, mark.claim == claim else { throw ShardAccessError.superseded }
            try await client.execute(ShardSchema.uninstall)
            try await client.execute("COMMIT")
        }
    }

    package func table(
        _ name: QualifiedName, for placement: Placement, at endpoint: String, declared: [QualifiedName: Placement]
    ) async throws(ShardAccessError) -> TableInspection? {
        try await withClient(endpoint) { client in
            let found = try await client.query(ShardQueries.tableKind, [.text(name.schema), .text(name.name)])
            guard let kind = found.rows.first?.text(0) else { return nil }
            // A view holds none, and reading one may run anything.
            var hasRows = false
            if kind == "r" || kind == "p" {
                let quoted = "\(ShardQueries.quote(name.schema)).\(ShardQueries.quote(name.name))"
                hasRows = try await client.query("SELECT EXISTS (SELECT 1 FROM \(quoted))").rows.first?.bool(0) ?? true
            }
            let problems = try await Self.problems(of: name, with: placement, declared: declared, client)
            return TableInspection(hasRows: hasRows, problems: problems)
        }
    }

    /// What the planner's rules say against `placement`.
    private static func problems(
        of name: QualifiedName, with placement: Placement, declared: [QualifiedName: Placement], _ client: PGClient
    ) async throws -> [String] {
        try await client.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        var answers: [[[String?]]] = []
        for query in SchemaQueries.all {
            let rows = try await client.query(query).rows
            answers.append(rows.map { row in (0..<row.count).map { row.text($0) } })
        }
        try await client.execute("COMMIT")
        let schema = try SchemaDecoder.snapshot(answers, generation: .committed(0))
        do {
            try PlacementRules.check(placement, for: name, in: schema, placements: declared)
            return []
        } catch {
            return ["\(error.message) (\(error.code.rawValue))"]
        }
    }

    package func figures(_ endpoint: String) async throws(ShardAccessError) -> ShardFigures {
        try await withClient(endpoint) { client in
            guard let row = try await client.query(ShardQueries.figures).rows.first else {
                throw ShardAccessError.unreachable("the server gave no answer")
            }
            let tables = try await client.query(ShardQueries.tableFigures).rows.compactMap { row -> ShardFigures.Table? in
                guard let schema = row.text(0), let name = row.text(1) else { return nil }
                return .init(
                    name: QualifiedName(schema: schema, name: name), rowEstimate: Int64(row.integer(2) ?? 0), bytes: Int64(row.integer(3) ?? 0))
            }
            return ShardFigures(
                databaseBytes: Int64(row.integer(0) ?? 0), connections: Int64(row.integer(1) ?? 0),
                connectionsMax: Int64(row.integer(2) ?? 0), preparedTransactions: Int64(row.integer(3) ?? 0), tables: tables)
        }
    }

    private static func mark(_ client: PGClient) async throws -> (identity: ShardIdentity, claim: String?)? {
        guard let row = try await client.query(ShardQueries.identity).rows.first, let cluster = row.text(0), let database = row.text(1),
            let shard = row.text(2)
        else { return nil }
        return (ShardIdentity(clusterID: cluster, database: database, shard: ShardID(shard)), row.text(3))
    }

    func withClient<Result: Sendable>(
        _ endpoint: String, _ body: @Sendable (PGClient) async throws -> Result
    ) async throws(ShardAccessError) -> Result {
        let target: PostgresEndpoint
        do {
            target = try PostgresEndpoint.parse(try EndpointSecrets.opened(endpoint, with: box))
        } catch let error as SecretError {
            throw .endpoint(error.description)
        } catch let error as EndpointError {
            throw .endpoint(error.description)
        } catch {
            throw .endpoint("it cannot be read")
        }
        guard target.user != nil, target.database != nil else { throw .endpoint("it must name a user and a database") }
        do {
            var options = PGClient.Options()
            options.connectTimeout = .init(timeout)
            options.callTimeout = .init(timeout)
            options.addresses = addresses
            options.overrides.parameters = [.init(name: "application_name", value: "pgmosaic-manager")]
            let client = try await PGClient.connect(to: target, on: group, options: options)
            do {
                let result = try await body(client)
                await client.close()
                return result
            } catch {
                await client.close()
                throw error
            }
        } catch let error as ShardAccessError {
            throw error
        } catch let error as PGClientError {
            throw Self.accessError(error)
        } catch {
            throw .unreachable("\(type(of: error))")
        }
    }

    private static func accessError(_ error: PGClientError) -> ShardAccessError {
        if case .connect(.addressRefused(let reason)) = error.cause {
            return .endpoint("\(reason); the manager's setting shard.allow_link_local decides")
        }
        if case .connect(let cause) = error.cause, cause.isTransient { return .unreachable(cause.description) }
        if let server = error.serverError { return .refused(server.message, sqlstate: server.sqlState.code) }
        if case .connect(let cause) = error.cause { return .refused(cause.description, sqlstate: cause.sqlState.code) }
        return .unreachable(error.description)
    }
}
