/// What went wrong, for programs: stable, unique, one HTTP status each.
///
/// Source of the code table in `docs/reference/rest.md`; a test keeps the two equal. A refused statement carries, besides
/// `SQL_REFUSED`, its `PGM-…` code in `details.refusal`.
package enum APIErrorCode: String, Hashable, Sendable, CaseIterable, Codable {
    case invalidRequest = "INVALID_REQUEST"
    case invalidJSON = "INVALID_JSON"
    case unknownField = "UNKNOWN_FIELD"
    case invalidEndpoint = "INVALID_ENDPOINT"

    case unauthenticated = "UNAUTHENTICATED"
    case loginFailed = "LOGIN_FAILED"
    case forbidden = "FORBIDDEN"

    case notFound = "NOT_FOUND"
    case databaseNotFound = "DATABASE_NOT_FOUND"
    case shardNotFound = "SHARD_NOT_FOUND"
    case tableNotFound = "TABLE_NOT_FOUND"
    case jobNotFound = "JOB_NOT_FOUND"
    case userNotFound = "USER_NOT_FOUND"
    case methodNotAllowed = "METHOD_NOT_ALLOWED"

    case alreadyExists = "ALREADY_EXISTS"
    case versionConflict = "VERSION_CONFLICT"
    case setupDone = "SETUP_ALREADY_DONE"
    case lastAdministrator = "LAST_ADMINISTRATOR"
    case databaseNotEmpty = "DATABASE_NOT_EMPTY"
    case shardInUse = "SHARD_IN_USE"
    case shardOwnsData = "SHARD_OWNS_DATA"
    case jobConflict = "JOB_CONFLICT"
    case jobState = "JOB_STATE"
    case reshardingNeeded = "RESHARDING_NEEDED"
    case shardUnsuitable = "SHARD_UNSUITABLE"
    case schemaMismatch = "SCHEMA_MISMATCH"
    case tableNotEmpty = "TABLE_NOT_EMPTY"
    case tableExists = "TABLE_EXISTS"
    case tableUnsuitable = "TABLE_UNSUITABLE"
    case noShards = "NO_SHARDS"
    case idempotencyMismatch = "IDEMPOTENCY_KEY_REUSED"
    case requestInProgress = "REQUEST_IN_PROGRESS"
    case answerNotKept = "ANSWER_NOT_KEPT"

    case bodyTooLarge = "BODY_TOO_LARGE"
    case unsupportedMediaType = "UNSUPPORTED_MEDIA_TYPE"

    case reshardRefused = "RESHARD_REFUSED"
    case sqlRefused = "SQL_REFUSED"
    case sqlFailed = "SQL_FAILED"
    case shardKeyMismatch = "SHARD_KEY_MISMATCH"
    case resultTooLarge = "RESULT_TOO_LARGE"
    case outcomeUnknown = "OUTCOME_UNKNOWN"

    case tooManyRequests = "TOO_MANY_REQUESTS"
    case internalError = "INTERNAL_ERROR"
    case notImplemented = "NOT_IMPLEMENTED"
    case shardUnavailable = "SHARD_UNAVAILABLE"
    case catalogUnavailable = "CATALOG_UNAVAILABLE"
    case catalogUnknownOutcome = "CATALOG_UNKNOWN_OUTCOME"
    case noLeader = "NO_LEADER"
    case notLeader = "NOT_LEADER"
    case auditUnavailable = "AUDIT_UNAVAILABLE"
    case notReady = "NOT_READY"
    case deadlinePassed = "DEADLINE_PASSED"

    package var status: Int {
        switch self {
        case .invalidRequest, .invalidJSON, .unknownField, .invalidEndpoint: 400
        case .unauthenticated, .loginFailed: 401
        case .forbidden: 403
        case .notFound, .databaseNotFound, .shardNotFound, .tableNotFound, .jobNotFound, .userNotFound: 404
        case .methodNotAllowed: 405
        case .alreadyExists, .versionConflict, .setupDone, .lastAdministrator, .databaseNotEmpty, .shardInUse, .shardOwnsData,
            .jobConflict, .jobState, .reshardingNeeded, .shardUnsuitable, .schemaMismatch, .tableNotEmpty, .tableExists, .tableUnsuitable, .noShards,
            .idempotencyMismatch, .requestInProgress, .answerNotKept:
            409
        case .bodyTooLarge: 413
        case .unsupportedMediaType: 415
        case .reshardRefused, .sqlRefused, .sqlFailed, .shardKeyMismatch, .resultTooLarge, .outcomeUnknown: 422
        case .tooManyRequests: 429
        case .internalError: 500
        case .notImplemented: 501
        case .shardUnavailable, .catalogUnavailable, .catalogUnknownOutcome, .auditUnavailable, .noLeader, .notLeader, .notReady: 503
        case .deadlinePassed: 504
        }
    }

    /// When it happens, for the reference.
    package var meaning: String {
        switch self {
        case .invalidRequest: "A field or query parameter is missing, of the wrong type or out of its bounds."
        case .invalidJSON: "The body is not one JSON object."
        case .unknownField: "The body names a field that this request does not have."
        case .invalidEndpoint: "A shard's endpoint is not `postgres://user@host:port/dbname?…`."
        case .unauthenticated: "The operation needs a token, and there is none or it is not valid (any more); log in."
        case .loginFailed: "The user or the password is wrong."
        case .forbidden: "The token is valid, and its user may not do this."
        case .notFound: "No such path."
        case .databaseNotFound: "No database of that name in the catalog."
        case .shardNotFound: "No shard of that id in the catalog."
        case .tableNotFound: "The table has no declared placement."
        case .jobNotFound: "No job of that id in the catalog."
        case .userNotFound: "No user of that name in the catalog."
        case .methodNotAllowed: "The path exists, but not with this method; `Allow` lists those that do."
        case .alreadyExists: "Something with that name or id exists already."
        case .versionConflict:
            "The record or the catalog was changed by somebody else meanwhile; `details.current` is the record now. Read, decide anew."
        case .setupDone: "The first user exists; use `users`."
        case .lastAdministrator: "The change would leave no user with the role `admin`."
        case .databaseNotEmpty: "The database still has shards."
        case .shardInUse: "That PostgreSQL database is registered already, under another shard or cluster."
        case .shardOwnsData: "The shard owns vnodes, or is the home shard, while its database has tables, or its server holds tables or transactions that are not settled."
        case .jobConflict: "A job that moves vnodes and is not over is in the way; `details.job` is its id."
        case .jobState: "The job is in a step in which this cannot be asked of it; `details.status` and `details.step` say in which."
        case .reshardingNeeded:
            "The database has used up its slices of sequence values, or its vnode ids."
        case .shardUnsuitable: "The PostgreSQL server cannot be a shard as it is; `details.problems` says what to change."
        case .schemaMismatch: "The schema or the collation of the new shard differs from that of the database's home shard; of one that joins a database with tables, the schema must be empty."
        case .tableNotEmpty: "The table holds rows, so its placement cannot be changed without moving them."
        case .tableExists: "The table exists, though empty, so its declaration cannot be changed or forgotten: routers may be writing to it."
        case .tableUnsuitable:
            "The table's columns or constraints do not allow the placement; `details.problems` says why."
        case .noShards: "The database has no shard yet."
        case .idempotencyMismatch: "The `Idempotency-Key` was used for a different request within 24 hours."
        case .requestInProgress: "The first request with this `Idempotency-Key` is still running."
        case .answerNotKept: "The request with this `Idempotency-Key` was carried out; its answer was too long to be kept. Read what it made."
        case .bodyTooLarge: "The body is longer than the server's limit."
        case .unsupportedMediaType: "The body is not `application/json`."
        case .reshardRefused: "The vnodes cannot be moved as asked; the message says why."
        case .sqlRefused: "PGMosaic refuses the statement; `details.refusal` is its `PGM-…` code."
        case .sqlFailed: "PostgreSQL answered with an error; `sqlstate` is its code."
        case .shardKeyMismatch: "`shard_key` is none of the keys that the statement names."
        case .resultTooLarge: "The result exceeds `max_rows` or the server's limit; nothing of it is returned, and a write is undone."
        case .outcomeUnknown: "The connection to a shard broke during a write, which may or may not have happened. Read, then decide."
        case .tooManyRequests: "A limit of this server is reached; `Retry-After` says when to come again."
        case .internalError: "A defect in PGMosaic; the server's log has the details under the request id."
        case .notImplemented: "Part of the contract that this version does not have."
        case .shardUnavailable: "The shard could not be reached; nothing was done."
        case .catalogUnavailable: "The catalog store could not be reached; nothing was changed."
        case .catalogUnknownOutcome:
            "The catalog store, or the leading manager, failed after the change may have been stored: read, then decide, or repeat with the same `Idempotency-Key`."
        case .noLeader: "No manager leads at the moment, or the one that does cannot be reached; nothing was changed."
        case .notLeader: "This manager does not lead, or has ceased to during the request; nothing was changed."
        case .auditUnavailable: "The audit trail cannot be written, so nothing that must be audited is done; see `audit.when_full`."
        case .notReady: "The server has started, but cannot serve yet."
        case .deadlinePassed: "The time given for the request is over. A write may or may not have happened."
        }
    }
}
