/// A line of an audit trail, as it is written and as `GET /api/v1/audit` gives it: these members in this order, those that say nothing left out.
package enum AuditEntry {
    package enum CodingKeys: String, CodingKey, CaseIterable {
        case sequence = "seq"
        case time, server, action, outcome, user, address, object, code
        case requestID = "request_id"
        case traceID = "trace_id"
        case statement, count
        case previous = "prev"
        case mac
    }
}
