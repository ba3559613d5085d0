/// What a statement leaves behind in the server session that runs it, beyond settings and prepared statements, which follow the client.
package struct SessionTraces: Hashable, Sendable {
    /// What keeps a client's session on its server session.
    package enum Kept: String, Hashable, Sendable, CaseIterable {
        case listen
        case advisoryLock = "advisory_lock"
        case heldCursor = "held_cursor"
        /// Temporary tables and their like.
        case temporary
        /// Something that the server session cannot be asked about: settings changed by code, and whatever else code may leave. Only of databases
        /// with one shard; kept until DISCARD ALL or the session's end.
        case sessionState = "session_state"
        /// What it has drawn from sequences, for currval() and lastval(); until another one draws, or the client no longer wants it.
        case sequences

        /// With it names and settings may mean something that the router does not know of.
        package var isHidden: Bool { self == .temporary || self == .sessionState }
        fileprivate var strength: Int { self == .sessionState ? 2 : self == .temporary ? 1 : 0 }
    }
    package var keeps: Kept?
    /// It may take away what is kept: the server session is asked afterwards.
    package var releases = false
    /// PostgreSQL does not prepare a transaction that has run it.
    package var preventsPrepare = false
    /// It tells of what the client's session has done before: right only where that was in this server session.
    package var readsSessionState = false
    /// Of sessions that keep what they draw from sequences: it may draw, or set what currval() gives.
    package var drawsSequences = false
    /// Likewise: it calls currval() or lastval().
    package var readsSequences = false
    /// It names temporary relations, with several shards: it means something on the home shard only.
    package var usesTemporary = false
    /// It may make, change or take away temporary relations, with several shards: what names mean is looked at again behind it.
    package var changesTemporary = false

    package static let none = SessionTraces()
    /// PostgreSQL prepares no transaction that has touched something temporary.
    static let temporaryUse = {
        var traces = SessionTraces(preventsPrepare: true)
        traces.usesTemporary = true
        return traces
    }()
    package init(keeps: Kept? = nil, releases: Bool = false, preventsPrepare: Bool = false) {
        self.keeps = keeps
        self.releases = releases
        self.preventsPrepare = preventsPrepare
    }

    mutating func formUnion(_ other: SessionTraces) {
        // What ends last wins; the rest is found when the server session is asked.
        if let new = other.keeps, keeps.map({ $0.strength < new.strength }) ?? true { keeps = new }
        readsSessionState = readsSessionState || other.readsSessionState
        drawsSequences = drawsSequences || other.drawsSequences
        readsSequences = readsSequences || other.readsSequences
        releases = releases || other.releases
        preventsPrepare = preventsPrepare || other.preventsPrepare
        usesTemporary = usesTemporary || other.usesTemporary
        changesTemporary = changesTemporary || other.changesTemporary
    }

    /// What a server session holds, one row each: the kind, as `Kept` names it, and for cursors the name. Asked outside of a transaction.
    package static let question = """
        (SELECT 'listen', '' FROM pg_catalog.pg_listening_channels() LIMIT 1) UNION ALL \
        (SELECT 'advisory_lock', '' FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND pid = pg_catalog.pg_backend_pid() LIMIT 1) UNION ALL \
        (SELECT 'held_cursor', name FROM pg_catalog.pg_cursors WHERE is_holdable LIMIT 10000) UNION ALL \
        (SELECT 'temporary', '' FROM pg_catalog.pg_depend WHERE refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass \
        AND refobjid = pg_catalog.pg_my_temp_schema() LIMIT 1)
        """
}

/// What a statement does with a cursor: it lives on the shard that its query went to.
package enum CursorUse: Hashable, Sendable {
    case declare(String, holds: Bool)
    case use(String)
    case close(String)
    case closeAll
}

/// FETCH or MOVE, forward.
package struct FetchStep: Hashable, Sendable {
    /// nil: all that are left.
    package var rowsMax: Int?
    package var isMove: Bool
}
