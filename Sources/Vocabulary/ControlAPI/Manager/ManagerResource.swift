internal import ShardModel

/// Whether a manager carries out changes, or passes them on to the one that does.
package enum ManagerRole: String, Codable, Hashable, Sendable, CaseIterable { case leader, follower }

/// A live manager, as `GET /api/v1/managers` shows it.
package struct ManagerResource: Codable, Hashable, Sendable {
    package var id: String
    package var url: String
    package var role: ManagerRole
    /// Since when it has this role; of a follower: since when it runs.
    package var since: Timestamp
    /// The catalog's epoch when it announced itself last.
    package var epoch: UInt64
    package var version: String
    package var startedAt: Timestamp

    package enum CodingKeys: String, CodingKey, CaseIterable {
        case id, url, role, since, epoch, version
        case startedAt = "started_at"
    }

    package init(id: String, url: String, role: ManagerRole, since: Timestamp, epoch: UInt64, version: String, startedAt: Timestamp) {
        self.id = id
        self.url = url
        self.role = role
        self.since = since
        self.epoch = epoch
        self.version = version
        self.startedAt = startedAt
    }
}
