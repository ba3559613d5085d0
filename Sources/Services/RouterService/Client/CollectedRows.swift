internal import NIOCore
internal import PGTypes
internal import PGWire
internal import RoutePlanning
internal import ShardModel

/// The rows of a query, all of them, on their way to where they are inserted.
struct CollectedRows {
    private(set) var columns: [RowDescription.Column] = []
    /// Each as a DataRow has it: its values behind their lengths, without their number.
    private(set) var rows: [ByteBuffer] = []
    private var hasColumns = false

    /// Takes an answer, or one more shard's; nil: it is like the others. Else the column that is not.
    mutating func add(_ answers: ByteBuffer) -> String? {
        var rest = answers
        while let frame = try? rest.readFrame(limit: .max) {
            switch frame.kind {
            case BackendKind.rowDescription:
                guard let description = try? RowDescription(body: frame.body), let column = take(description.columns) else { continue }
                return column
            case BackendKind.dataRow: take(frame.body)
            default: break
            }
        }
        return hasColumns ? nil : "their number"
    }

    /// The column that is another one than before; nil: none is.
    mutating func take(_ new: [RowDescription.Column]) -> String? {
        guard hasColumns else {
            (columns, hasColumns) = (new, true)
            return nil
        }
        guard new.count == columns.count else { return "their number" }
        return zip(columns, new).first { $0.typeOID != $1.typeOID }?.1.name
    }

    mutating func take(_ row: ByteBuffer) {
        var row = row
        row.moveReaderIndex(forwardBy: 2)
        rows.append(row)
    }

    // MARK: Where they go

    /// The types that their values are declared with: 0 leaves it to PostgreSQL. Throws where a value would be another one on another shard.
    func types(_ sent: SentRows) throws(ServerError) -> [UInt32] {
        guard columns.count == sent.width else { throw .planChanged }
        var types: [UInt32] = []
        for (place, column) in columns.enumerated() {
            if sent.untyped.contains(place), [25, 705].contains(column.typeOID) {
                types.append(0)
                continue
            }
            guard column.typeOID < Column.userTypeOID, !Self.catalogTypes.contains(column.typeOID) else { throw .refusal(Refusal(.combinedType, column.name)) }
            types.append(column.typeOID)
        }
        return types
    }

    /// regproc, regclass and their like: numbers of one server's catalog.
    private static let catalogTypes: Set<UInt32> = [24, 1008, 2202, 2203, 2204, 2205, 2206, 2207, 2208, 2209, 2210, 2211, 3734, 3735, 3769, 3770, 4089, 4090, 4096, 4097, 4191, 4192]

    /// The rows of each shard, by their places.
    func owners(key place: Int, _ type: KeyType, lengthMax: Int?, types: [UInt32], _ owner: (Token) -> ShardIndex) throws(ServerError) -> [ShardIndex: [Int]] {
        guard columns.indices.contains(place), types[place] == 0 || KeyType(typeOID: types[place]) == type else {
            throw .refusal(Refusal(.keyType, columns.indices.contains(place) ? columns[place].name : ""))
        }
        var result: [ShardIndex: [Int]] = [:]
        for (number, row) in rows.enumerated() {
            guard let value = Self.value(place, of: row) else { throw .keyError(.null) }
            let token: Token
            do throws(KeyError) { token = try type.token(parameter: value.readableBytesSpan, isBinary: types[place] != 0, oid: types[place]) } catch { throw .keyError(error) }
            if let lengthMax, String(buffer: value).unicodeScalars.count > lengthMax { throw .keyTooLong(lengthMax) }
            result[owner(token), default: []].append(number)
        }
        return result
    }

    /// nil: NULL.
    private static func value(_ place: Int, of row: ByteBuffer) -> ByteBuffer? {
        var row = row
        for _ in 0..<place {
            guard let length = row.readInteger(as: Int32.self) else { return nil }
            if length > 0 { row.moveReaderIndex(forwardBy: min(Int(length), row.readableBytes)) }
        }
        guard let length = row.readInteger(as: Int32.self), length >= 0 else { return nil }
        return row.readSlice(length: Int(length))
    }
}
