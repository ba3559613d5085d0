internal import Audit
internal import ControlAPI
internal import Foundation

/// Which requests have a line in the audit trail, and what it says: logins, changes, and whatever is refused for want of a right.
struct RESTAudit: Sendable {
    /// What is known of a request by the time it is answered.
    struct Call {
        let route: APIRoute?
        let path: String
        let requestID: String
        let traceID: String
        let address: String?
        var user: String?
        /// What a new record is called.
        var name: String?

        init(route: APIRoute?, path: String, requestID: String, traceID: String, address: String?) {
            self.route = route
            self.path = path
            self.requestID = requestID
            self.traceID = traceID
            self.address = address
        }

        /// Takes names out of the body, and nothing else: fields that can be a secret are not looked at.
        mutating func read(_ body: [UInt8]) {
            guard let route, RESTAudit.isChange(route), !body.isEmpty, let value = try? JSONParser.parse(body) else { return }
            switch route.id {
            case "POST /api/v1/auth/login", "POST /api/v1/auth/setup": user = value["username"]?.stringValue
            default: name = ["name", "id", "username", "jti", "source_shard_id", "source"].lazy.compactMap { value[$0]?.stringValue }.first
            }
        }
    }

    private let trail: AuditTrail

    init(_ trail: AuditTrail) { self.trail = trail }

    /// Refuses what must be audited while it cannot be.
    func admit(_ route: APIRoute) throws(APIError) {
        guard trail.isClosed, Self.isChange(route) else { return }
        throw APIError(.auditUnavailable, "the audit trail cannot be written, so no change is made")
    }

    func answered(_ call: Call, _ answer: RESTAnswer) async {
        guard let route = call.route, Self.isChange(route) || [401, 403, 422].contains(answer.status) else { return }
        let error = answer.status >= 400 ? (try? JSONParser.parse(answer.body)).flatMap { APIError(body: $0) } : nil
        let isForbidden = error?.sqlstate == "42501"
        guard Self.isChange(route) || answer.status != 422 || isForbidden else { return }
        let outcome: AuditEvent.Outcome =
            switch answer.status {
            case ..<400: .ok
            case 401, 403, 429: .refused
            case 422 where isForbidden: .refused
            default: error?.code == .catalogUnknownOutcome ? .unknown : .failed
            }
        trail.record(
            AuditEvent(
                Self.actions[route.id] ?? route.id, outcome, user: call.user, address: call.address,
                object: Self.object(call), code: error.map { [$0.code.rawValue, $0.sqlstate].compactMap { $0 }.joined(separator: " ") }, requestID: call.requestID,
                traceID: call.traceID))
        // A change that is answered has its line on the disk where the settings ask for it.
        if trail.answersWait { await trail.settle() }
    }

    private static func object(_ call: Call) -> String { call.name.map { "\(call.path) \($0)" } ?? call.path }

    /// The router's statements have lines of their own, where they write.
    static func isChange(_ route: APIRoute) -> Bool { route.isWrite && route.tag != "statements" }

    /// By `APIRoute.id`; others are called by that.
    static let actions: [String: String] = [
        "POST /api/v1/auth/setup": "user.setup", "POST /api/v1/auth/login": "login", "POST /api/v1/auth/logout": "logout",
        "POST /api/v1/auth/revoke": "token.revoke",
        "POST /api/v1/users": "user.add", "PUT /api/v1/users/{name}": "user.change", "DELETE /api/v1/users/{name}": "user.remove",
        "POST /api/v1/databases": "database.add", "DELETE /api/v1/databases/{name}": "database.remove",
        "POST /api/v1/databases/{name}/tables": "table.declare", "DELETE /api/v1/databases/{name}/tables/{table}": "table.forget",
        "POST /api/v1/shards": "shard.add", "DELETE /api/v1/shards/{id}": "shard.remove", "PUT /api/v1/shards/{id}/status": "shard.status",
        "PUT /api/v1/shards/{id}/replicas": "shard.replicas",
        "POST /api/v1/reshard/split": "reshard.split", "POST /api/v1/reshard/merge": "reshard.merge", "POST /api/v1/reshard/move": "reshard.move",
        "POST /api/v1/reshard/add-shard": "reshard.add_shard", "POST /api/v1/reshard/drain-shard": "reshard.drain_shard",
        "POST /api/v1/reshard/jobs/{id}/cancel": "reshard.cancel", "POST /api/v1/reshard/jobs/{id}/resume": "reshard.resume",
        "POST /api/v1/reshard/jobs/{id}/reverse": "reshard.reverse", "POST /api/v1/reshard/jobs/{id}/finish": "reshard.finish",
        "PATCH /api/v1/log-levels": "log.levels", "PATCH /v1/log-levels": "log.levels",
    ]
}
