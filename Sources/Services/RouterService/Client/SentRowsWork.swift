internal import NIOCore
internal import PGWire
internal import RoutePlanning
internal import SQLSyntax

/// The rows of a query as INSERTs for the shards, and what these answer.
struct SentRowsWork {
    let sent: SentRows
    let collected: CollectedRows
    let types: [UInt32]
    let resultFormats: FormatList?
    private var notices = ByteBuffer()
    private var description: ByteBuffer?
    /// What each shard returned, and for which rows.
    private var returned: [(places: [Int], rows: [ByteBuffer])] = []
    private(set) var count: UInt64 = 0

    /// The portal's name on the shards, where a client's own may be in use.
    private static let portal = "pgmosaic_rows"
    /// The protocol numbers parameters with 16 bits.
    private static let parametersMax = 65535
    /// Of one INSERT, roughly.
    private static let bytesMax = 4 << 20

    init(_ sent: SentRows, _ collected: CollectedRows, types: [UInt32], resultFormats: FormatList?) {
        (self.sent, self.collected, self.types, self.resultFormats) = (sent, collected, types, resultFormats)
    }

    /// The rows of one INSERT each; nil: they do not fit into one that must be whole.
    func chunks(_ places: [Int]) -> [ArraySlice<Int>]? {
        var chunks: [ArraySlice<Int>] = []
        var (first, bytes) = (0, 0)
        for index in places.indices {
            let size = collected.rows[places[index]].readableBytes
            if index > first, (index - first + 1) * sent.width > Self.parametersMax || bytes + size > Self.bytesMax && !sent.isWhole {
                chunks.append(places[first..<index])
                (first, bytes) = (index, 0)
            }
            bytes += size
        }
        if first < places.count { chunks.append(places[first...]) }
        return sent.isWhole && chunks.count > 1 ? nil : chunks
    }

    /// The messages for one shard, answered by one ReadyForQuery.
    func write(_ chunks: [ArraySlice<Int>], into buffer: inout ByteBuffer) {
        for (number, chunk) in chunks.enumerated() {
            buffer.writeParse(name: "", query: text(chunk.count), parameterTypes: (0..<chunk.count).flatMap { _ in types })
            writeBind(chunk, into: &buffer)
            if number == 0 { buffer.writeDescribe(.portal, name: Self.portal) }
            buffer.writeExecute(portal: Self.portal)
            buffer.writeClose(.portal, name: Self.portal)
        }
        buffer.writeSync()
    }

    /// What asks for the columns of RETURNING only.
    func writeDescribe(into buffer: inout ByteBuffer) {
        buffer.writeParse(name: "", query: text(1), parameterTypes: types)
        buffer.writeDescribe(.statement, name: "")
        buffer.writeSync()
    }

    private func text(_ rows: Int) -> ByteBuffer { ByteBuffer(bytes: sent.parts.statement(rows: rows, width: sent.width)) }

    private func writeBind(_ chunk: ArraySlice<Int>, into buffer: inout ByteBuffer) {
        buffer.writeFrame(FrontendKind.bind) { buffer in
            buffer.writeNullTerminatedString(Self.portal)
            buffer.writeNullTerminatedString("")
            let count = UInt16(chunk.count * types.count)
            buffer.writeInteger(count)
            for _ in chunk { for type in types { buffer.writeInteger((type == 0 ? WireFormat.text : .binary).rawValue) } }
            buffer.writeInteger(count)
            for place in chunk { buffer.writeImmutableBuffer(collected.rows[place]) }
            buffer.writeInteger(UInt16(resultFormats?.count ?? 0))
            for place in 0..<(resultFormats?.count ?? 0) { buffer.writeInteger(resultFormats?[place].rawValue ?? 0) }
        }
    }

    // MARK: Answers

    /// - counts: the rows are others than those of the shards before.
    mutating func add(_ answers: ByteBuffer, of places: [Int], counts: Bool = true) {
        var rest = answers
        var (rows, count): ([ByteBuffer], UInt64) = ([], 0)
        while let frame = try? rest.readFrame(limit: .max) {
            switch frame.kind {
            case BackendKind.noticeResponse: notices.writeFrame(frame.kind) { $0.writeImmutableBuffer(frame.body) }
            case BackendKind.rowDescription: description = description ?? frame.body
            case BackendKind.dataRow: rows.append(frame.body)
            case BackendKind.commandComplete: count += (try? CommandTag(body: frame.body))?.rows.map { UInt64($0) } ?? 0
            default: break
            }
        }
        guard counts else { return }
        self.count += count
        returned.append((places, rows))
    }

    /// The answer of one PostgreSQL: RETURNING in the query's order, where each row gave one.
    func answer(showsColumns: Bool) -> ByteBuffer {
        var buffer = notices
        if showsColumns, let description { buffer.writeFrame(BackendKind.rowDescription) { $0.writeImmutableBuffer(description) } }
        for row in inOrder { buffer.writeFrame(BackendKind.dataRow) { $0.writeImmutableBuffer(row) } }
        buffer.writeCommandComplete(tag: "\(sent.move == nil ? "INSERT 0" : "UPDATE") \(count)")
        return buffer
    }

    private var inOrder: [ByteBuffer] {
        guard returned.allSatisfy({ $0.places.count == $0.rows.count }) else { return returned.flatMap(\.rows) }
        return returned.flatMap { zip($0.places, $0.rows) }.sorted { $0.0 < $1.0 }.map(\.1)
    }
}
