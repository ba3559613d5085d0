import CatalogCopies
import CatalogRecovery
import CatalogStore
import NIOCore
import NIOPosix
import PGChannel
import PGWire
import RouterService
import Secrets
import ShardModel

/// What a recovery reads: the shards that were named, those that their copies name, and routers' saved copies. Changes nothing anywhere.
struct RecoveryReading {
    static let widthMax = 8
    /// Rows of each table that are looked at on each shard.
    static let sampleMax = 200
    static let connectTimeout = TimeAmount.seconds(10)

    let box: SecretBox?
    private(set) var sources: [RecoverySource] = []
    /// Where each shard was found.
    private var endpoints: [ShardID: PostgresEndpoint] = [:]
    /// Shards that could not be read by what the copy says of them.
    private(set) var missing: [ShardID: String] = [:]
    /// Those that were named and could not be read.
    private(set) var unread: [String] = []

    init(box: SecretBox?) { self.box = box }

    var choice: RecoveryChoice { RecoveryChoice(of: sources) }

    mutating func read(files: [String]) throws {
        // Without the key nobody can tell, and the operator looks at what would be written.
        let seal = box?.snapshotSeal
        for file in files {
            do throws(SnapshotFileError) {
                sources.append(RecoverySource(place: file, mark: nil, copy: .readable(try SnapshotFile.load(from: file, seal: seal), isWhole: true)))
            } catch {
                throw CatalogError.invalid("\(error)")
            }
        }
    }

    /// Named by the operator.
    mutating func read(shards: [PostgresEndpoint]) async {
        let box = box
        for (endpoint, result) in await Self.onEach(shards, { try await Self.read($0, box) }) {
            switch result {
            case .success(let source?): add(source, endpoint)
            case .success(nil): unread.append("\(endpoint) is no shard of a cluster")
            case .failure(let error): unread.append("\(endpoint) cannot be read: \(Self.describe(error))")
            }
        }
    }

    /// Those that the newest copy names and nobody has read; and again when that made a newer copy known.
    mutating func readOthers() async {
        while true {
            let others = choice.unseen(by: sources).filter { missing[$0.id] == nil }
            if others.isEmpty { return }
            let box = box
            let found = await Self.onEach(others) { shard -> (PostgresEndpoint, RecoverySource?) in
                let endpoint = try PostgresEndpoint.parse(try EndpointSecrets.opened(shard.primaryEndpoint, with: box))
                return (endpoint, try await Self.read(endpoint, box))
            }
            for (shard, result) in found {
                switch result {
                case .success((let endpoint, let source?)):
                    if source.mark?.shard != shard.id { missing[shard.id] = "\(endpoint) is shard \(source.mark?.shard.name ?? "?")" }
                    if !sources.contains(where: { $0.mark == source.mark }) { add(source, endpoint) }
                case .success((let endpoint, nil)): missing[shard.id] = "\(endpoint) is no shard of a cluster"
                case .failure(let error): missing[shard.id] = Self.describe(error)
                }
            }
        }
    }

    private mutating func add(_ source: RecoverySource, _ endpoint: PostgresEndpoint) {
        sources.append(source)
        if let shard = source.mark?.shard { endpoints[shard] = endpoint }
    }

    /// The tables and some rows of every shard that was found. A shard whose tables cannot be read is a problem of its own.
    func evidence(for snapshot: CatalogSnapshot) async -> (seen: [ShardID: ShardEvidence], problems: [RecoveryProblem]) {
        var placements: [String: [QualifiedName: Placement]] = [:]
        for table in snapshot.tables.values { placements[table.database, default: [:]][table.name] = table.placement }
        let (endpoints, wanted) = (endpoints, placements)
        let shards = snapshot.shards.values.filter { endpoints[$0.id] != nil }.sorted { $0.id < $1.id }
        var (seen, problems): ([ShardID: ShardEvidence], [RecoveryProblem]) = ([:], [])
        let results = await Self.onEach(shards) { shard -> ShardEvidence? in
            guard let endpoint = endpoints[shard.id] else { return nil }
            return try await Self.withClient(endpoint) { client in
                try await ShardCopies(client, place: "\(endpoint)").evidence(wanted[shard.database] ?? [:], limit: Self.sampleMax)
            }
        }
        for (shard, result) in results {
            switch result {
            case .success(let evidence): seen[shard.id] = evidence
            case .failure(let error): problems.append(.unreadableSchema(shard.id, reason: Self.describe(error)))
            }
        }
        return (seen, problems)
    }

    // MARK: connections

    private static func read(_ endpoint: PostgresEndpoint, _ box: SecretBox?) async throws -> RecoverySource? {
        try await withClient(endpoint) { client in
            guard try await client.query("SELECT pg_catalog.pg_is_in_recovery()").rows.first?.bool(0) == false else {
                throw CatalogError.invalid("it is a replica; name the primary, or promote it first")
            }
            return try await ShardCopies(client, place: "\(endpoint)").read(with: box)
        }
    }

    private static func withClient<Value: Sendable>(
        _ endpoint: PostgresEndpoint, _ body: @Sendable (PGClient) async throws -> Value
    ) async throws -> Value {
        var options = PGClient.Options()
        options.connectTimeout = endpoint.connectTimeout ?? connectTimeout
        options.overrides.parameters = [
            .init(name: "application_name", value: "pgmosaic-recover"), .init(name: "default_transaction_read_only", value: "on"),
        ]
        let client = try await PGClient.connect(to: endpoint, on: MultiThreadedEventLoopGroup.singleton, options: options)
        let result: Result<Value, any Error>
        do { result = .success(try await body(client)) } catch { result = .failure(error) }
        await client.close()
        return try result.get()
    }

    /// In the order of `items`, so many at a time.
    private static func onEach<Item: Sendable, Value: Sendable>(
        _ items: [Item], _ body: @escaping @Sendable (Item) async throws -> Value
    ) async -> [(Item, Result<Value, any Error>)] {
        await withTaskGroup(of: (Int, Result<Value, any Error>).self) { group in
            var results: [Result<Value, any Error>?] = items.map { _ in nil }
            for (index, item) in items.enumerated() {
                if index >= widthMax, let (done, result) = await group.next() { results[done] = result }
                group.addTask {
                    do { return (index, .success(try await body(item))) } catch { return (index, .failure(error)) }
                }
            }
            for await (done, result) in group { results[done] = result }
            return zip(items, results).compactMap { item, result in result.map { (item, $0) } }
        }
    }

    private static func describe(_ error: any Error) -> String {
        switch error {
        case let error as PGClientError: error.description
        case let error as SecretError: error.description
        case let error as EndpointError: error.description
        case CatalogError.invalid(let reason): reason
        default: "\(type(of: error))"
        }
    }
}
