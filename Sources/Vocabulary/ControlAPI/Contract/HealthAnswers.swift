/// GET /health of both servers: the process is alive. Nothing else is asked.
package struct HealthAnswer: Codable, Hashable, Sendable {
    package var status: String
    package var version: String
    package enum CodingKeys: String, CodingKey, CaseIterable { case status, version }
    package init(version: String) {
        status = "ok"
        self.version = version
    }
}

/// GET /ready: whether this server can do its work now; 503 while it cannot.
package struct ReadyAnswer: Codable, Hashable, Sendable {
    package struct Shard: Codable, Hashable, Sendable {
        package var id: String
        package var reachable: Bool
        package enum CodingKeys: String, CodingKey, CaseIterable { case id, reachable }
        package init(id: String, reachable: Bool) {
            self.id = id
            self.reachable = reachable
        }
    }
    package var ready: Bool
    package var epoch: UInt64
    /// False while a router serves from its saved copy because the catalog store cannot be reached.
    package var catalogConnected: Bool
    /// Of a router: its shards; empty for a manager.
    package var shards: [Shard]
    /// Of a manager; absent for a router.
    package var role: ManagerRole?
    /// Of a manager: the REST address of the one that leads, where that is known.
    package var leader: String?
    package enum CodingKeys: String, CodingKey, CaseIterable {
        case ready, epoch, shards, role, leader
        case catalogConnected = "catalog_connected"
    }
    package init(ready: Bool, epoch: UInt64, catalogConnected: Bool, shards: [Shard] = [], role: ManagerRole? = nil, leader: String? = nil) {
        self.role = role
        self.leader = leader
        self.ready = ready
        self.epoch = epoch
        self.catalogConnected = catalogConnected
        self.shards = shards
    }
}
