internal import NIOCore
internal import RoutePlanning

/// Rows of one table on their way to the home shard, as COPY takes them.
struct FetchedRows {
    let isText: Bool
    let width: Int
    /// Those that have not been sent.
    private var data = ByteBuffer()
    private(set) var count = 0

    init(_ table: FetchedTable) {
        isText = table.isText
        width = table.columns.count
    }

    var bytes: Int { data.readableBytes }

    /// The columns of a row as DataRow has them, each behind its length: as a binary COPY has them, too.
    mutating func append(_ fields: ByteBuffer) {
        if count == 0, !isText {
            data.writeBytes([0x50, 0x47, 0x43, 0x4f, 0x50, 0x59, 0x0a, 0xff, 0x0d, 0x0a, 0x00])
            data.writeMultipleIntegers(0 as Int32, 0 as Int32)
        }
        count += 1
        if isText { return appendText(fields) }
        data.writeInteger(Int16(width))
        data.writeImmutableBuffer(fields)
    }

    private mutating func appendText(_ fields: ByteBuffer) {
        var fields = fields
        for place in 0..<width {
            if place > 0 { data.writeInteger(0x09 as UInt8) }
            guard let length = fields.readInteger(as: Int32.self), length >= 0, let value = fields.readSlice(length: Int(length)) else {
                data.writeString("\\N")
                continue
            }
            for byte in value.readableBytesView { append(byte) }
        }
        data.writeInteger(0x0a as UInt8)
    }

    private mutating func append(_ byte: UInt8) {
        switch byte {
        case 0x5c: data.writeString("\\\\")
        case 0x0a: data.writeString("\\n")
        case 0x0d: data.writeString("\\r")
        case 0x09: data.writeString("\\t")
        default: data.writeInteger(byte)
        }
    }

    /// All that wait, as the whole data of one COPY, and how many they are.
    mutating func take() -> (data: ByteBuffer, count: Int) {
        if count > 0, !isText { data.writeInteger(-1 as Int16) }
        defer { (data, count) = (ByteBuffer(), 0) }
        return (data, count)
    }
}
