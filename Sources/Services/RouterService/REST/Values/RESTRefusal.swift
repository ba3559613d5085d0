internal import RoutePlanning

/// Statements that the wire takes and REST does not: each request is a session of its own, so what they would leave behind is gone at once.
///
/// The raw values are public, like those of `RefusalCode`: they stand in `details.refusal`.
enum RESTRefusal: String, CaseIterable {
    case transaction = "PGM-REST-TRANSACTION"
    case session = "PGM-REST-SESSION"
    case copy = "PGM-REST-COPY"

    /// nil: the statement can run by itself.
    init?(_ plan: StatementPlan) {
        switch plan.route {
        case .transaction: self = .transaction
        case .splitCopy, .broadcastCopy, .gatherCopy, .statements: self = .copy
        case .session(.show), .session(.showMosaic): return nil
        case .session: self = .session
        // The session that runs it is the next request's, too.
        case _ where plan.traces.keeps != nil || plan.traces.releases || plan.cursor != nil: self = .session
        default:
            guard plan.kind == .copy else { return nil }
            self = .copy
        }
    }

    var message: String {
        switch self {
        case .transaction: "transaction control is not possible over REST: each request is a transaction of its own"
        case .session: "the statement changes a session, and a REST request has none"
        case .copy: "COPY is not possible over REST"
        }
    }

    var hint: String {
        switch self {
        case .transaction: "Send the statements of a transaction to /v1/batch, or use the PostgreSQL protocol."
        case .session: "Use the PostgreSQL protocol, or name the schema in the statement where search_path is meant."
        case .copy: "Use INSERT with array parameters and unnest(), SELECT, or COPY over the PostgreSQL protocol."
        }
    }
}
