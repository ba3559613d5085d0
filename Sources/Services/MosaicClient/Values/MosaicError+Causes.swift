internal import PGChannel
internal import PGTypes
internal import PGWire
internal import RoutePlanning
internal import SQLSyntax
internal import ShardModel

// From the errors of the layers below to the client's own.

extension MosaicError {
    init(_ error: PGClientError) {
        let execution: Execution =
            switch error.execution {
            case .didNotRun: .didNotRun
            case .unknown: .unknown
            case .ran: .ran
            }
        switch error.cause {
        case .server(let answer):
            // The session has ended with the statement: nobody knows which of the two came first.
            let isLost = answer.isFatal || answer.sqlState.classCode == "08"
            self.init(isLost ? .connectionLost : .server, answer.message, execution: execution, sqlState: answer.sqlState.code)
            server = Server(answer)
        case .connect(let reason):
            self.init(.serverUnavailable, reason.description, sqlState: reason.sqlState.code)
            if case .refused(let answer) = reason { server = Server(answer) }
        case .connectionClosed: self.init(.connectionLost, "the connection was closed", execution: execution, sqlState: "08006")
        case .protocolViolation: self.init(.connectionLost, "the server broke the protocol", execution: execution, sqlState: "08P01")
        case .timedOut: self.init(.timedOut, "the server did not answer in time", execution: execution)
        case .cancelled: self.init(.cancelled, "the task was cancelled", execution: execution)
        case .tooManyCalls: self.init(.poolFull, "too many calls wait for one connection", execution: execution)
        case .invalidCall(let reason): self.init(.needsRouter, reason, execution: execution)
        case .resultTooLarge: self.init(.resultTooLarge, "the answer is larger than resultBytesMax", execution: execution)
        case .copySource: self.init(.connectionLost, "COPY ended early", execution: execution)
        }
    }

    /// Whatever a call below threw.
    static func from(_ error: any Error) -> MosaicError {
        switch error {
        case let error as MosaicError: error
        case let error as PGClientError: MosaicError(error)
        case is CancellationError: .cancelled
        default: MosaicError(.connectionLost, "\(error)", execution: .unknown)
        }
    }

    init(_ refusal: Refusal) {
        let subject = refusal.subject.isEmpty ? "" : ": \(refusal.subject)"
        self.init(.needsRouter, refusal.code.message + subject, sqlState: refusal.code.sqlState)
        self.refusal = refusal.code.rawValue
    }

    init(_ error: SQLSyntax.SyntaxError) { self.init(.syntax, error.message, sqlState: error.sqlState) }

    init(_ error: KeyError) {
        switch error {
        case .null: self.init(Refusal(.keyIsNull))
        case .unsupportedType(let oid): self.init(Refusal(.keyType, "type \(oid)"))
        default: self.init(Refusal(.keyMalformed))
        }
    }

    init(_ error: TopologyError) {
        switch error {
        case .unknownDatabase(let name): self.init(.unknownDatabase, "the catalog has no database \"\(name)\"")
        case .noShards(let name), .noHomeShard(let name): self.init(.unknownDatabase, "database \"\(name)\" has no shards yet")
        case .ring: self.init(.unknownDatabase, "the catalog's ring is damaged: no key is routed by it")
        }
    }

    static var cancelled: MosaicError { MosaicError(.cancelled, "the task was cancelled") }
    static var shutDown: MosaicError { MosaicError(.shutDown, "the client was shut down") }
    static var noConnectionInTime: MosaicError { MosaicError(.timedOut, "no connection became free in time") }
}

extension MosaicError.Server {
    init(_ error: ServerError) {
        self.init(
            message: error.message, detail: error.detail, hint: error.hint, schema: error.schema, table: error.table, column: error.column,
            constraint: error.constraint)
    }
}
