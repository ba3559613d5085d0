internal import PGTypes
package import PGWire
package import RoutePlanning
internal import ShardModel

/// Cuts the data of COPY FROM STDIN (FORMAT binary) into rows and finds each row's key.
///
/// Reads what PostgreSQL 15 reads (src/backend/commands/copyfrom.c and copyfromparse.c): a header, rows as a count of fields and each field's
/// length and bytes, and a trailer that may be missing. What PostgreSQL would refuse before it looks at a value is refused here with its words.
/// The header and the trailer are for every shard (`CopyKey.none`), the rows are passed on as they came. After an error the value is not to be
/// used again.
///
/// Memory: at most one unfinished row of `rowMax` bytes and one message.
package struct BinaryCopySplitter {
    package typealias RowSink = (RawSpan, CopyKey) throws(ServerError) -> Void

    private enum Place {
        case header
        /// In the header's extension area, of which so much is still to come.
        case extensionArea(Int)
        case rows
        case trailer
    }

    let plan: SplitCopy
    let rowMax: Int
    /// The row that is being read, from 1.
    private(set) var rowNumber: UInt64 = 0
    private var place = Place.header
    /// The start of a header or row whose end has not come yet.
    private var carry: [UInt8] = []
    private var progress = RowProgress()

    /// - rowMax: the most bytes of a row.
    package init(_ plan: SplitCopy, rowMax: Int) {
        self.plan = plan
        self.rowMax = rowMax
    }

    /// Takes the content of one CopyData message, and gives each row that it completes.
    package mutating func consume(_ data: RawSpan, _ row: RowSink) throws(ServerError) {
        guard data.byteCount > 0 else { return }
        if carry.isEmpty {
            let rest = try read(data, row)
            data.extracting(rest..<data.byteCount).withUnsafeBytes { unsafe carry.append(contentsOf: $0) }
        } else {
            // Taken out, so that it is not copied while the rest of the value changes.
            var window: [UInt8] = []
            swap(&window, &carry)
            data.withUnsafeBytes { unsafe window.append(contentsOf: $0) }
            let rest = try read(window.span.bytes, row)
            window.removeFirst(rest)
            swap(&window, &carry)
        }
    }

    /// The client has sent everything (CopyDone).
    package mutating func finish(_ row: RowSink) throws(ServerError) {
        switch place {
        case .header: throw shortHeader(carry)
        case .extensionArea: throw badHeader("invalid COPY file header (wrong length)")
        case .rows:
            // Without a whole count of fields it is the end, as for PostgreSQL.
            if progress.field >= 0 { throw bad("unexpected EOF in COPY data", field: progress.field) }
        case .trailer: break
        }
    }

    /// Returns how much was read; what is behind it is incomplete.
    private mutating func read(_ data: RawSpan, _ row: RowSink) throws(ServerError) -> Int {
        var position = 0
        while position < data.byteCount {
            switch place {
            case .header:
                guard try readHeader(data) else { return 0 }
                position = BinaryCopyForm.headerLength
                try row(BinaryCopyForm.header.span.bytes, .none)
            case .extensionArea(let missing):
                let count = min(missing, data.byteCount - position)
                position += count
                place = missing == count ? .rows : .extensionArea(missing - count)
            case .rows:
                guard let end = try readRow(data, from: position, row) else { return position }
                position = end
            case .trailer:
                throw bad("received copy data after EOF marker")
            }
        }
        return position
    }

    // MARK: The header

    /// False: more data is needed.
    private mutating func readHeader(_ data: RawSpan) throws(ServerError) -> Bool {
        let signature = BinaryCopyForm.signature
        for index in 0..<min(signature.count, data.byteCount) where data.byte(at: index) != signature[index] { throw badSignature() }
        guard data.byteCount >= BinaryCopyForm.headerLength else { return false }
        let flags = UInt32(truncatingIfNeeded: data.int32(at: signature.count))
        if flags & 1 << 16 != 0 { throw badHeader("invalid COPY file header (WITH OIDS)") }
        if flags >> 16 != 0 { throw badHeader("unrecognized critical flags in COPY file header") }
        let length = data.int32(at: signature.count + 4)
        guard length >= 0 else { throw badHeader("invalid COPY file header (missing length)") }
        place = length > 0 ? .extensionArea(Int(length)) : .rows
        return true
    }

    private func badSignature() -> ServerError { badHeader("COPY file signature not recognized") }

    private func shortHeader(_ data: [UInt8]) -> ServerError {
        switch data.count {
        case ..<BinaryCopyForm.signature.count: badSignature()
        case ..<(BinaryCopyForm.signature.count + 4): badHeader("invalid COPY file header (missing flags)")
        default: badHeader("invalid COPY file header (missing length)")
        }
    }

    // MARK: Rows

    /// How far the unfinished row has been looked at, so that its bytes are not walked again with every message.
    private struct RowProgress {
        var hasStarted = false
        /// The field to be read next; -1: the count of fields.
        var field = -1
        var offset = 0
        var key = CopyKey.none
    }

    /// The end of the row that starts at `start`; nil: more data is needed.
    private mutating func readRow(_ data: RawSpan, from start: Int, _ row: RowSink) throws(ServerError) -> Int? {
        if !progress.hasStarted {
            progress.hasStarted = true
            rowNumber += 1
        }
        if progress.field < 0 {
            guard data.byteCount - start >= 2 else { return nil }
            let count = Int(data.int16(at: start))
            if count == -1 {
                place = .trailer
                try row(BinaryCopyForm.trailer.span.bytes, .none)
                return start + 2
            }
            guard count == plan.columnCount else { throw bad("row field count is \(count), expected \(plan.columnCount)") }
            progress.field = 0
            progress.offset = 2
        }
        var position = start + progress.offset
        while progress.field < plan.columnCount {
            guard data.byteCount - position >= 4 else { return nil }
            let length = Int(data.int32(at: position))
            guard length >= -1 else { throw bad("invalid field size", field: progress.field) }
            let end = position + 4 + max(0, length)
            guard end - start <= rowMax else { throw rowTooLong() }
            guard end <= data.byteCount else { return nil }
            if progress.field == plan.keyColumn {
                progress.key = try key(length < 0 ? nil : data.extracting((position + 4)..<end))
            }
            position = end
            progress.field += 1
            progress.offset = position - start
        }
        let key = progress.key
        progress = RowProgress()
        try row(data.extracting(start..<position), key)
        return position
    }

    private func key(_ value: RawSpan?) throws(ServerError) -> CopyKey {
        guard let value else { throw refusal(.keyIsNull) }
        if let max = plan.keyLengthMax, value.byteCount > max, CopySplitter.characters(in: value) > max { throw keyTooLong(max) }
        do throws(KeyError) {
            return .token(try plan.keyType.token(parameter: value, isBinary: true, oid: plan.keyTypeOID))
        } catch {
            throw badForm(value)
        }
    }
}

/// The frame of binary COPY data.
package enum BinaryCopyForm {
    package static let signature: [UInt8] = Array("PGCOPY\n".utf8) + [0xff, 0x0d, 0x0a, 0x00]
    /// With flags and the length of the extension area.
    package static let headerLength = 19
    /// Without flags or an extension: PostgreSQL gives no meaning to what may stand there.
    package static let header: [UInt8] = signature + [UInt8](repeating: 0, count: 8)
    package static let trailer: [UInt8] = [0xff, 0xff]
}

extension RawSpan {
    /// Precondition of the three: the bytes are there.
    @inline(__always)
    func byte(at offset: Int) -> UInt8 { unsafe unsafeLoad(fromByteOffset: offset, as: UInt8.self) }
    @inline(__always)
    func int16(at offset: Int) -> Int16 { Int16(bigEndian: unsafe unsafeLoadUnaligned(fromByteOffset: offset, as: Int16.self)) }
    @inline(__always)
    func int32(at offset: Int) -> Int32 { Int32(bigEndian: unsafe unsafeLoadUnaligned(fromByteOffset: offset, as: Int32.self)) }
}
