internal import PGTypes
internal import PGWire
internal import RoutePlanning
internal import SQLSyntax
internal import ShardModel

// Every error that the router itself gives a client, one constructor a condition. Where PostgreSQL has the condition, its SQLSTATE and words
// are used, so that clients act as they always do.

extension ServerError {
    /// The shape is not run; see docs/reference/refusals.md.
    static func refusal(_ refusal: Refusal) -> ServerError {
        let code = refusal.code
        let subject = refusal.subject.isEmpty ? "" : ": \(refusal.subject)"
        return ServerError(
            sqlState: SQLState(code: code.sqlState) ?? .featureNotSupported, message: code.message + subject,
            detail: "\(code.rawValue)", hint: code.hint, position: refusal.location.map { $0 + 1 })
    }

    static func syntax(_ error: SyntaxError) -> ServerError {
        ServerError(
            sqlState: SQLState(code: error.sqlState) ?? .syntaxError, message: error.message, hint: error.hint, position: error.position)
    }

    static func keyError(_ error: KeyError) -> ServerError {
        switch error {
        case .null: .refusal(Refusal(.keyIsNull))
        case .unsupportedType(let oid): .refusal(Refusal(.keyType, "type \(oid)"))
        default: .refusal(Refusal(.keyMalformed))
        }
    }

    // MARK: Transactions

    static let failedTransaction = ServerError(
        sqlState: .inFailedTransaction,
        message: "current transaction is aborted, commands ignored until end of transaction block")
    static let doomed = ServerError(
        sqlState: .inFailedTransaction, message: "a shard of the transaction was lost: it can only be rolled back as a whole")
    static let alreadyInTransaction = ServerError(
        severity: .warning, sqlState: .activeTransaction, message: "there is already a transaction in progress")
    static let noTransactionInProgress = ServerError(
        severity: .warning, sqlState: .noActiveTransaction, message: "there is no transaction in progress")
    static let notInTransactionBlock = ServerError(
        sqlState: .activeTransaction, message: "the statement cannot run inside a transaction block")
    static let discardAllInTransaction = ServerError(
        sqlState: .activeTransaction, message: "DISCARD ALL cannot run inside a transaction block")
    static func noTransaction(_ command: String) -> ServerError {
        ServerError(sqlState: .noActiveTransaction, message: "\(command) can only be used in transaction blocks")
    }
    static func unknownSavepoint(_ name: String) -> ServerError {
        ServerError(sqlState: .invalidSavepoint, message: "savepoint \"\(name)\" does not exist")
    }

    // MARK: The extended protocol

    static func unknownStatement(_ name: String) -> ServerError {
        ServerError(
            sqlState: .invalidStatementName,
            message: name.isEmpty ? "unnamed prepared statement does not exist" : "prepared statement \"\(name)\" does not exist")
    }
    static func duplicateStatement(_ name: String) -> ServerError {
        ServerError(sqlState: .duplicatePreparedStatement, message: "prepared statement \"\(name)\" already exists")
    }
    /// PostgreSQL's own, by whose routine drivers know that they may prepare again.
    static let planChanged: ServerError = {
        var error = ServerError(sqlState: .featureNotSupported, message: "cached plan must not change result type")
        error[.routine] = "RevalidateCachedQuery"
        return error
    }()
    static func duplicatePortal(_ name: String) -> ServerError {
        ServerError(sqlState: .duplicateCursor, message: "cursor \"\(name)\" already exists")
    }
    static func unknownPortal(_ name: String) -> ServerError {
        ServerError(sqlState: .invalidCursorName, message: "portal \"\(name)\" does not exist")
    }
    static func portalUsedUp(_ name: String) -> ServerError {
        ServerError(sqlState: .objectNotInPrerequisiteState, message: "portal \"\(name)\" cannot be run")
    }
    static func parameterCount(_ count: Int, wanted: Int) -> ServerError {
        ServerError(
            sqlState: .protocolViolation, message: "bind message supplies \(count) parameters, but the prepared statement requires \(wanted)")
    }
    static let tooManyStatements = ServerError(
        sqlState: .configurationLimitExceeded, message: "too many prepared statements in this session",
        hint: "Close some with DEALLOCATE, or raise the router's wire.prepared_statements_max.")
    static let tooManyPortals = ServerError(
        sqlState: .configurationLimitExceeded, message: "too many portals in this transaction", hint: "Close those that are done.")
    static let transactionTooLong = ServerError(
        sqlState: .programLimitExceeded, message: "too many savepoints and SET LOCAL statements in this transaction",
        hint: "Release savepoints that are done.")
    static let idleInTransaction = ServerError(
        severity: .fatal, sqlState: .idleInTransactionTimeout, message: "terminating connection due to idle-in-transaction timeout")
    static let transactionTimeout = ServerError(
        severity: .fatal, sqlState: .transactionTimeout, message: "terminating connection due to transaction timeout")
    static let functionCall = ServerError(
        sqlState: .featureNotSupported, message: "the function call protocol is not supported", detail: "PGM-FUNCTION-CALL",
        hint: "Call the function in a SELECT.")

    // MARK: Shards

    /// A connection broke while a statement was under way.
    static func shardLost(_ shard: ShardID, mayHaveRun: Bool, farewell: String? = nil) -> ServerError {
        let effect = mayHaveRun ? "Whether the statement took effect is unknown." : "The statement had no lasting effect."
        return ServerError(
            sqlState: mayHaveRun ? .transactionResolutionUnknown : .connectionFailure,
            message: "lost the connection to shard \(shard)",
            detail: farewell.map { "\(effect) The server said: \($0)" } ?? effect)
    }
    static func shardUnavailable(_ shard: ShardID, _ reason: String) -> ServerError {
        ServerError(
            sqlState: .unableToEstablishConnection, message: "shard \(shard) is not reachable", detail: reason,
            hint: "The statement did not run; it can be tried again.")
    }
    static func poolExhausted(_ shard: ShardID, _ reason: String) -> ServerError {
        ServerError(
            sqlState: .tooManyConnections, message: "no connection to shard \(shard) is free", detail: reason,
            hint: "The statement did not run. More connections can be allowed with the router's pool.size_max.")
    }
    static func shardsDisagree(_ shard: ShardID) -> ServerError {
        ServerError(
            sqlState: .dataCorrupted, message: "the shards gave different answers to one statement",
            detail: "PGM-SHARDS-DISAGREE: shard \(shard) differs from the home shard. Nothing was changed.",
            hint: "Compare the table's contents on the two shards.")
    }
    /// The server session that held what the client relies on is gone.
    static func pinLost(_ shard: ShardID, mayHaveRun: Bool, farewell: String?) -> ServerError {
        var error = shardLost(shard, mayHaveRun: mayHaveRun, farewell: farewell)
        error[.message] = "lost the connection to shard \(shard), which held the session's LISTEN, locks, cursors or temporary tables"
        return error
    }
    /// The database has several shards now, where statements mean something else than in a session with temporary objects.
    static let stateOfSingleShard = ServerError(
        severity: .fatal, sqlState: .adminShutdown, message: "the database has got a second shard, and the session keeps state of the first",
        hint: "Connect again. Temporary tables and their like are for databases with one shard.")
    static let shardsChanged = ServerError(
        severity: .fatal, sqlState: .adminShutdown, message: "the database has got or lost a shard since the transaction changed the schema",
        hint: "Connect again and repeat the transaction.")
    static let tooManyPinned = ServerError(
        sqlState: .tooManyConnections, message: "too many sessions keep a shard connection for themselves",
        hint: "End LISTEN, advisory locks, cursors WITH HOLD and temporary tables that are done, or raise the router's wire.pinned_sessions_max.")
    static let answerTooLarge = ServerError(
        sqlState: .programLimitExceeded, message: "the answer of a statement that runs on several shards is too large")
    static func fetchedTooLarge(_ limit: Int) -> ServerError {
        ServerError(
            sqlState: .programLimitExceeded, message: "the statement needs more rows of other shards than may be brought together",
            detail: "They have more than \(limit) bytes (across.fetched_max).",
            hint: "Narrow it down with conditions on the tables' columns, or on the shard key; or raise across.fetched_max.")
    }
    static let shuttingDown = ServerError(
        severity: .fatal, sqlState: .adminShutdown, message: "terminating connection due to administrator command")
    /// The router ends while a statement that it cannot stop may yet take effect.
    static let shutdownUnknown = ServerError(
        severity: .fatal, sqlState: .transactionResolutionUnknown, message: "terminating connection due to administrator command",
        detail: "Whether the statement took effect is unknown.")
    static let canceled = ServerError(sqlState: .queryCanceled, message: "canceling statement due to user request")
    /// PGM-HELD: the statement has not begun.
    static let heldTooLong = ServerError(
        sqlState: .cannotConnectNow, message: "the rows of this key are changing their shard, and it takes too long: nothing was done",
        detail: "PGM-HELD", hint: "Repeat it. The job that moves them has lost its manager, perhaps.")
    /// PGM-HELD-FULL: the last resort, when the manager does not give the attempt up in time.
    static let tooMuchHeld = ServerError(
        sqlState: .cannotConnectNow, message: "the rows of this key are changing their shard, and too many statements wait for that: nothing was done",
        detail: "PGM-HELD-FULL", hint: "Repeat it. The router's wire.held_statements_max and wire.held_bytes_max bound what waits.")
    /// PGM-MOVING: by the job's own option. What the transaction has done is rolled back.
    static let transactionEndedForMove = ServerError(
        sqlState: .serializationFailure, message: "the transaction was ended, for rows of its shard are changing their shard", detail: "PGM-MOVING",
        hint: "Nothing of it was done: repeat the whole transaction.")
    static let tooManyConcurrentIndexes = ServerError(
        sqlState: .tooManyConnections, message: "\(ConcurrentIndexRun.runsMax) indexes are being made or dropped CONCURRENTLY through this router already",
        hint: "Wait until one of them is done.")
    static func deadlock(over shards: [ShardID]) -> ServerError {
        ServerError(
            sqlState: .deadlockDetected, message: "deadlock detected",
            detail: "Transactions that have parts on several shards wait for each other; this one, on \(shards.map(\.description).sorted().joined(separator: ", ")), was chosen to end.",
            hint: "Nothing of it was done: repeat the whole transaction.")
    }
    static func schemaUnknown(_ database: String) -> ServerError {
        ServerError(
            sqlState: .cannotConnectNow, message: "the schema of database \"\(database)\" could not be read yet",
            hint: "Its home shard may be down.")
    }
    static let catalogUnavailable = ServerError(
        sqlState: .ioError, message: "the catalog could not be changed", hint: "It may be unreachable; nothing was changed.")

    static func schemaUnreadable(_ reason: String) -> ServerError {
        ServerError(sqlState: .internalError, message: "the schema could not be understood", detail: reason)
    }
    static func keyTooLong(_ max: Int) -> ServerError {
        ServerError(
            sqlState: .stringDataRightTruncation, message: "value too long for type character varying(\(max))",
            detail: "PGM-KEY-LENGTH: the value is a shard key.")
    }

    // MARK: Settings

    static func unknownSetting(_ name: String) -> ServerError {
        ServerError(sqlState: .undefinedObject, message: "unrecognized configuration parameter \"\(name)\"")
    }
    static func invalidSetting(_ name: String) -> ServerError {
        ServerError(sqlState: .invalidParameterValue, message: "invalid value for parameter \"\(name)\"")
    }
    static func settingRefused(_ name: String) -> ServerError {
        .refusal(Refusal(.setting, name))
    }
    static let tooManySettings = ServerError(sqlState: .configurationLimitExceeded, message: "too many settings in this session")

    // MARK: Logins

    /// It was taken out of the catalog.
    static func databaseGone(_ name: String) -> ServerError {
        ServerError(
            severity: .fatal, sqlState: .adminShutdown, message: "terminating connection: database \"\(name)\" is not served any more")
    }
    static func noDatabase(_ name: String) -> ServerError {
        ServerError(severity: .fatal, sqlState: .invalidCatalogName, message: "database \"\(name)\" does not exist")
    }
    static func noShards(_ name: String) -> ServerError {
        ServerError(
            severity: .fatal, sqlState: .cannotConnectNow, message: "database \"\(name)\" has no shards yet",
            hint: "Register one with `pgmosaic shards add`.")
    }
    static func databaseForbidden(_ name: String, user: String) -> ServerError {
        ServerError(
            severity: .fatal, sqlState: .insufficientPrivilege,
            message: "permission denied for database \"\(name)\"", detail: "User \"\(user)\" has no right on it.")
    }
    static func wrongPassword(user: String) -> ServerError {
        ServerError(
            severity: .fatal, sqlState: .invalidPassword, message: "password authentication failed for user \"\(user)\"")
    }
    static func scram(_ error: ScramError) -> ServerError {
        switch error {
        case .downgrade:
            ServerError(
                severity: .fatal, sqlState: .invalidAuthorizationSpecification, message: "SCRAM channel binding negotiation error",
                detail: "The client supports SCRAM channel binding but thinks the server does not. However, this server does support channel binding.")
        case .channelBinding:
            ServerError(severity: .fatal, sqlState: .invalidAuthorizationSpecification, message: "SCRAM channel binding check failed")
        default: ServerError(severity: .fatal, sqlState: .protocolViolation, message: "malformed SCRAM message", detail: "\(error)")
        }
    }
    static let certificateRequired = ServerError(
        severity: .fatal, sqlState: .invalidAuthorizationSpecification, message: "connection requires a valid client certificate")
    static func wrongCertificate(user: String) -> ServerError {
        ServerError(
            severity: .fatal, sqlState: .invalidAuthorizationSpecification, message: "certificate authentication failed for user \"\(user)\"",
            detail: "The certificate's common name is another one.")
    }
    static func tooManyOfUser(_ user: String) -> ServerError {
        ServerError(severity: .fatal, sqlState: .tooManyConnections, message: "too many connections for role \"\(user)\"")
    }
    static func tooManyOfDatabase(_ database: String) -> ServerError {
        ServerError(severity: .fatal, sqlState: .tooManyConnections, message: "too many connections for database \"\(database)\"")
    }
    static let tooManyClients = ServerError(
        severity: .fatal, sqlState: .tooManyConnections, message: "sorry, too many clients already")
    static let tlsRequired = ServerError(
        severity: .fatal, sqlState: .invalidAuthorizationSpecification, message: "this router takes encrypted connections only")
    static let unencryptedBytes = ServerError(
        severity: .fatal, sqlState: .protocolViolation, message: "received unencrypted data after SSL request")
    static let replicationRefused = ServerError(
        severity: .fatal, sqlState: .featureNotSupported, message: "replication connections go to a shard, not through the router")
    static func encodingRefused(_ name: String) -> ServerError {
        ServerError(
            severity: .fatal, sqlState: .featureNotSupported, message: "client_encoding \"\(name)\" is not supported",
            detail: "PGM-ENCODING", hint: "Use UTF8.")
    }
    static let optionsRefused = ServerError(
        severity: .fatal, sqlState: .featureNotSupported, message: "only -c name=value is accepted in options")
}
