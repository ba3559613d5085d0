/// Why the audit trail cannot be opened or written.
package struct AuditError: Error, Hashable, Sendable, CustomStringConvertible {
    package enum Reason: Hashable, Sendable {
        case cannotOpen(Int32)
        case cannotWrite(Int32)
        /// The room that lines to come need cannot be had.
        case noRoom(Int32)
        case notATrail
        /// Every name that the path stands for is another process's.
        case inUse
    }
    package let path: String
    package let reason: Reason

    package init(_ reason: Reason, path: String) {
        self.reason = reason
        self.path = path
    }

    package var description: String {
        switch reason {
        case .cannotOpen(let code): "the audit trail \(path) cannot be opened: \(SystemError.text(code))"
        case .cannotWrite(let code): "the audit trail \(path) cannot be written: \(SystemError.text(code))"
        case .noRoom(let code): "there is no room for the audit trail \(path): \(SystemError.text(code))"
        case .notATrail: "\(path) is not an audit trail: its last line has no end"
        case .inUse: "the audit trail \(path) is another server's; each needs one of its own"
        }
    }
}
