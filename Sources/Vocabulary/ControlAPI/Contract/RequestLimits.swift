/// How large what a request names may be: what the servers refuse beyond, and what the OpenAPI document says.
package enum RequestLimits {
    /// Bytes of a name that PostgreSQL or a client gives meaning to: PostgreSQL's own limit.
    package static let nameBytes = 1...63
    /// Characters of a shard's or router's id, which are ASCII.
    package static let idLength = 1...63
    package static let passwordBytes = 8...1024
    package static let vnodeCount = 1...4096
    package static let keyColumnRules = 0...64
    package static let replicas = 0...32
    /// Sources, and targets, of one job that moves vnodes.
    package static let movedShards = 1...1000
    package static let movedVNodes = 1...65_536
    /// Databases that one user has rights on.
    package static let grants = 0...1000
    package static let idempotencyKeyLength = 1...255
    /// What a header carries unchanged.
    package static func isIdempotencyKey(_ key: String) -> Bool {
        idempotencyKeyLength.contains(key.utf8.count) && key.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }
    }
    /// Milliseconds that `GET catalog?after_epoch=` may wait.
    package static let longPollMilliseconds = 1...60_000
}
