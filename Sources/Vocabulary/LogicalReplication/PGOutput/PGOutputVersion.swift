/// The version of pgoutput's protocol that START_REPLICATION asks for.
package enum PGOutputVersion: Int, Hashable, Comparable, Sendable, CaseIterable {
    /// Committed transactions, whole and in commit order (PostgreSQL 10).
    case one = 1
    /// And those in progress, with `streaming` (14).
    case two = 2
    /// And prepared ones, with a slot that decodes them (15).
    case three = 3

    package static func < (a: PGOutputVersion, b: PGOutputVersion) -> Bool { a.rawValue < b.rawValue }
}
