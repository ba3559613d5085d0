/// What the audit trail tells of: who did what to what, from where, and what came of it. Never a secret, a literal or a row's value.
package struct AuditEvent: Hashable, Sendable {
    package enum Outcome: String, Hashable, Sendable, CaseIterable {
        case ok
        /// Not allowed, or not proved.
        case refused
        /// Allowed, and in vain.
        case failed
        /// Whether it took effect nobody knows: the client left, or the answer was lost.
        case unknown
    }

    /// "login", "user.add", "statement"; docs/guide/audit.md lists them.
    package var action: String
    package var outcome: Outcome
    package var user: String?
    package var address: String?
    package var object: String?
    /// A SQLSTATE, or the code of REST's error.
    package var code: String?
    package var requestID: String?
    /// Of the distributed trace that it is a part of: 32 hexadecimal digits.
    package var traceID: String?
    /// A statement's text without its literals.
    package var statement: String?
    /// Of the trail's own lines: how many.
    package var count: UInt64?

    package init(
        _ action: String, _ outcome: Outcome = .ok, user: String? = nil, address: String? = nil, object: String? = nil, code: String? = nil,
        requestID: String? = nil, traceID: String? = nil, statement: String? = nil, count: UInt64? = nil
    ) {
        self.action = action
        self.outcome = outcome
        self.user = user
        self.address = address
        self.object = object
        self.code = code
        self.requestID = requestID
        self.traceID = traceID
        self.statement = statement
        self.count = count
    }

    /// What the trail says of itself.
    package enum Own {
        /// A server has opened it.
        package static let opened = "audit.opened"
        /// A server has ended in good order.
        package static let closed = "audit.closed"
        /// The line before this one was not written to its end: `count` bytes of it are kept.
        package static let torn = "audit.torn"
        /// `count` lines had been written and were gone when a server opened the trail.
        package static let missing = "audit.missing"
        /// `count` events have no line: there was no room.
        package static let dropped = "audit.dropped"
    }
}
