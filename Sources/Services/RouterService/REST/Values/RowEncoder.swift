internal import ControlAPI
internal import NIOCore
internal import PGWire

/// Writes rows as JSON while they arrive, so that no row is held twice.
struct RowEncoder {
    /// The names in `columns` of the answer. In objects each is unique: see `uniqueNames`.
    let names: [String]
    let columns: [RowDescription.Column]
    private(set) var rowCount = 0

    private let formats: [ColumnFormat]
    /// For objects: `"name":` of each column; empty for arrays.
    private let prefixes: [[UInt8]]
    private let isObject: Bool
    private let layout: Layout
    private var writer = JSONWriter()

    enum Layout {
        /// Elements of an array: commas between them.
        case elements
        /// A line each, of which those taken are forgotten.
        case lines
    }

    /// Why a row cannot be written.
    enum Failure: Error, Equatable {
        /// A database in SQL_ASCII holds bytes that are no text in UTF-8; JSON has no place for them.
        case notUTF8(column: String)
        /// The row has not the columns that were described.
        case shape
    }

    init(_ columns: [RowDescription.Column], _ format: ExecuteRequest.Options.RowFormat, _ layout: Layout = .elements) {
        self.columns = columns
        self.layout = layout
        formats = columns.map { ColumnFormat(typeOID: $0.typeOID) }
        isObject = format == .objects
        names = isObject ? Self.uniqueNames(columns.map(\.name), reserved: layout == .lines ? [StreamLines.endMember] : []) : columns.map(\.name)
        prefixes = isObject ? names.map(Self.prefix) : []
    }

    /// Bytes of JSON so far; of lines, those that are not taken yet.
    var byteCount: Int { writer.bytes.count }
    /// The rows, separated by commas, without the brackets around them.
    var bytes: [UInt8] { writer.bytes }

    /// The lines that have not been taken yet.
    mutating func takeLines() -> [UInt8] {
        let lines = writer.bytes
        writer.bytes = []
        return lines
    }

    /// A row that cannot be written leaves nothing behind.
    mutating func append(_ row: DataRow) throws(Failure) {
        guard row.columns.count == formats.count else { throw .shape }
        let start = writer.bytes.count
        if rowCount > 0, layout == .elements { writer.raw(",") }
        do throws(Failure) {
            try writeColumns(of: row)
        } catch {
            writer.bytes.removeSubrange(start...)
            throw error
        }
        if layout == .lines { writer.raw("\n") }
        rowCount += 1
    }

    private mutating func writeColumns(of row: DataRow) throws(Failure) {
        writer.raw(isObject ? "{" : "[")
        var index = 0
        for value in row.columns {
            if index > 0 { writer.raw(",") }
            if isObject { writer.bytes.append(contentsOf: prefixes[index]) }
            try write(value, index)
            index += 1
        }
        writer.raw(isObject ? "}" : "]")
    }

    private mutating func write(_ value: ByteBuffer?, _ index: Int) throws(Failure) {
        guard let value else { return writer.raw("null") }
        switch formats[index] {
        case .integer:
            writer.bytes.append(contentsOf: value.readableBytesView)
        case .bool:
            writer.raw(value.readableBytesView.first == UInt8(ascii: "t") ? "true" : "false")
        case .float:
            // NaN, Infinity and -Infinity: the only texts of a float with such a letter.
            let isFinite = !value.readableBytesView.contains { $0 == UInt8(ascii: "N") || $0 == UInt8(ascii: "I") }
            if isFinite { writer.bytes.append(contentsOf: value.readableBytesView) } else { writer.write(String(buffer: value)) }
        case .json:
            guard value.utf8Text != nil else { throw .notUTF8(column: columns[index].name) }
            switch layout {
            case .elements: writer.bytes.append(contentsOf: value.readableBytesView)
            case .lines: value.withUnsafeReadableBytes { writer.rawOnOneLine($0) }
            }
        case .text:
            guard let text = value.utf8Text else { throw .notUTF8(column: columns[index].name) }
            writer.write(text)
        }
    }

    /// Two columns of one name would make one member of an object, and a value would be lost: a later one gets a number,
    /// `id`, `id_2`, `id_3`, that no other column has. So does one that would be taken for something else.
    static func uniqueNames(_ names: [String], reserved: Set<String> = []) -> [String] {
        var taken = Set(names).union(reserved)
        var seen = reserved
        return names.map { name in
            if seen.insert(name).inserted { return name }
            var number = 2
            while !taken.insert("\(name)_\(number)").inserted { number += 1 }
            return "\(name)_\(number)"
        }
    }

    private static func prefix(_ name: String) -> [UInt8] {
        var writer = JSONWriter()
        writer.write(name)
        writer.raw(":")
        return writer.bytes
    }
}
