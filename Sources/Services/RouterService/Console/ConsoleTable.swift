internal import NIOCore
internal import PGWire

/// The answer to SHOW.
struct ConsoleTable: Sendable {
    enum Value: Sendable, Equatable {
        case text(String)
        case number(Int64)
        case null

        static func number(_ value: Int) -> Value { .number(Int64(value)) }
        static func counter(_ value: UInt64) -> Value { .number(Int64(clamping: value)) }
        static func flag(_ value: Bool) -> Value { .number(value ? 1 : 0) }
    }
    struct Column: Sendable {
        let name: String
        let isNumber: Bool
        static func text(_ name: String) -> Column { Column(name: name, isNumber: false) }
        static func number(_ name: String) -> Column { Column(name: name, isNumber: true) }
        var typeOID: UInt32 { isNumber ? 20 : 25 }
    }

    /// A report is bounded; what is cut off is told in a notice.
    static let rowsMax = 100_000

    var rows: [[Value]] = []

    /// `formats`: of the columns, as a Bind names them.
    static func describe(_ columns: [Column], formats: (Int) -> WireFormat, _ buffer: inout ByteBuffer) {
        buffer.writeRowDescription(
            columns.enumerated().map { index, column in
                RowDescription.Column(
                    name: column.name, typeOID: column.typeOID, typeSize: column.isNumber ? 8 : -1, format: formats(index))
            })
    }

    static func write(_ row: [Value], formats: (Int) -> WireFormat, _ buffer: inout ByteBuffer) {
        buffer.writeDataRow(
            row.enumerated().map { index, value in
                switch value {
                case .null: nil
                case .text(let text): ByteBuffer(string: text)
                case .number(let number): formats(index) == .binary ? ByteBuffer(integer: number) : ByteBuffer(string: "\(number)")
                }
            })
    }
}
