internal import NIOCore
internal import PGWire
internal import RoutePlanning
internal import SessionCore

/// Statements that the planner cannot place, and that a hint does: `/* pgmosaic: shard_key=42 */`, or `SET pgmosaic.shard_key`.
///
/// What such a statement reads is the client's word: it sees the rows of one shard. What it writes would be nobody's, so it runs in a transaction of its own that
/// is read only, and PostgreSQL refuses a write (25006).
extension ClientSession {
    /// Precondition: the text is a single query, as far as its tokens tell.
    func runHinted(_ text: ByteBuffer, _ key: String) {
        guard let scope else { return failUnit(.schemaUnknown(database.name)) }
        guard transaction.isIdle else { return failUnit(.refusal(Refusal(.hint, "in a transaction"))) }
        guard let token = scope.context.token(ofHint: key) else { return failUnit(.refusal(Refusal(.hint, "the key"))) }
        let pool = database.pool(database.owner(of: token))
        unit.shard = pool
        unit.kind = .select
        reach(pool, .bound, writes: false) { [self] in
            backend.send { $0.writeQuery("BEGIN READ ONLY") }
            script.swallow(.query)
            backend.send { $0.writeQuery(String(buffer: text)) }
            script.expect(.query)
            // Of a failed one, too, it is the end.
            backend.send { $0.writeQuery("COMMIT") }
            script.swallow(.query)
            work = .awaitingReady
        }
    }
}
