/// The data that a demo starts with.
enum DemoDataset: String, Codable, CaseIterable, Sendable {
    /// A generated web shop, the same rows on every machine.
    case shop
    /// The real flights from New York's airports in 2013.
    case flights
    /// An empty database.
    case none

    /// The name that clients connect to.
    var database: String { self == .none ? "demo" : rawValue }
}

/// One table of a data set: where it lives, how it is made, and its rows.
struct DemoTable: Sendable {
    enum Placement: Equatable, Sendable {
        case sharded(by: String)
        case reference
    }

    var name: String
    var placement: Placement
    /// Statements that make the table, in order.
    var create: [String]
    var columns: [String]
    /// What stands in the parentheses after WITH.
    var copyOptions: String
    /// The rows in the format that `copyOptions` names, in pieces that end with a whole row. Reads or makes them as they are asked for.
    var rows: @Sendable () throws -> AnyIterator<CopyPiece>

    var copyStatement: String { "COPY \(name) (\(columns.joined(separator: ", "))) FROM STDIN WITH (\(copyOptions))" }
}

/// Some rows of a COPY stream.
struct CopyPiece {
    var bytes: [UInt8]
    var rows: Int
    /// Rows in which a value stands for a NULL that could not be a key.
    var filled = 0

    /// Pieces are filled up to about this many bytes: large enough to cost nothing, small enough to show progress.
    static let sizeTarget = 128 << 10
}

extension AnyIterator where Element == CopyPiece {
    /// Joins lines into pieces. `next` appends one line with its newline, or answers false at the end.
    init(lines next: @escaping (inout [UInt8]) -> Bool) {
        var ended = false
        self.init {
            var piece = CopyPiece(bytes: [], rows: 0)
            piece.bytes.reserveCapacity(CopyPiece.sizeTarget + 1024)
            while !ended, piece.bytes.count < CopyPiece.sizeTarget {
                if next(&piece.bytes) { piece.rows += 1 } else { ended = true }
            }
            return piece.rows == 0 ? nil : piece
        }
    }
}
