internal import NIOCore
internal import PGWire
internal import RoutePlanning
internal import SessionCore

/// The rows of every shard in the order that is asked for, each given as soon as it is known to be the next one.
///
/// Of each shard the router holds what has come and was not next yet: `bytesMax`, and what one reading of a socket brings more. A shard that has so much is not read
/// until it is down to a quarter.
final class SortedGather: Gather {
    static let bytesMax = 64 << 10
    /// What a shard may still send when the answer is complete, before its statement is cancelled: less than a cancel costs.
    static let leftoverMax = 256 << 10

    final class Lane {
        let backend: Backend
        /// Bodies of rows that have not been passed on.
        private var rows = CircularBuffer<ByteBuffer>()
        private(set) var bytes = 0
        private(set) var isFull = false
        /// It has said which columns it gives.
        var isBegun = false
        var isDone = false
        /// How many have come.
        var count = 0
        /// What has come after the answer was complete.
        var leftover = 0
        var isCancelled = false

        init(_ backend: Backend) { self.backend = backend }

        var first: ByteBuffer? { rows.first }

        func add(_ row: ByteBuffer) {
            rows.append(row)
            bytes += row.readableBytes
            if bytes >= SortedGather.bytesMax { isFull = true }
        }

        func take() -> ByteBuffer? {
            guard let row = rows.popFirst() else { return nil }
            bytes -= row.readableBytes
            if bytes <= SortedGather.bytesMax / 4 { isFull = false }
            return row
        }

        func drop() {
            rows.removeAll()
            (bytes, isFull) = (0, false)
        }
    }

    let combination: GatherCombination
    let plan: GatherMerge
    let origin: GatherOrigin
    let bounds: RowBounds
    /// It is the whole transaction of a simple query. In a batch Sync commits.
    let isImplicit: Bool
    let isInBatch: Bool
    /// Its shards are in no transaction, so that their statements may be cancelled.
    let isBare: Bool
    /// `DatabaseState.moves` at the beginning.
    let moves: UInt64
    let lanes: [Lane]
    /// The home shard's, the hidden ones included.
    var columns: [RowDescription.Column] = []
    var common = CommonColumns()
    /// Made when all shards have said what they give.
    var merge: RowMerge?
    /// The answer is complete: what still comes is passed over.
    var isOver = false
    /// How many rows the client has been given.
    var given = 0
    /// The first error: what comes after it is passed over.
    var error: ServerError?
    var goesOn: ((ServerError) -> Bool)?

    init(
        _ combination: GatherCombination, _ plan: GatherMerge, _ bounds: RowBounds, _ origin: GatherOrigin, _ backends: [Backend], isImplicit: Bool, isInBatch: Bool, isBare: Bool,
        moves: UInt64
    ) {
        (self.combination, self.plan, self.bounds, self.origin) = (combination, plan, bounds, origin)
        (self.isImplicit, self.isInBatch, self.isBare, self.moves) = (isImplicit, isInBatch, isBare, moves)
        lanes = backends.map(Lane.init)
    }

    var hasBegun: Bool { lanes.allSatisfy(\.isBegun) }
    var isDone: Bool { lanes.allSatisfy(\.isDone) }
    /// Those of the answer.
    var shown: [RowDescription.Column] { Array(columns.dropFirst(plan.hidden)) }

    func steer(in session: ClientSession) { session.steer(self) }
    func stop(in session: ClientSession, _ error: ServerError) { session.stop(self, error) }

    // MARK: What is sent

    /// The formats of the shards' rows; nil: the client's number of formats does not fit, which the shard says.
    static func formats(_ combination: GatherCombination, _ plan: GatherMerge, _ origin: GatherOrigin) -> [WireFormat]? {
        let wanted = origin.resultFormats
        let count = wanted?.count ?? 0
        guard count <= 1 || count == combination.width else { return nil }
        return Array(repeating: .binary, count: plan.hidden) + (0..<combination.width).map { wanted?[$0] ?? .text }
    }

    /// The messages for one shard, answered by one ReadyForQuery.
    func write(_ formats: [WireFormat], _ preparation: StatementPreparation?, into buffer: inout ByteBuffer) {
        let text = plan.text.map { ByteBuffer(bytes: $0) }
        switch origin {
        case .query(let frame):
            guard text != nil else { return _ = buffer.writeImmutableBuffer(frame) }
            buffer.writeParse(name: "", query: text ?? ByteBuffer())
            buffer.writeBind(portal: Self.portal, statement: "", parameters: [], resultFormats: formats)
        case .execution(let statement, let bind):
            if let text {
                buffer.writeParse(name: "", query: text, parameterTypes: statement.parameterTypes)
            } else if let preparation {
                preparation.write(statement, into: &buffer)
            } else {
                buffer.writeParse(rewriting: statement.parse, name: "")
            }
            let parameters = bind.parameters.enumerated().map { (value: $1, format: bind.format(ofParameter: $0)) }
            buffer.writeBind(portal: Self.portal, statement: preparation?.name ?? "", parameters: parameters, resultFormats: formats)
        }
        buffer.writeDescribe(.portal, name: Self.portal)
        buffer.writeExecute(portal: Self.portal)
        buffer.writeClose(.portal, name: Self.portal)
        buffer.writeSync()
    }

    /// The portal's name on the shards, where a client's own may be in use.
    private static let portal = "pgmosaic_sorted"

    // MARK: What has come

    /// Begins to merge. Answers the column whose type is none that the plan knows how to compare; nil: there is none.
    func begin() -> String? {
        var isBinary: [Bool] = []
        for (key, item) in zip(plan.keys, combination.order) {
            guard columns.indices.contains(key.place) else { return "their number" }
            let column = columns[key.place]
            guard column.typeOID == key.type.oid, column.format == .binary || key.type.isReadAsText else { return column.name }
            // Which column a bare name means depends on what all are called.
            if let name = item.name, shown.indices.filter({ shown[$0].name == name }) != (item.place < shown.count ? [item.place] : []) { return name }
            isBinary.append(column.format == .binary)
        }
        guard shown.count == combination.width else { return "their number" }
        merge = RowMerge(lanes: lanes.count, keys: plan.keys, isBinary: isBinary, limit: bounds.limit, offset: bounds.offset)
        return nil
    }
}

/// What the columns of all shards must be.
struct CommonColumns {
    private var columns: [RowDescription.Column]?

    /// The column that this shard has and another has otherwise; nil: they agree. Where a column stands in its table is each shard's own.
    mutating func disagreement(of description: RowDescription) -> String? {
        let own = description.columns.map { column in
            var column = column
            (column.tableOID, column.attributeNumber) = (0, 0)
            return column
        }
        guard let columns else {
            columns = own
            return nil
        }
        guard columns.count == own.count else { return "their number" }
        return zip(columns, own).first { $0 != $1 }?.1.name
    }
}

extension ByteBuffer {
    fileprivate mutating func writeBind(portal: String, statement: String, parameters: [BindValue], resultFormats: [WireFormat]) {
        writeFrame(FrontendKind.bind) { buffer in
            buffer.writeNullTerminatedString(portal)
            buffer.writeNullTerminatedString(statement)
            buffer.writeInteger(UInt16(parameters.count))
            for parameter in parameters { buffer.writeInteger(parameter.format.rawValue) }
            buffer.writeInteger(UInt16(parameters.count))
            for (value, _) in parameters {
                buffer.writeInteger(Int32(value?.readableBytes ?? -1))
                if let value { buffer.writeImmutableBuffer(value) }
            }
            buffer.writeInteger(UInt16(resultFormats.count))
            for format in resultFormats { buffer.writeInteger(format.rawValue) }
        }
    }
}
