internal import PGChannel
internal import PGWire

/// What a statement gave: its rows, in order.
public struct MosaicRows: Sendable, RandomAccessCollection {
    /// The shard that answered; nil when it was a router.
    public let shard: String?
    /// Names of the columns, in order.
    public var columns: [String] { shape.names }
    /// Rows that were written or returned, by the command's tag; nil where the command counts none.
    public let rowsAffected: Int?
    let shape: RowShape
    private let rows: [PGRow]

    init(_ result: PGResult, shard: String?) {
        self.shard = shard
        rowsAffected = result.rowsAffected
        rows = result.rows
        shape = RowShape(names: result.columns.map(\.name), types: result.columns.map(\.typeOID))
    }

    public var startIndex: Int { 0 }
    public var endIndex: Int { rows.count }
    public subscript(position: Int) -> MosaicRow { MosaicRow(row: rows[position], shape: shape) }
}

/// The columns of an answer; its rows share it.
final class RowShape: Sendable {
    let names: [String]
    let types: [UInt32]

    init(names: [String], types: [UInt32]) { (self.names, self.types) = (names, types) }
}

/// One row. `row.decode(Int.self, "id")`, `row.decode((Int, String).self)`.
public struct MosaicRow: Sendable {
    let row: PGRow
    let shape: RowShape

    public var count: Int { row.count }

    /// The column's value as `type`; an optional type takes NULL. Throws `MosaicError.decoding`.
    public func decode<Value: MosaicDecodable>(_ type: Value.Type = Value.self, at index: Int) throws -> Value {
        guard index >= 0, index < row.count, index < shape.types.count else { throw Self.failure("the row has no column \(index)") }
        do throws(MosaicDecodingFailure) {
            return try Value(mosaicText: row.text(index), typeOID: shape.types[index])
        } catch {
            throw Self.failure("column \"\(shape.names[index])\" (type \(shape.types[index])) \(error.reason) \(Value.self)")
        }
    }

    /// By the column's name; of several with one name, the first.
    public func decode<Value: MosaicDecodable>(_ type: Value.Type = Value.self, _ name: String) throws -> Value {
        guard let index = shape.names.firstIndex(of: name) else { throw Self.failure("there is no column \"\(name)\"") }
        return try decode(type, at: index)
    }

    /// The whole row, column by column. There must be as many columns as types.
    public func decode<each Value: MosaicDecodable>(_ types: (repeat each Value).Type) throws -> (repeat each Value) {
        var wanted = 0
        for _ in repeat (each Value).self { wanted += 1 }
        guard wanted == row.count else { throw Self.failure("the row has \(row.count) columns, and \(wanted) were asked for") }
        var index = -1
        func next<Next: MosaicDecodable>(_ type: Next.Type) throws -> Next {
            index += 1
            return try decode(type, at: index)
        }
        return (repeat try next((each Value).self))
    }

    /// Whether the column is NULL.
    public func isNull(at index: Int) -> Bool { index >= 0 && index < row.count && row[index] == nil }

    private static func failure(_ message: String) -> MosaicError { MosaicError(.decoding, message, execution: .ran) }
}
