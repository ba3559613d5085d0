internal import ControlAPI
internal import PGWire
internal import RoutePlanning

// What a failed statement answers over REST: one place for the way from SQLSTATE to status and code.

extension APIError {
    /// An error that the session or a shard gave.
    ///
    /// PostgreSQL's message is passed on to the client whose statement it is about; its DETAIL is not, for it quotes rows that the statement need not name
    /// ("Failing row contains …").
    init(_ error: ServerError) {
        let state = error.sqlState
        let refusal = error.refusalCode
        let code: APIErrorCode =
            switch state {
            case _ where refusal != nil: .sqlRefused
            case .transactionResolutionUnknown, .statementCompletionUnknown: .outcomeUnknown
            case .unableToEstablishConnection, .connectionFailure, .connectionDoesNotExist, .serverRejectedConnection, .connectionException,
                .crashShutdown, .cannotConnectNow:
                .shardUnavailable
            // Only shards name a source routine.
            case .adminShutdown: error[.routine] == nil ? .notReady : .shardUnavailable
            case .tooManyConnections: .tooManyRequests
            case .diskFull where error.isCatalogTrouble: .auditUnavailable
            case .ioError where error.isCatalogTrouble: .catalogUnavailable
            default: .sqlFailed
            }
        self.init(code, error.message, sqlstate: state.code, details: error.statementDetails)
    }

    /// The statement is of a kind that needs a session, and a request has none.
    init(_ refusal: RESTRefusal) {
        self.init(
            .sqlRefused, refusal.message, sqlstate: SQLState.featureNotSupported.code,
            details: ["refusal": .string(refusal.rawValue), "code": .string(refusal.rawValue), "hint": .string(refusal.hint)])
    }

    static let statementTimedOut = "the time given for the statement is over"

    /// The deadline passed. `mayHaveRun` is false when the statement provably had no effect.
    static func deadline(mayHaveRun: Bool) -> APIError {
        APIError(
            .deadlinePassed, statementTimedOut, sqlstate: SQLState.queryCanceled.code,
            details: ["outcome": mayHaveRun ? "unknown" : "not_executed"])
    }

    /// The caller closed its connection, or its side of it. Of 5xx, so that it is not kept as the answer to an `Idempotency-Key`: who comes back with the
    /// key wants the statement run.
    static let abandoned = APIError(
        .deadlinePassed, "the caller closed the connection before the answer, so the statement was cancelled", sqlstate: SQLState.queryCanceled.code,
        details: ["outcome": "not_executed"])

    /// The error is about one statement of a batch: `index` counts from 0.
    func at(statement index: Int) -> APIError {
        var error = self
        error.details = .object([.init("statement", .integer(Int64(index)))] + (details?.members ?? []))
        return error
    }

    /// Of a stream, which had rows before.
    static func streamTooLong(_ limit: String) -> APIError {
        APIError(.resultTooLarge, "the result exceeds \(limit); it is not complete, and a write is undone")
    }

    static func rowTooLarge(_ limit: String) -> APIError {
        APIError(.resultTooLarge, "a row exceeds \(limit); the result is not complete, and a write is undone")
    }

    static func resultTooLarge(_ limit: String) -> APIError {
        APIError(.resultTooLarge, "the result exceeds \(limit); nothing of it is returned, and a write is undone")
    }
}

extension ServerError {
    /// The `PGM-…` code that leads the DETAIL of a refusal.
    var refusalCode: String? {
        guard let detail, detail.hasPrefix("PGM-") else { return nil }
        return String(detail.prefix { $0 != ":" && $0 != " " })
    }

    /// The router's own error about the catalog, not a shard's about a file: only shards name a source routine.
    fileprivate var isCatalogTrouble: Bool { self[.routine] == nil }

    /// Names and places, and no text that could quote a row.
    fileprivate var statementDetails: JSONValue? {
        var members: [JSONValue.Member] = []
        if let refusalCode {
            members.append(.init("refusal", .string(refusalCode)))
            members.append(.init("code", .string(refusalCode)))
        }
        if let hint { members.append(.init("hint", .string(hint))) }
        if let position { members.append(.init("position", .integer(Int64(position)))) }
        for (name, value) in [("schema", schema), ("table", table), ("column", column), ("constraint", constraint)] {
            if let value { members.append(.init(name, .string(value))) }
        }
        return members.isEmpty ? nil : .object(members)
    }
}
