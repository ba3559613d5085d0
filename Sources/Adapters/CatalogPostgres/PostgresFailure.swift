internal import CatalogStore
internal import PGChannel
internal import PGWire

/// What an error of the server or of the way to it means for the caller of a store.
enum PostgresFailure {
    /// `place` names the server, without a password. A call that may have taken effect is `.unknownOutcome` when `isWrite`.
    static func catalogError(_ error: any Error, _ place: String, isWrite: Bool) -> CatalogError {
        switch error {
        case let error as CatalogError: error
        case let error as PGClientError: catalogError(error, place, isWrite: isWrite)
        default: .unavailable("\(place): \(error)")
        }
    }

    private static func catalogError(_ error: PGClientError, _ place: String, isWrite: Bool) -> CatalogError {
        if case .server(let error) = error.cause, !error.isFatal, error.sqlState.classCode != "08" { return catalogError(error, place) }
        if isWrite, error.execution != .didNotRun { return .unknownOutcome("\(place): \(error)") }
        if case .resultTooLarge = error.cause { return .invalid("\(place): the catalog is larger than this version reads") }
        return .unavailable("\(place): \(reason(error))")
    }

    /// An error that ended the statement and not the session: it had no effect.
    private static func catalogError(_ error: ServerError, _ place: String) -> CatalogError {
        switch error.sqlState {
        case .undefinedTable, .undefinedColumn, .invalidSchemaName:
            .foreign("\(place): the catalog's tables are not there, or not as this version knows them: \(error.message)")
        case .readOnlyTransaction: .unavailable("\(place): the server takes no writes: \(error.message)")
        // A character or a length that PostgreSQL cannot store.
        case .characterNotInRepertoire, .programLimitExceeded: .invalid("\(place) cannot store it: \(error.message)")
        case .queryCanceled, .lockNotAvailable: .unavailable("\(place): the server did not get to it in time")
        default:
            error.sqlState.classCode == "23" || error.sqlState.classCode == "XX"
                ? .invalid("\(place): the stored catalog is damaged: \(error.sqlState) \(error.message)")
                : .unavailable("\(place): \(error.sqlState) \(error.message)")
        }
    }

    private static func reason(_ error: PGClientError) -> String {
        switch error.cause {
        case .timedOut: "the server does not answer"
        case .connectionClosed: "the connection was lost"
        default: error.description
        }
    }
}
