internal import ShardModel

/// One epoch of the catalog, in the form in which the client asks it. Immutable.
final class RoutingCatalog: Sendable {
    let snapshot: CatalogSnapshot
    private let topologies: [String: Result<Topology, TopologyError>]

    var epoch: Epoch { snapshot.epoch }

    /// Users, settings and what jobs have noted are no business of a client's, and are not kept.
    init(_ snapshot: CatalogSnapshot) {
        var kept = snapshot
        kept.users = [:]
        kept.settings = [:]
        for id in kept.jobs.keys { kept.jobs[id]?.body = "" }
        self.snapshot = kept
        topologies = kept.databases.mapValues { record in
            Result { () throws(TopologyError) in try Topology(database: record.name, in: kept) }
        }
    }

    func topology(of database: String) throws(MosaicError) -> Topology {
        switch topologies[database] {
        case .success(let topology): return topology
        case .failure(let error): throw MosaicError(error)
        case nil: throw MosaicError(.unknownDatabase(database))
        }
    }

    /// Every server that this catalog names.
    var servers: Set<ServerID> {
        var servers: Set<ServerID> = []
        for shard in snapshot.shards.values {
            servers.insert(ServerID(shard: shard.id, endpoint: shard.primaryEndpoint, role: .primary))
            for replica in shard.replicas { servers.insert(ServerID(shard: shard.id, endpoint: replica, role: .replica)) }
        }
        return servers
    }
}

/// A server as the catalog names it: a pool is one server's.
struct ServerID: Hashable, Sendable {
    enum Role: Hashable, Sendable { case primary, replica }
    var shard: ShardID
    /// As the catalog has it.
    var endpoint: String
    var role: Role
}
