internal import Audit
internal import ControlAPI
internal import RESTServer

extension ManagerAPI {
    var auditHandlers: [String: RESTHandler] {
        [
            "GET /api/v1/audit": { request in
                guard let audit else { throw APIError(.notFound, "this manager keeps no audit trail: audit.path is not set") }
                let page = try request.page()
                let since = try request.query["since"].map { (text) throws(APIError) in
                    guard let seconds = AuditTime.seconds(text) else { throw APIError(.invalidRequest, "query parameter since must be an RFC 3339 time") }
                    return Timestamp(seconds: seconds)
                }
                guard let after = page.after.map({ UInt64($0) }) ?? .some(0) else { throw APIError(.invalidRequest, "cursor is not one of ours") }
                let query = AuditQuery(since: since, user: request.query["user"], action: request.query["action"], after: after, limit: page.limit)
                // What was done before is in it.
                await audit.settle()
                let (lines, next) = try await RESTRequest.offLoop { audit.lines(query) }
                var members: [JSONValue.Member] = [.init("items", .array(lines))]
                if let next { members.append(.init("next_cursor", .string(PageRequest.cursor(after: String(next))))) }
                return .json(.object(members))
            },
        ]
    }
}
