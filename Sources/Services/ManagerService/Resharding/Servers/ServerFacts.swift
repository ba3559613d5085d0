internal import PGChannel
internal import ShardModel

/// What a job has to know of a server before it begins.
struct ServerFacts: Hashable, Sendable {
    struct Identity: Hashable, Sendable {
        var relation: QualifiedName
        /// The declared table that the relation is, or is a partition of.
        var table: QualifiedName
        /// `pg_class.relreplident`.
        var kind: String
        /// The columns by which a row's old state is found; nil with FULL.
        var columns: [String]?
        /// `pg_class.relpersistence`.
        var persistence: String
        /// `pg_class.relkind`.
        var relationKind: String
        /// Of a sharded table; nil where it has no such column.
        var key: Key?
    }

    /// The column of the shard key.
    struct Key: Hashable, Sendable {
        var typeOID: UInt32
        /// As `format_type` says it; and the type below it, where it is a domain.
        var type: String
        var typeBelow: String?
        var isGenerated: Bool
        var hasDeterministicCollation: Bool
    }

    var version = 0
    var walLevel = ""
    var isReplica = false
    var freeSlots = 0
    var freeSenders = 0
    /// Names.
    var oldPrepared: [String] = []
    /// Server process and role.
    var longTransactions: [String] = []
    var hasLargeObjects = false
    /// Installed, with their versions.
    var extensions: [String: String] = [:]
    /// What CREATE EXTENSION would install.
    var availableExtensions: [String: String] = [:]
    var identities: [Identity] = []
    /// A name that is not in Unicode's normalization form C, and what to do about it; of a source.
    var misnamed: String?
    /// Why the shard's role cannot have a session for replication.
    var replicationRefused: String?
    /// Why it cannot write without triggers.
    var replicaRoleRefused: String?
}

enum ServerFactQueries {
    /// $1 the beginning of the names of the job's own slots.
    static let server = """
        SELECT pg_catalog.current_setting('server_version_num')::int, pg_catalog.current_setting('wal_level'), pg_catalog.pg_is_in_recovery(),
            pg_catalog.current_setting('max_replication_slots')::int
                - (SELECT count(*) FROM pg_catalog.pg_replication_slots WHERE NOT pg_catalog.starts_with(slot_name, $1)),
            pg_catalog.current_setting('max_wal_senders')::int - (SELECT count(*) FROM pg_catalog.pg_stat_replication),
            EXISTS (SELECT FROM pg_catalog.pg_largeobject_metadata)
        """

    /// $1 seconds. Of this database: they hold up every new slot of the server's, but those of others are seen as numbers only.
    static let prepared = """
        SELECT gid FROM pg_catalog.pg_prepared_xacts
        WHERE prepared < pg_catalog.clock_timestamp() - pg_catalog.make_interval(secs => $1::float8) ORDER BY prepared LIMIT 20
        """

    /// $1 seconds. Those with a transaction id of their own: a slot waits for them. Of all databases.
    static let transactions = """
        SELECT pid || ' of role ' || coalesce(usename, '?') FROM pg_catalog.pg_stat_activity
        WHERE backend_xid IS NOT NULL AND xact_start < pg_catalog.clock_timestamp() - pg_catalog.make_interval(secs => $1::float8) ORDER BY xact_start LIMIT 20
        """

    static let extensions = "SELECT extname, extversion FROM pg_catalog.pg_extension"
    static let available = "SELECT name, default_version FROM pg_catalog.pg_available_extensions"

    /// $1 schemas, $2 names, $3 shard keys, or nothing. Each relation that holds rows, with its root.
    static let identities = """
        SELECT n.nspname, c.relname, asked.schema, asked.name, c.relreplident::text, c.relpersistence::text, c.relkind::text,
            (SELECT pg_catalog.string_agg(a.attname, E'\\x1f') FROM pg_catalog.pg_index i JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey::int2[])
             WHERE i.indrelid = c.oid AND CASE c.relreplident WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident ELSE false END),
            k.atttypid::text, pg_catalog.format_type(k.atttypid, k.atttypmod), pg_catalog.format_type(below.oid, below.mod), k.attgenerated <> '',
            coalesce((SELECT l.collisdeterministic FROM pg_catalog.pg_collation l WHERE l.oid = k.attcollation), true)
        FROM unnest($1::text[], $2::text[], $3::text[]) AS asked(schema, name, key)
            JOIN pg_catalog.pg_namespace rn ON rn.nspname = asked.schema
            JOIN pg_catalog.pg_class root ON root.relnamespace = rn.oid AND root.relname = asked.name AND root.relkind IN ('r', 'p', 'f')
            CROSS JOIN LATERAL (
                SELECT root.oid AS oid WHERE root.relkind <> 'p'
                UNION ALL SELECT t.relid FROM pg_catalog.pg_partition_tree(root.oid) t WHERE root.relkind = 'p' AND t.isleaf AND t.relid <> root.oid) leaf
            JOIN pg_catalog.pg_class c ON c.oid = leaf.oid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
            LEFT JOIN pg_catalog.pg_attribute k ON k.attrelid = c.oid AND k.attname = asked.key AND k.attnum > 0 AND NOT k.attisdropped
            LEFT JOIN LATERAL (
                WITH RECURSIVE step(oid, mod, type, below, next) AS (
                    SELECT t.oid, t.typtypmod, t.typtype, t.typbasetype, t.typtypmod FROM pg_catalog.pg_type t WHERE t.oid = k.atttypid
                    UNION ALL SELECT t.oid, step.next, t.typtype, t.typbasetype, t.typtypmod FROM pg_catalog.pg_type t JOIN step ON step.type = 'd' AND t.oid = step.below)
                SELECT step.oid, step.mod FROM step WHERE step.type <> 'd' AND step.oid <> k.atttypid) below ON true
        ORDER BY 1, 2
        """
}

extension ServerFacts {
    static func read(_ plan: JobPlan, _ settings: PostgresServerWork.Settings, _ client: PGClient) async throws -> ServerFacts {
        var facts = ServerFacts()
        if let row = try await client.query(ServerFactQueries.server, [.text(plan.names.slotPrefix)]).rows.first {
            facts.version = row.integer(0) ?? 0
            facts.walLevel = row.text(1) ?? ""
            facts.isReplica = row.bool(2) ?? true
            facts.freeSlots = row.integer(3) ?? 0
            facts.freeSenders = row.integer(4) ?? 0
            facts.hasLargeObjects = row.bool(5) ?? false
        }
        func texts(_ query: String, _ limit: Duration) async throws -> [String] {
            try await client.query(query, [.text(String(limit.components.seconds))]).rows.compactMap { $0.text(0) }
        }
        facts.oldPrepared = try await texts(ServerFactQueries.prepared, settings.longPrepared)
        facts.longTransactions = try await texts(ServerFactQueries.transactions, settings.longTransaction)
        facts.extensions = try await pairs(ServerFactQueries.extensions, client)
        facts.availableExtensions = try await pairs(ServerFactQueries.available, client)
        let names = plan.sharded.map(\.name) + plan.reference
        let arrays = [names.map(\.schema), names.map(\.name), plan.sharded.map(\.key) + plan.reference.map { _ in "" }]
        let rows = try await client.query(ServerFactQueries.identities, arrays.map { .text(JobTables.array($0)) }).rows
        facts.identities = rows.map { row in
            Identity(
                relation: QualifiedName(schema: row.text(0) ?? "", name: row.text(1) ?? ""),
                table: QualifiedName(schema: row.text(2) ?? "", name: row.text(3) ?? ""), kind: row.text(4) ?? "n",
                columns: row.text(4) == "f" ? nil : row.text(7)?.split(separator: "\u{1f}").map(String.init) ?? [], persistence: row.text(5) ?? "",
                relationKind: row.text(6) ?? "", key: key(row))
        }
        return facts
    }

    private static func key(_ row: PGRow) -> Key? {
        guard let oid = row.integer(8).flatMap({ UInt32(exactly: $0) }), let type = row.text(9) else { return nil }
        return Key(
            typeOID: oid, type: type, typeBelow: row.text(10), isGenerated: row.bool(11) ?? true,
            hasDeterministicCollation: row.bool(12) ?? false)
    }

    private static func pairs(_ query: String, _ client: PGClient) async throws -> [String: String] {
        let rows = try await client.query(query).rows
        return Dictionary(rows.compactMap { row in row.text(0).map { ($0, row.text(1) ?? "") } }, uniquingKeysWith: { $1 })
    }
}
