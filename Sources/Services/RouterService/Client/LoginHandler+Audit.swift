internal import Audit
internal import NIOCore
internal import PGWire

extension LoginHandler {
    /// Tells the audit trail how a login ended, once.
    ///
    /// - error: nil: it was let in.
    func auditLogin(_ context: ChannelHandlerContext, _ error: ServerError?) {
        guard let claim else { return }
        self.claim = nil
        let isRefused = error.map { $0.sqlState.classCode == "28" || $0.sqlState == .insufficientPrivilege } ?? false
        loop.audit?.record(
            AuditEvent(
                "login", error == nil ? .ok : isRefused ? .refused : .failed, user: claim.user, address: context.remoteAddress?.ipAddress,
                object: claim.database, code: error?.sqlState.code))
    }
}
