internal import NIOCore
internal import PGTypes
internal import PGWire
internal import RoutePlanning
internal import SessionCore
internal import ShardModel

/// Feeds bytes to the splitters of COPY data, as a whole and in pieces: the borders of messages must make no difference, and rows are what was given.
enum CopyFuzzer {
    /// Two rows of an int8 and a text.
    static let binary: [UInt8] =
        BinaryCopyForm.header + [0, 2, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 42, 0, 0, 0, 2, 97, 98]
        + [0, 2, 0, 0, 0, 8, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255] + BinaryCopyForm.trailer

    private static let rowMax = 64 << 10

    private struct Outcome: Equatable {
        var rows: [[UInt8]] = []
        var keys: [CopyKey] = []
        var error: ServerError?
    }

    static func run(_ body: ByteBuffer) throws(WireFuzzer.Finding) {
        let bytes = Array(body.readableBytesView)
        // A message of few bytes is the rule: each is a case of its own.
        let pieces = [Int.max, 1, 7]
        try requireSame("binary COPY data", bytes, pieces) { data, size in
            var splitter = BinaryCopySplitter(plan(.binary, .integer), rowMax: rowMax)
            return outcome(data, size, { (piece, sink) throws(ServerError) in try splitter.consume(piece.span.bytes, sink) }) {
                (sink) throws(ServerError) in try splitter.finish(sink)
            }
        }
        for (format, encoding) in [(SplitCopy.Format.text, CopyEncoding.utf8), (.csv, .utf8), (.text, .latin1), (.csv, .asciiSafe)] {
            try requireSame("\(format) COPY data", bytes, pieces) { data, size in
                var splitter = CopySplitter(plan(format, .text, encoding), rowMax: rowMax)
                return outcome(data, size, { (piece, sink) throws(ServerError) in try splitter.consume(piece.span.bytes, sink) }) {
                    (sink) throws(ServerError) in try splitter.finish(sink)
                }
            }
        }
    }

    private static func plan(_ format: SplitCopy.Format, _ type: KeyType, _ encoding: CopyEncoding = .utf8) -> SplitCopy {
        SplitCopy(
            table: QualifiedName(schema: "public", name: "t"), format: format, keyColumn: 0, columnCount: 2, keyType: type,
            keyTypeOID: type == .integer ? 20 : 25, encoding: encoding, delimiter: format == .csv ? 0x2c : 0x09,
            null: format == .csv ? [] : Array("\\N".utf8), columns: ["k", "v"])
    }

    private static func outcome(
        _ data: [UInt8], _ size: Int, _ consume: ([UInt8], CopySplitter.RowSink) throws(ServerError) -> Void,
        _ finish: (CopySplitter.RowSink) throws(ServerError) -> Void
    ) -> Outcome {
        var outcome = Outcome()
        let sink: CopySplitter.RowSink = { (row, key) throws(ServerError) in
            outcome.rows.append(row.withUnsafeBytes { Array($0) })
            outcome.keys.append(key)
        }
        var failure: ServerError?
        do throws(ServerError) {
            var rest = data[...]
            while !rest.isEmpty {
                let piece = Array(rest.prefix(size))
                rest = rest.dropFirst(piece.count)
                try consume(piece, sink)
            }
            try finish(sink)
        } catch {
            failure = error
        }
        outcome.error = failure
        return outcome
    }

    private static func requireSame(
        _ what: String, _ bytes: [UInt8], _ pieces: [Int], _ split: ([UInt8], Int) -> Outcome
    ) throws(WireFuzzer.Finding) {
        // Every byte by itself of a long input takes too long for what it finds.
        let bytes = Array(bytes.prefix(2048))
        let whole = split(bytes, pieces[0])
        guard whole.rows.reduce(0, { $0 + $1.count }) <= bytes.count + BinaryCopyForm.headerLength else {
            throw WireFuzzer.Finding(what: "\(what): the rows are more than the data")
        }
        for size in pieces.dropFirst() where split(bytes, size) != whole {
            throw WireFuzzer.Finding(what: "\(what) in pieces of \(size) bytes are read in another way")
        }
    }
}
