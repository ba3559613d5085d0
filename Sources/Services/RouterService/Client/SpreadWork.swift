internal import NIOCore
internal import PGWire
internal import RoutePlanning
internal import SQLSyntax
internal import ShardModel

/// A write over several shards, cut into what each of them has to do.
struct SpreadWork {
    struct Part {
        let pool: BackendPool
        /// Of an INSERT: the rows that this shard gets, by their place among the VALUES.
        let rows: [Int]
    }

    /// The client's statement.
    enum Origin {
        case query(_ frame: ByteBuffer, text: ByteBuffer)
        case execution(Statement, BindMessage)

        var text: ByteBuffer {
            switch self {
            case .query(_, let text): text
            case .execution(let statement, _): statement.parse.query
            }
        }
    }

    let parts: [Part]
    let areIndependent: Bool
    /// Of an INSERT: how many rows it has.
    let rowCount: Int
    /// Of the ring that the parts were cut by.
    let epoch: Epoch
    /// Of a write without keys, on every shard: the moves of vnodes that the router had heard of (`DatabaseState.moves`). nil: its keys say which shards.
    let moves: UInt64?
    /// Of an INSERT … SELECT whose rows go through the router.
    private(set) var sent: SentRows?
    private var sentMoments: SentMoments?
    /// Where its text asks for the moment, which all shards are given alike.
    private(set) var moment: MomentUse?
    private var origin: Origin
    /// The statement's text in place of the client's; nil: the client's own.
    private var text: ByteBuffer?
    private var rows: InsertRows?

    /// The portal's name on the shards, where a client's own may be in use.
    private static let portal = "pgmosaic_part"

    /// nil: the statement's text cannot be cut with certainty.
    init?(_ spread: Spread, _ parts: [Part], _ origin: Origin, epoch: Epoch) {
        self.parts = parts
        self.epoch = epoch
        moves = nil
        self.origin = origin
        switch spread {
        case .sameText:
            (areIndependent, rowCount, rows) = (false, 0, nil)
        case .rows(let keys, let areIndependent):
            guard let rows = InsertRows(Array(buffer: origin.text), count: keys.count) else { return nil }
            if case .execution(let statement, _) = origin {
                let types = statement.parameterTypes
                if rows.repeatsAParameter(among: { $0 > types.count || types[$0 - 1] == 0 }) { return nil }
            }
            (self.areIndependent, rowCount, self.rows) = (areIndependent, keys.count, rows)
        }
    }

    /// Of a write without keys: the same text on each of the shards, which are all.
    init(everywhere pools: some Sequence<BackendPool>, _ origin: Origin, epoch: Epoch, moves: UInt64) {
        parts = pools.map { Part(pool: $0, rows: []) }
        self.epoch = epoch
        self.moves = moves
        self.origin = origin
        (areIndependent, rowCount, rows) = (false, 0, nil)
    }

    /// - moments: nil where the text does not ask for them.
    mutating func send(_ sent: SentRows, _ moments: SentMoments?) { (self.sent, sentMoments) = (sent, moments) }

    var needsMoment: Bool { moment != nil || sentMoments != nil }

    /// - moment: nil where the text does not ask for it.
    mutating func ask(_ moment: MomentUse?) { self.moment = moment.flatMap { $0.isEmpty ? nil : $0 } }

    /// Writes the moments into the text; false: it cannot be cut any more.
    mutating func state(transaction: String, statement: String) -> Bool {
        if let sent, let sentMoments { self.sent = sent.stating(sentMoments, transaction: transaction, statement: statement) }
        sentMoments = nil
        guard let moment else { return true }
        self.moment = nil
        let new = moment.text(Array(buffer: origin.text), transaction: transaction, statement: statement)
        text = ByteBuffer(bytes: new)
        guard rows != nil else { return true }
        rows = InsertRows(new, count: rowCount)
        return rows != nil
    }

    /// Places in the text that the shards get are not those of the client's.
    var hasOwnText: Bool { text != nil || rows != nil }

    /// A row that two shards have for a while would be written twice.
    var findsStrays: Bool { rows == nil && parts.count > 1 }

    /// nil: it came as a simple query.
    var bind: BindMessage? { if case .execution(_, let bind) = origin { bind } else { nil } }
    var parameterTypes: [UInt32] { if case .execution(let statement, _) = origin { statement.parameterTypes } else { [] } }
    var resultFormats: FormatList? { bind?.resultFormats }

    /// The messages for one shard, answered by one ReadyForQuery.
    func write(_ position: Int, into buffer: inout ByteBuffer) {
        let part = rows?.statement(with: parts[position].rows)
        switch origin {
        case .query(let frame, _):
            if let part { return buffer.writeQuery(ByteBuffer(bytes: part.text)) }
            if let text { return buffer.writeQuery(text) }
            buffer.writeImmutableBuffer(frame)
        case .execution(let statement, let bind):
            let numbers: [Int]
            if let part {
                numbers = part.parameters
                let types = statement.parameterTypes
                buffer.writeParse(
                    name: "", query: ByteBuffer(bytes: part.text), parameterTypes: numbers.map { $0 <= types.count ? types[$0 - 1] : 0 })
            } else {
                numbers = Array(1..<(bind.parameterCount + 1))
                if let text {
                    buffer.writeParse(name: "", query: text, parameterTypes: statement.parameterTypes)
                } else {
                    buffer.writeParse(rewriting: statement.parse, name: "")
                }
            }
            buffer.writeBind(selecting: numbers, of: bind, portal: Self.portal, statement: "")
            buffer.writeExecute(portal: Self.portal)
            buffer.writeClose(.portal, name: Self.portal)
            buffer.writeSync()
        }
    }
}

/// What the shards answered to their parts, put together as the answer of one.
struct SpreadAnswers {
    private let parts: [SpreadWork.Part]
    private let rowCount: Int
    private var notices = ByteBuffer()
    private var description: ByteBuffer?
    private let isEverywhere: Bool
    private let hasOwnText: Bool
    private var rows: [[ByteBuffer]]
    private var tag = ""
    private var count: UInt64 = 0
    private(set) var error: ServerError?
    /// For the answers of all parts together.
    let budget: AnswerBudget

    init(_ work: SpreadWork, _ budget: AnswerBudget) {
        self.budget = budget
        parts = work.parts
        rowCount = work.rowCount
        isEverywhere = work.moves != nil
        hasOwnText = work.hasOwnText
        rows = Array(repeating: [], count: work.parts.count)
    }

    mutating func add(_ exchange: Exchange, at position: Int, _ failure: ServerError?) {
        if let failure {
            // The place in the text is that of a part, or behind a moment.
            var failure = failure
            if hasOwnText { failure[.position] = nil }
            if error == nil { error = failure }
            return
        }
        var rest = exchange.answers
        while let frame = try? rest.readFrame(limit: .max) {
            switch frame.kind {
            case BackendKind.noticeResponse: notices.writeFrame(frame.kind) { $0.writeImmutableBuffer(frame.body) }
            case BackendKind.rowDescription:
                if let column = disagreement(of: frame.body), error == nil { error = .refusal(Refusal(.typesDiffer, column)) }
                if description == nil { description = frame.body }
            case BackendKind.dataRow: rows[position].append(frame.body)
            default: break
            }
        }
        guard let text = exchange.tags.last, let blank = text.lastIndex(of: " "), let number = UInt64(text[text.index(after: blank)...]),
            tag.isEmpty || tag == text[...blank]
        else {
            // A rule may have made another statement of it.
            if error == nil { error = .shardsDisagree(parts[position].pool.shardID) }
            return
        }
        tag = String(text[...blank])
        count += number
    }

    /// A type of one's own has another number on each shard, so only one of them could be right about it.
    private func disagreement(of body: ByteBuffer) -> String? {
        guard isEverywhere, let description, let first = try? RowDescription(body: description).columns, let new = try? RowDescription(body: body).columns else { return nil }
        guard first.count == new.count else { return "their number" }
        return zip(first, new).first { $0.name != $1.name || $0.typeOID != $1.typeOID || $0.typeModifier != $1.typeModifier }?.0.name
    }

    var merged: Result<ByteBuffer, ServerError> {
        if let error { return .failure(error) }
        var buffer = notices
        if let description { buffer.writeFrame(BackendKind.rowDescription) { $0.writeImmutableBuffer(description) } }
        for row in rowsInOrder { buffer.writeFrame(BackendKind.dataRow) { $0.writeImmutableBuffer(row) } }
        buffer.writeCommandComplete(tag: "\(tag)\(count)")
        return .success(buffer)
    }

    /// RETURNING of an INSERT: in the order of its rows, where each gave one. Otherwise shard by shard.
    private var rowsInOrder: [ByteBuffer] {
        guard rowCount > 0, zip(parts, rows).allSatisfy({ $0.rows.count == $1.count }) else { return rows.flatMap(\.self) }
        var result = Array(repeating: ByteBuffer(), count: rowCount)
        for (part, rows) in zip(parts, rows) {
            for (place, row) in zip(part.rows, rows) { result[place] = row }
        }
        return result
    }
}
