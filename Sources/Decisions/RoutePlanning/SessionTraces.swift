/// What a statement leaves behind in the server session that runs it, beyond settings and prepared statements, which follow the client.
package struct SessionTraces: Hashable, Sendable {
    /// What keeps a client's session on its server session.
    package enum Kept: String, Hashable, Sendable, CaseIterable {
        case listen
        case advisoryLock = "advisory_lock"
        case heldCursor = "held_cursor"
    }
    package var keeps: Kept?
    /// It may take away what is kept: the server session is asked afterwards.
    package var releases = false
    /// PostgreSQL does not prepare a transaction that has run it.
    package var preventsPrepare = false

    package static let none = SessionTraces()
    package init(keeps: Kept? = nil, releases: Bool = false, preventsPrepare: Bool = false) {
        self.keeps = keeps
        self.releases = releases
        self.preventsPrepare = preventsPrepare
    }

    mutating func formUnion(_ other: SessionTraces) {
        keeps = keeps ?? other.keeps
        releases = releases || other.releases
        preventsPrepare = preventsPrepare || other.preventsPrepare
    }

    /// What a server session holds, one row each: the kind, as `Kept` names it, and for cursors the name. Asked outside of a transaction.
    package static let question = """
        (SELECT 'listen', '' FROM pg_catalog.pg_listening_channels() LIMIT 1) UNION ALL \
        (SELECT 'advisory_lock', '' FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND pid = pg_catalog.pg_backend_pid() LIMIT 1) UNION ALL \
        (SELECT 'held_cursor', name FROM pg_catalog.pg_cursors WHERE is_holdable LIMIT 10000)
        """
}

/// What a statement does with a cursor: it lives on the shard that its query went to.
package enum CursorUse: Hashable, Sendable {
    case declare(String, holds: Bool)
    case use(String)
    case close(String)
    case closeAll
}
