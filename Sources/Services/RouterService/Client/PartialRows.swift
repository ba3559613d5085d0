internal import NIOCore
internal import PGWire
internal import RoutePlanning

/// The partial rows of every shard, column by column, as arrays of PostgreSQL's binary form.
struct PartialRows {
    private(set) var columns: [RowDescription.Column] = []
    private var values: [ByteBuffer] = []
    private var hasNull: [Bool] = []
    private(set) var count = 0

    /// Takes one shard's answer: its columns, and its rows in binary form. nil: they are like those of the others; else what is not.
    mutating func add(_ answers: ByteBuffer, isHome: Bool) -> String? {
        var rest = answers
        var hasColumns = false
        while let frame = try? rest.readFrame(limit: .max) {
            switch frame.kind {
            case BackendKind.rowDescription:
                guard let description = try? RowDescription(body: frame.body) else { return "their description" }
                if let column = disagreement(of: description.columns, isHome: isHome) { return column }
                hasColumns = true
            case BackendKind.dataRow:
                guard hasColumns, let row = try? DataRow(body: frame.body), row.columns.count == columns.count else { return "their number" }
                count += 1
                for (place, value) in row.columns.enumerated() {
                    values[place].writeInteger(Int32(value?.readableBytes ?? -1))
                    if let value { values[place].writeImmutableBuffer(value) } else { hasNull[place] = true }
                }
            default: break
            }
        }
        return hasColumns ? nil : "their number"
    }

    private mutating func disagreement(of new: [RowDescription.Column], isHome: Bool) -> String? {
        if columns.isEmpty {
            columns = new
            values = new.map { _ in ByteBuffer() }
            hasNull = new.map { _ in false }
        }
        guard new.count == columns.count else { return "their number" }
        let other = zip(new, columns).first { $0.name != $1.name || $0.typeOID != $1.typeOID || $0.typeModifier != $1.typeModifier }
        if let other { return other.0.name }
        // Which table they are of is the home shard's to say.
        if isHome { columns = new }
        return nil
    }

    /// Makes the first columns the last ones.
    mutating func moveToEnd(first number: Int) {
        guard number > 0, number < columns.count else { return }
        columns = Array(columns[number...] + columns[..<number])
        values = Array(values[number...] + values[..<number])
        hasNull = Array(hasNull[number...] + hasNull[..<number])
    }

    /// Each column as one array value.
    func arrays() -> [ByteBuffer] {
        columns.indices.map { place in
            var array = ByteBuffer()
            guard count > 0 else {
                array.writeMultipleIntegers(0 as Int32, 0 as Int32, columns[place].typeOID)
                return array
            }
            array.writeMultipleIntegers(1 as Int32, hasNull[place] ? 1 : 0 as Int32, columns[place].typeOID, Int32(count), 1 as Int32)
            array.writeImmutableBuffer(values[place])
            return array
        }
    }
}
