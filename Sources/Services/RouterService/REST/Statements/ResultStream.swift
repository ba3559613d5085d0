internal import ControlAPI
internal import NIOCore

/// A part of an answer that goes to its caller while it is made.
struct ResultPiece: Sendable {
    enum Kind {
        /// Lines, and more to come.
        case lines
        /// The last lines.
        case lastLines
        /// No lines at all: an answer in one, like any other.
        case whole
    }
    var kind: Kind
    var bytes: [UInt8]
}

/// A result's way to a caller who takes it in pieces: what waits for him besides the rows, and whether he waits. Confined to the loop of its call.
final class ResultStream {
    /// With so much of rows waiting for the caller the session is not read any further, and with it the shard.
    static let waitingMax = 64 << 10

    private enum Head {
        /// No row has arrived.
        case unneeded
        /// The names of the columns' types are being asked for.
        case asked
        case known([UInt8])
        case taken
    }
    private enum End {
        case whole([UInt8])
        /// The last line.
        case complete([UInt8])
        case failed(APIError)
    }

    private var head = Head.unneeded
    private var end: End?
    /// There is one at most: the caller's next piece.
    private var taker: EventLoopPromise<ResultPiece>?
    /// Everything is said, or nobody takes it any more.
    private(set) var isOver = false

    var needsHead: Bool { if case .unneeded = head { true } else { false } }

    func headIsAsked() { head = .asked }

    /// The first line, with its end.
    func headIsKnown(_ line: [UInt8]) { head = .known(line) }

    /// An answer that is no stream.
    func answer(_ whole: [UInt8]) { end = end ?? .whole(whole) }

    /// The result is complete, and `line` the last one.
    func complete(_ line: [UInt8]) { end = end ?? .complete(line) }

    func fail(_ error: APIError) { end = end ?? .failed(error) }

    /// The caller waits for the next piece. Precondition: no other does.
    func take(_ promise: EventLoopPromise<ResultPiece>) {
        precondition(taker == nil, "a caller takes one piece after the other")
        taker = promise
    }

    /// Nobody takes anything any more.
    func drop() { give(APIError.abandoned) }

    /// Hands out what there is, if the caller waits. `rows` gives the lines that have arrived since the last time.
    func deliver(_ rows: () -> [UInt8]) {
        guard taker != nil else { return }
        switch (head, end) {
        case (_, .whole(let bytes)?): give(.init(kind: .whole, bytes: bytes))
        case (.unneeded, .failed(let error)?): give(error)
        case (.unneeded, _), (.asked, _): break
        case (.known(let line), let end):
            head = .taken
            give(line + rows(), end)
        case (.taken, let end):
            let lines = rows()
            if lines.isEmpty, case .failed(let error)? = end { return give(error) }
            give(lines, end)
        }
    }

    private func give(_ lines: [UInt8], _ end: End?) {
        if case .complete(let line)? = end { return give(.init(kind: .lastLines, bytes: lines + line)) }
        if !lines.isEmpty { give(.init(kind: .lines, bytes: lines)) }
    }

    private func give(_ piece: ResultPiece) {
        isOver = piece.kind != .lines
        taker?.succeed(piece)
        taker = nil
    }

    private func give(_ error: APIError) {
        isOver = true
        taker?.fail(error)
        taker = nil
    }
}
