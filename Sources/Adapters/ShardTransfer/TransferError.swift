package import PGChannel
package import PGWire
package import ShardModel

/// Why rows could not be copied.
package enum TransferError: Error, Sendable, CustomStringConvertible {
    /// The table is not there, or of a kind that has no copy.
    case shape(String)
    /// A name of the relation, or in it, is not in Unicode's normalization form C, so that it could be taken for another one.
    case nameForm(String, relation: QualifiedName)
    /// The source's rows are not of the form that was expected.
    case rows(relation: String, ServerError)
    case source(PGClientError)
    /// At the target at this position.
    case target(Int, PGClientError)

    /// One of PostgreSQL's own programs failed, and said why.
    case program(String)
    /// A change found so many rows to change, and not one: the target does not have what the source had.
    case diverged(Int)

    package var description: String {
        switch self {
        case .shape(let reason), .program(let reason): reason
        case .nameForm(let name, let relation): "\(relation) has the name \"\(name)\" in it, which is not in Unicode's normalization form C: rename it"
        case .rows(let relation, let error): "the rows of \(relation): \(error.message)"
        case .diverged(let rows): "a change of one row found \(rows) on the target, which does not have what the source had"
        case .source(let error): "the source: \(error)"
        case .target(_, let error): "the target: \(error)"
        }
    }
}
