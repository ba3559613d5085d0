/// One atomic change of the catalog: all of its operations take effect at the next epoch, or none does.
///
/// A `put` carries the version the writer read in `record.version` (0: the record must not exist); the stored record gets that
/// version plus one. A `delete` names the version it read. A mismatch is `CatalogError.conflict`.
package struct CatalogChange: Hashable, Sendable, Codable {
    package enum Operation: Hashable, Sendable, Codable {
        case putDatabase(DatabaseRecord)
        case deleteDatabase(name: String, version: UInt64)
        case putShard(ShardRecord)
        case deleteShard(id: ShardID, version: UInt64)
        case putTable(TableRecord)
        case deleteTable(database: String, name: QualifiedName, version: UInt64)
        case putUser(UserRecord)
        case deleteUser(name: String, version: UInt64)
        case setSetting(name: String, value: String?)
        case putJob(ReshardJobRecord)
        case deleteJob(id: String, version: UInt64)
        case putHold(HoldRecord)
        case deleteHold(job: String, version: UInt64)
    }
    package var operations: [Operation]
    /// Who did it, for `catalog history` and the audit trail.
    package var author: String

    package init(_ operations: [Operation], author: String) {
        self.operations = operations
        self.author = author
    }
}
