internal import Audit
internal import PGWire

extension ConsoleSession {
    /// What tells the audit trail of a command once it has ended; nothing for those that only look.
    func auditAction(_ command: ConsoleCommand) -> (Result<ConsoleTable, ServerError>) -> Void {
        guard let trail = loop.audit, let (action, object) = command.auditName else { return { _ in } }
        return { [user, address] result in
            let code: String? = if case .failure(let error) = result { error.sqlState.code } else { nil }
            trail.record(AuditEvent(action, code == nil ? .ok : .failed, user: user, address: address, object: object, code: code))
        }
    }
}

extension ConsoleCommand {
    fileprivate var auditName: (action: String, object: String?)? {
        switch self {
        case .show, .politeness, .empty: nil
        case .pause(let database): ("console.pause", database)
        case .resume(let database): ("console.resume", database)
        case .reconnect(let database): ("console.reconnect", database)
        case .reload: ("console.reload", nil)
        }
    }
}
