internal import Audit
internal import ControlAPI
internal import NIOCore
internal import PGWire
internal import RoutePlanning
internal import SQLSyntax

/// Where a session's statements come from, for the audit trail.
final class AuditOrigin {
    let user: String
    let address: String?
    /// Of REST.
    let requestID: String?
    /// Of REST; on the wire each statement names its own.
    let traceID: String?

    init(user: String, address: String?, requestID: String? = nil, traceID: String? = nil) {
        self.user = user
        self.address = address
        self.requestID = requestID
        self.traceID = traceID
    }
}

/// The statements of a unit that have a line in the audit trail once it is answered.
final class AuditedUnit {
    /// Different ones of a pipeline; more are told of before their outcome is known.
    static let statementsMax = 256

    /// Without literals; the trace that a comment of it names; and how often one came in a row.
    fileprivate(set) var statements: [(text: String, traceID: String?, count: UInt64)] = []
    /// What a shard called its error.
    var code: String?

    /// The text is taken apart, and each of its statements is added.
    func removeLast() {
        guard let last = statements.indices.last else { return }
        if statements[last].count > 1 { statements[last].count -= 1 } else { statements.removeLast() }
    }

    fileprivate func add(_ text: ByteBuffer) {
        let (sketch, parent) = text.readableBytesView.withUnsafeBytes { (StatementSketch.sketch(of: $0), StatementTrace.parent(in: $0)) }
        let traceID = parent.flatMap { TraceContext(parent: $0) }?.traceID
        if let last = statements.indices.last, statements[last].text == sketch, statements[last].traceID == traceID {
            statements[last].count += 1
        } else {
            statements.append((sketch, traceID, 1))
        }
    }
}

extension ClientSession {
    /// Takes down a statement that may write, before it runs. Precondition: `loop.auditsWrites`.
    ///
    /// Throws where the trail cannot be written and what must be in it is refused.
    func auditWrite(_ text: ByteBuffer, _ plan: CachedPlan) throws(ServerError) {
        switch plan.route {
        // Each of the list for itself, and what EXECUTE executes.
        case .statements, .session(.execute): return
        default: break
        }
        guard let trail = loop.audit else { return }
        guard !trail.isClosed else { throw .auditUnavailable }
        let audited = unit.audited ?? AuditedUnit()
        unit.audited = audited
        if audited.statements.count >= AuditedUnit.statementsMax {
            report(audited, .unknown, code: nil)
            audited.statements.removeAll()
        }
        audited.add(text)
    }

    /// The unit is answered.
    func auditEnded(_ unit: UnitRecord) {
        guard let audited = unit.audited else { return }
        switch unit.outcome {
        case .ok: report(audited, unit.hasFailed ? .failed : .ok, code: audited.code)
        case .shardError: report(audited, .failed, code: audited.code)
        case .failed(let error):
            let isUnknown = error.sqlState == .transactionResolutionUnknown || error.sqlState == .statementCompletionUnknown
            report(audited, isUnknown ? .unknown : error.sqlState == .insufficientPrivilege ? .refused : .failed, code: error.sqlState.code)
        }
    }

    /// The client has gone before its statement was answered.
    func auditAbandoned() {
        if let audited = unit.audited { report(audited, .unknown, code: nil) }
        unit.audited = nil
    }

    /// What the session's user may not do. Of REST its server tells.
    func auditRefusal(_ error: ServerError) {
        guard let trail = loop.audit, error.sqlState == .insufficientPrivilege, !isInternal, unit.audited == nil else { return }
        trail.record(
            AuditEvent(
                "statement", .refused, user: user, address: peer.0?.ipAddress, object: database.name,
                code: [error.sqlState.code, error.refusalCode].compactMap { $0 }.joined(separator: " ")))
    }

    private func report(_ audited: AuditedUnit, _ outcome: AuditEvent.Outcome, code: String?) {
        for statement in audited.statements {
            loop.audit?.record(
                AuditEvent(
                    "statement", outcome, user: auditOrigin?.user ?? user, address: auditOrigin?.address, object: database.name, code: code,
                    requestID: auditOrigin?.requestID, traceID: auditOrigin?.traceID ?? statement.traceID, statement: statement.text,
                    count: statement.count > 1 ? statement.count : nil))
        }
    }
}

extension AuditedUnit {
    /// The first error of a shard, whose code stands for the unit.
    func received(error message: ByteBuffer) {
        var message = message
        guard code == nil, let frame = try? message.readFrame(limit: .max), let error = try? ServerError(body: frame.body) else { return }
        code = error.sqlState.code
    }
}

extension ServerError {
    static let auditUnavailable = ServerError(
        sqlState: .diskFull, message: "the audit trail cannot be written, so the statement is not run",
        hint: "The router's log says why; its setting audit.when_full decides.")
    static let auditUnavailableAtLogin = ServerError(
        severity: .fatal, sqlState: .diskFull, message: "the audit trail cannot be written, so nobody is let in",
        hint: "The router's log says why; its setting audit.when_full decides.")
}
