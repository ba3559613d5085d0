internal import CatalogStore
internal import HealthCore
internal import PGChannel
internal import Secrets
internal import ShardModel

/// One server of the catalog, as it is probed.
struct ObservedServer: Hashable, Sendable {
    var shard: ShardID
    var part: ServerPart
    /// As the catalog keeps it.
    var endpoint: String
    var identity: ShardIdentity

    /// "host:port": what metrics, the log and the API call it.
    var address: String {
        switch try? PostgresEndpoint.parse(endpoint).address {
        case .tcp(let host, let port): "\(host.contains(":") ? "[\(host)]" : host):\(port)"
        case .unix(let directory, let port): "\(directory):\(port)"
        case nil: "unknown"
        }
    }

    /// The primary first, then the replicas in their order.
    static func all(of shard: ShardRecord, clusterID: String) -> [ObservedServer] {
        let identity = ShardIdentity(clusterID: clusterID, database: shard.database, shard: shard.id)
        return [ObservedServer(shard: shard.id, part: .primary, endpoint: shard.primaryEndpoint, identity: identity)]
            + shard.replicas.map { ObservedServer(shard: shard.id, part: .replica, endpoint: $0, identity: identity) }
    }

    static func all(in catalog: CatalogSnapshot) -> Set<ObservedServer> {
        Set(catalog.shards.values.flatMap { all(of: $0, clusterID: catalog.clusterID) })
    }
}

/// What is known of a server.
struct ObservedHealth: Sendable {
    var health: ServerHealth
    /// Of the last probe, and when that was: seconds since 1970.
    var outcome: ProbeOutcome?
    var probedAt: Double?
}
