/// The types a shard key can have: those with a rule for canonical bytes.
package enum KeyType: String, Hashable, Sendable, Codable, CaseIterable {
    /// int2, int4 and int8: a number hashes the same in every width.
    case integer
    case uuid
    /// text and varchar under a deterministic collation.
    case text

    /// The key type of a column with this type, nil where it has no rule yet (refused when the table is registered).
    package init?(typeOID: UInt32) {
        switch typeOID {
        case 20, 21, 23: self = .integer
        case 2950: self = .uuid
        case 25, 1043: self = .text
        default: return nil
        }
    }
}
