import PGTypes
import PGWire
import RoutePlanning
import SessionCore
import ShardModel
import Testing

@Suite struct BinaryCopySplitterTests {
    struct Outcome: Equatable {
        var rows: [[UInt8]] = []
        var keys: [CopyKey] = []
        var error: ServerError?

        /// Feeds the data in pieces of `size` bytes.
        init(_ plan: SplitCopy, _ data: [UInt8], pieces size: Int = .max, rowMax: Int = 1 << 20) {
            var splitter = BinaryCopySplitter(plan, rowMax: rowMax)
            var (rows, keys): ([[UInt8]], [CopyKey]) = ([], [])
            let sink: BinaryCopySplitter.RowSink = { (row, key) throws(ServerError) in
                rows.append(row.withUnsafeBytes { Array($0) })
                keys.append(key)
            }
            do throws(ServerError) {
                var rest = data[...]
                while !rest.isEmpty {
                    let piece = Array(rest.prefix(size))
                    rest = rest.dropFirst(piece.count)
                    try splitter.consume(piece.span.bytes, sink)
                }
                try splitter.finish(sink)
            } catch {
                self.error = error
            }
            self.rows = rows
            self.keys = keys
        }
    }

    static func plan(_ oid: UInt32 = 20, keyColumn: Int = 0, columns: Int = 2, keyLengthMax: Int? = nil) -> SplitCopy {
        SplitCopy(
            table: QualifiedName(schema: "public", name: "t"), format: .binary, keyColumn: keyColumn, columnCount: columns,
            keyType: KeyType(typeOID: oid)!, keyTypeOID: oid, delimiter: 9, null: [], keyLengthMax: keyLengthMax,
            columns: (1...columns).map { "c\($0)" })
    }

    private static func integer<Number: FixedWidthInteger>(_ value: Number) -> [UInt8] {
        withUnsafeBytes(of: value.bigEndian) { Array($0) }
    }

    private static func row(_ fields: [UInt8]?...) -> [UInt8] {
        integer(Int16(fields.count)) + fields.flatMap { $0.map { integer(Int32($0.count)) + $0 } ?? integer(Int32(-1)) }
    }

    private static let header = Array("PGCOPY\n".utf8) + [0xff, 0x0d, 0x0a, 0x00, 0, 0, 0, 0, 0, 0, 0, 0]
    private static let trailer: [UInt8] = [0xff, 0xff]

    private func token(_ text: String) -> CopyKey { .token(Token(hashing: Array(text.utf8).span.bytes)) }

    // MARK: What is read

    @Test func everyRowGoesWithTheKeyThatItsTextWouldHave() {
        let uuid: [UInt8] = Array(0..<16)
        let cases: [(UInt32, [UInt8], String)] = [
            (20, Self.integer(Int64(-5)), "-5"), (20, Self.integer(Int64.min), "\(Int64.min)"), (23, Self.integer(Int32(70000)), "70000"),
            (21, Self.integer(Int16(-1)), "-1"), (25, Array("é'".utf8), "é'"), (1043, [], ""), (2950, uuid, "00010203-0405-0607-0809-0a0b0c0d0e0f"),
        ]
        for (oid, value, text) in cases {
            let rows = [Self.row(nil, value), Self.row(Array("x".utf8), value)]
            let outcome = Outcome(Self.plan(oid, keyColumn: 1), Self.header + rows[0] + rows[1] + Self.trailer)
            #expect(outcome.error == nil)
            #expect(outcome.rows == [Self.header] + rows + [Self.trailer])
            #expect(outcome.keys == [.none, token(text), token(text), .none])
        }
    }

    @Test func theBordersOfMessagesMakeNoDifference() {
        let rows = (0..<20).map { Self.row(Self.integer(Int64($0)), [UInt8](repeating: UInt8($0), count: $0 * 3)) }
        let data = Self.header + rows.joined() + Self.trailer
        let whole = Outcome(Self.plan(), data)
        #expect(whole.rows.count == 22)
        for size in 1...40 { #expect(Outcome(Self.plan(), data, pieces: size) == whole) }
    }

    @Test func theExtensionAreaIsPassedOver() {
        let row = Self.row(Self.integer(Int64(1)), nil)
        let head = Array(Self.header.prefix(11)) + [0, 0, 0x7f, 1] + Self.integer(Int32(300)) + [UInt8](repeating: 0xff, count: 300)
        for size in [1, 7, 1000] {
            let outcome = Outcome(Self.plan(), head + row, pieces: size)
            #expect(outcome.error == nil)
            // The shards get a header without it, and no trailer where there was none.
            #expect(outcome.rows == [Self.header, row])
        }
    }

    @Test func aByteInPlaceOfATrailerIsTheEnd() {
        #expect(Outcome(Self.plan(), Self.header + [0]).error == nil)
        #expect(Outcome(Self.plan(), Self.header).rows == [Self.header])
    }

    // MARK: What is not

    @Test func errorsAreThoseOfPostgreSQL() {
        let (one, two) = (Self.row(Self.integer(Int64(1)), nil), Self.row(Self.integer(Int64(2)), nil))
        let cases: [([UInt8], String, String, String?)] = [
            ([], "22P04", "COPY file signature not recognized", nil), (Array("PGCOPY\r".utf8), "22P04", "COPY file signature not recognized", nil),
            (Array(Self.header.prefix(10)), "22P04", "COPY file signature not recognized", nil),
            (Array(Self.header.prefix(11)), "22P04", "invalid COPY file header (missing flags)", nil),
            (Array(Self.header.prefix(15)), "22P04", "invalid COPY file header (missing length)", nil),
            (Array(Self.header.prefix(11)) + [0, 1, 0, 0, 0, 0, 0, 0], "22P04", "invalid COPY file header (WITH OIDS)", nil),
            (Array(Self.header.prefix(11)) + [0x80, 0, 0, 0, 0, 0, 0, 0], "22P04", "unrecognized critical flags in COPY file header", nil),
            (Array(Self.header.prefix(15)) + [0xff, 0xff, 0xff, 0xff], "22P04", "invalid COPY file header (missing length)", nil),
            (Array(Self.header.prefix(15)) + [0x7f, 0xff, 0xff, 0xff, 1], "22P04", "invalid COPY file header (wrong length)", nil),
            (Self.header + one + [0, 3], "22P04", "row field count is 3, expected 2", "COPY t, line 2"),
            (Self.header + one + [0x80, 0], "22P04", "row field count is -32768, expected 2", "COPY t, line 2"),
            (Self.header + [0, 0], "22P04", "row field count is 0, expected 2", "COPY t, line 1"),
            (Self.header + one + Array(two.prefix(two.count - 1)), "22P04", "unexpected EOF in COPY data", "COPY t, line 2, column c2"),
            (Self.header + one + [0, 2], "22P04", "unexpected EOF in COPY data", "COPY t, line 2, column c1"),
            (Self.header + [0, 2, 0xff, 0xff, 0xff, 0xfe], "22P04", "invalid field size", "COPY t, line 1, column c1"),
            (Self.header + one + Self.trailer + [0], "22P04", "received copy data after EOF marker", "COPY t, line 2"),
            (Self.header + Self.row(Self.integer(Int32(1)), nil), "08P01", "insufficient data left in message", "COPY t, line 1, column c1"),
            (Self.header + Self.row([0] + Self.integer(Int64(1)), nil), "22P03", "incorrect binary data format", "COPY t, line 1, column c1"),
        ]
        for (data, state, message, context) in cases {
            for size in [1, 3, Int.max] {
                let error = Outcome(Self.plan(), data, pieces: size).error
                #expect(error?.sqlState.code == state, "\(data)")
                #expect(error?.message == message, "\(data)")
                #expect(error?[.context] == context, "\(data)")
            }
        }
    }

    @Test func aKeyThatIsNullOrTooLongIsRefused() {
        let null = Outcome(Self.plan(), Self.header + Self.row(nil, nil)).error
        #expect(null?[.detail] == "PGM-KEY-NULL")
        #expect(null?[.context] == "COPY t, line 1, column c1")
        let long = Outcome(Self.plan(1043, keyLengthMax: 3), Self.header + Self.row(Array("éééé".utf8), nil)).error
        #expect(long?.sqlState == .stringDataRightTruncation)
        #expect(Outcome(Self.plan(1043, keyLengthMax: 4), Self.header + Self.row(Array("éééé".utf8), nil)).error == nil)
    }

    @Test func aRowBeyondTheLimitIsRefusedBeforeItHasArrived() {
        let start = Self.header + [0, 2, 0x7f, 0xff, 0xff, 0xff]
        #expect(Outcome(Self.plan(), start, rowMax: 1000).error?[.detail]?.hasPrefix("PGM-COPY-ROW") == true)
        let row = Self.row(Self.integer(Int64(1)), [UInt8](repeating: 0, count: 82))
        #expect(row.count == 100)
        #expect(Outcome(Self.plan(), Self.header + row, pieces: 9, rowMax: 100).error == nil)
        #expect(Outcome(Self.plan(), Self.header + row, pieces: 9, rowMax: 99).error?[.detail]?.hasPrefix("PGM-COPY-ROW") == true)
    }
}
