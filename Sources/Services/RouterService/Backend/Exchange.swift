internal import NIOCore
internal import PGWire

/// One conversation of the router's own with a backend: messages out, answers collected up to the last ReadyForQuery.
final class Exchange {
    /// Which of the answers are kept as they came.
    enum Keep {
        /// None: the error and the tags are enough.
        case outcome
        /// What a client sees of a simple query, or of Describe.
        case simpleQuery
        /// What a client sees of Execute.
        case executeOnly
    }

    enum Result {
        /// Every ReadyForQuery arrived; `Exchange.error` may say that a statement failed.
        case done
        /// The connection broke; whether the statements took effect is unknown.
        case lost
    }

    private let keep: Keep
    private let budget: AnswerBudget
    /// ReadyForQuery messages still to come of statements whose answers are of no interest.
    private var preludes: Int
    private var readies: Int
    /// nil once it has been called: what it holds may hold the exchange.
    private var completion: ((Exchange, Result) -> Void)?
    /// Called for CopyInResponse, with the whole message.
    var onCopyIn: ((ByteBuffer) -> Void)?
    /// Called for CopyOutResponse and CopyData.
    var onCopyOut: ((Frame) -> Void)?
    /// Called for RowDescription and DataRow, those of the preludes left out; they are not kept then.
    var onRow: ((Frame) -> Void)?

    /// The first error.
    private(set) var error: ServerError?
    /// Command tags, those of the preludes left out.
    private(set) var tags: [String] = []
    /// The kept messages, whole and in order.
    private(set) var answers = ByteBuffer()
    private(set) var isTooLarge = false
    /// ParameterStatus messages, whole.
    private(set) var parameterChanges: [ByteBuffer] = []
    /// What the last ReadyForQuery said.
    private(set) var status: UInt8 = 0x49

    /// - preludes: how many simple queries come first, each answered by a ReadyForQuery.
    /// - readies: how many ReadyForQuery messages answer the rest.
    init(
        _ keep: Keep = .outcome, preludes: Int = 0, readies: Int = 1, budget: AnswerBudget,
        _ completion: @escaping (Exchange, Result) -> Void
    ) {
        self.keep = keep
        self.preludes = preludes
        self.readies = readies
        self.budget = budget
        self.completion = completion
    }

    convenience init(
        _ keep: Keep = .outcome, preludes: Int = 0, readies: Int = 1, bytesMax: Int = 1 << 20,
        _ completion: @escaping (Exchange, Result) -> Void
    ) {
        self.init(keep, preludes: preludes, readies: readies, budget: AnswerBudget(bytesMax), completion)
    }

    /// Takes one message; true when it was the last.
    func received(_ frame: Frame) -> Bool {
        switch frame.kind {
        case BackendKind.readyForQuery:
            if preludes > 0 { preludes -= 1 } else { readies -= 1 }
            return preludes == 0 && readies == 0
        case BackendKind.errorResponse:
            if error == nil {
                error = (try? ServerError(body: frame.body)) ?? WireError(.invalidValue, kind: frame.kind).serverError
            }
        case BackendKind.parameterStatus:
            parameterChanges.append(Self.message(frame))
        case BackendKind.notificationResponse:
            break
        case BackendKind.copyInResponse:
            onCopyIn?(Self.message(frame))
        case BackendKind.copyOutResponse, BackendKind.copyData:
            onCopyOut?(frame)
        default:
            if preludes == 0 { receivedAnswer(frame) }
        }
        return false
    }

    private func receivedAnswer(_ frame: Frame) {
        if frame.kind == BackendKind.commandComplete, let tag = try? CommandTag(body: frame.body) { tags.append(tag.text) }
        if let onRow, frame.kind == BackendKind.dataRow || frame.kind == BackendKind.rowDescription { return onRow(frame) }
        guard keeps(frame.kind) else { return }
        guard budget.spend(frame.body.readableBytes + FrameHeader.length) else {
            isTooLarge = true
            return
        }
        answers.writeFrame(frame.kind) { $0.writeImmutableBuffer(frame.body) }
    }

    /// The rows of each kept query's answer, as text.
    var textResults: [[[String?]]] {
        var results: [[[String?]]] = []
        var rows: [[String?]] = []
        var rest = answers
        while let frame = try? rest.readFrame(limit: .max) {
            switch frame.kind {
            case BackendKind.dataRow:
                guard let row = try? DataRow(body: frame.body) else { continue }
                rows.append(row.columns.map { $0.map { String(buffer: $0) } })
            case BackendKind.commandComplete:
                results.append(rows)
                rows = []
            default: break
            }
        }
        return results
    }

    private func keeps(_ kind: UInt8) -> Bool {
        switch keep {
        case .outcome: false
        case .simpleQuery: true
        case .executeOnly:
            kind == BackendKind.dataRow || kind == BackendKind.commandComplete || kind == BackendKind.noticeResponse
                || kind == BackendKind.emptyQueryResponse
        }
    }

    private static func message(_ frame: Frame) -> ByteBuffer {
        var whole = ByteBuffer()
        whole.writeFrame(frame.kind) { $0.writeImmutableBuffer(frame.body) }
        return whole
    }

    func finish(status: UInt8) {
        self.status = status
        end(.done)
    }

    func lost() { end(.lost) }

    private func end(_ result: Result) {
        let completion = completion
        (self.completion, onCopyIn, onCopyOut, onRow) = (nil, nil, nil, nil)
        completion?(self, result)
    }
}

/// How many bytes of answers may still be kept, by one exchange or by several that answer one statement.
final class AnswerBudget {
    private var left: Int

    init(_ bytes: Int) { left = bytes }

    /// False when there is no room for them; then there is none for anything after them either.
    func spend(_ bytes: Int) -> Bool {
        guard left >= bytes else {
            left = 0
            return false
        }
        left -= bytes
        return true
    }
}
