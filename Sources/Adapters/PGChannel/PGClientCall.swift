internal import NIOCore
internal import PGWire

/// One call of `PGClient` on its way: what to send, what came back. Confined to the client's event loop.
final class PGClientCall {
    enum Kind {
        case query(rowsMax: Int?)
        case script
        /// Succeeds `ready` when the server takes data.
        case copyIn(ready: EventLoopPromise<Void>)
        case copyOut(PGCopyOutSink)
        /// Succeeds `ready` when both sides may send.
        case copyBoth(PGCopyOutSink, ready: EventLoopPromise<Void>)

        /// Where the server's CopyData goes.
        var sink: PGCopyOutSink? {
            switch self {
            case .copyOut(let sink), .copyBoth(let sink, _): sink
            case .query, .script, .copyIn: nil
            }
        }
    }

    let id: UInt64
    let kind: Kind
    /// The messages; given away when they are sent.
    var request: ByteBuffer
    let bytesMax: Int
    var timeout: Scheduled<Void>?
    /// The server began the COPY that the call is for.
    var hasCopied = false

    private var promise: EventLoopPromise<[PGResult]>?
    private var results: [PGResult] = []
    private var current = PGResult()
    private var bytesHeld = 0
    private var failure: PGClientError?

    /// Notices kept for one result.
    static let noticesMax = 100

    init(id: UInt64, kind: Kind, request: ByteBuffer, bytesMax: Int, promise: EventLoopPromise<[PGResult]>) {
        self.id = id
        self.kind = kind
        self.request = request
        self.bytesMax = bytesMax
        self.promise = promise
    }

    /// The caller has its answer already: what still comes is dropped.
    var isAbandoned: Bool { promise == nil }
    var hasFailed: Bool { failure != nil }

    func setColumns(_ columns: [RowDescription.Column]) { current.columns = columns }

    func addRow(_ row: DataRow, bytes: Int) {
        guard promise != nil, failure == nil else { return }
        if case .query(let rowsMax?) = kind, current.rows.count >= rowsMax {
            current.isTruncated = true
            return
        }
        bytesHeld += bytes
        guard bytesHeld <= bytesMax else {
            current.rows = []
            failure = PGClientError(.resultTooLarge, execution: .ran)
            return
        }
        current.rows.append(PGRow(values: Array(row.columns)))
    }

    func addNotice(_ notice: ServerError) {
        if current.notices.count < Self.noticesMax { current.notices.append(notice) }
    }

    /// `tag` is nil where the statement was empty, or suspended at its limit of rows.
    func endResult(tag: CommandTag?) {
        current.tag = tag
        results.append(current)
        current = PGResult()
    }

    func fail(_ error: ServerError) {
        guard failure == nil else { return }
        failure = PGClientError(.server(error), execution: execution(after: error))
    }

    func fail(_ error: PGClientError) {
        if failure == nil { failure = error }
    }

    /// An error undoes its statement, or the whole script where that did not commit in between. A session that died may have died behind its commit.
    private func execution(after error: ServerError) -> PGClientError.Execution {
        if error.isFatal || error.sqlState.classCode == "08" || error.sqlState == .statementCompletionUnknown { return .unknown }
        return results.isEmpty ? .didNotRun : .ran
    }

    /// ReadyForQuery: the caller gets what there is.
    func finish() {
        if isCopy, !hasCopied, failure == nil {
            failure = PGClientError(.invalidCall("the statement is not the COPY that the call is for"), execution: .ran)
        }
        if let failure { end(.failure(failure)) } else { end(.success(results)) }
    }

    private var isCopy: Bool {
        switch kind {
        case .copyIn, .copyOut, .copyBoth: true
        case .query, .script: false
        }
    }

    /// The caller gets this error now.
    func abandon(_ error: PGClientError) { end(.failure(failure ?? error)) }

    private func end(_ result: Result<[PGResult], PGClientError>) {
        timeout?.cancel()
        timeout = nil
        guard let promise else { return }
        self.promise = nil
        let error: PGClientError? = if case .failure(let error) = result { error } else { nil }
        switch kind {
        // Fulfilled already where the COPY began; a promise takes its first value only.
        case .copyIn(let ready): ready.fail(error ?? PGClientError(.connectionClosed, execution: .ran))
        case .copyOut(let sink): sink.end(error)
        case .copyBoth(let sink, let ready):
            ready.fail(error ?? PGClientError(.connectionClosed, execution: .ran))
            sink.end(error)
        case .query, .script: break
        }
        switch result {
        case .success(let results): promise.succeed(results)
        case .failure(let error): promise.fail(error)
        }
        self.results = []
        current = PGResult()
    }
}
