internal import LogicalReplication
internal import NIOCore
internal import PGChannel
internal import PGTypes
internal import ReshardCore
internal import ShardModel
internal import ShardTransfer
internal import TransferCore

extension PostgresServerWork {
    /// In the order given. What is gone already, or on a shard that the catalog does not know any more, is done.
    func clean(_ entries: [LedgerEntry], of record: JobRecord, _ work: JobWork, in catalog: CatalogSnapshot) async throws(EffectFailure) {
        await work.stopStreams()
        let names = JobNames(record.id)
        let shards = catalog.shards.filter { $0.value.database == record.database }
        for entry in entries {
            switch entry {
            case .slot(let id, let name):
                guard let shard = shards[id], let slot = SlotName(name) else { continue }
                try await with(shard, of: record, doing: "removing the slot \(name)") { try await JobSlot.drop(slot, $0) }
            case .publication(let id, let name):
                guard let shard = shards[id] else { continue }
                try await with(shard, of: record, doing: "removing the publication \(name)") { client in
                    _ = try await client.execute("DROP PUBLICATION IF EXISTS \(ShardQueries.quote(name))")
                }
            case .rows(let id): try await removeRows(of: record, from: id, shards, in: catalog)
            case .schema(let id, _):
                // Part of the database by now: its definitions are in use, and only rows may be too many.
                if shards[id]?.isJoining == true {
                    try await removeDefinitions(from: id, of: record, shards)
                } else {
                    try await removeRows(of: record, from: id, shards, in: catalog)
                }
            }
        }
        for id in Set(record.sources + record.targets).sorted() {
            guard let shard = shards[id] else { continue }
            try await with(shard, of: record, doing: "removing the job's positions and sessions") { client in
                _ = try await client.execute(Self.forget(names))
            }
        }
    }

    private static func forget(_ names: JobNames) -> String {
        """
        DO $$ BEGIN
        IF pg_catalog.to_regclass('pgmosaic.move_positions') IS NOT NULL THEN
            DELETE FROM pgmosaic.move_positions WHERE job IN ('\(names.session)', '\(names.session)-back'); END IF;
        IF pg_catalog.to_regclass('pgmosaic.move_sessions') IS NOT NULL THEN
            DELETE FROM pgmosaic.move_sessions WHERE job = '\(names.session)'; END IF; END $$
        """
    }

    /// Everything of the database's users, down to an empty schema `public`.
    func removeDefinitions(from id: ShardID, of record: JobRecord, _ shards: [ShardID: ShardRecord]) async throws(EffectFailure) {
        guard let shard = shards[id] else { return }
        guard shard.isJoining else { throw .impossible("shard \(id) is part of the database: its tables are not removed") }
        try await with(shard, of: record, doing: "removing the tables") { client in
            _ = try await client.execute(DefinitionRemoval.script, timeout: .hours(1))
        }
    }

    // MARK: rows

    /// Those of the job's vnodes that the catalog gives to other shards.
    func removeRows(
        of record: JobRecord, from id: ShardID, _ shards: [ShardID: ShardRecord], in catalog: CatalogSnapshot
    ) async throws(EffectFailure) {
        guard let shard = shards[id] else { return }
        let ranges = JobPlan.strangers(on: id, of: record, in: catalog)
        if ranges.isEmpty { return }
        let tables = catalog.tables.values.filter { $0.database == record.database }.compactMap { table -> (name: QualifiedName, key: String)? in
            if case .sharded(let key) = table.placement { (table.name, key) } else { nil }
        }.sorted { $0.name < $1.name }
        try await with(shard, of: record, doing: "removing rows") { client in
            _ = try await client.execute("SET session_replication_role = replica; SET row_security = off; SET statement_timeout = 0; SET client_encoding = 'UTF8'")
            let existing = try await JobTables.existing(tables.map(\.name), client)
            for table in tables where existing.contains(table.name) {
                for shape in try await TableShape.read(table.name, key: table.key, from: client) {
                    try await RowRemoval(shape, key: table.key, ranges: ranges, client).run()
                }
            }
        }
    }
}

/// Removes the rows of a relation whose keys are in given ranges, a batch at a time: found by their pages, for no SQL can hash a key.
struct RowRemoval: Sendable {
    /// What is read at a time.
    private static let pages = 128
    /// What one transaction removes at most.
    static let batch = 1000

    private let shape: TableShape
    private let key: String
    private let ranges: TokenRanges
    private let client: PGClient

    /// - ranges: sorted, without overlap.
    init(_ shape: TableShape, key: String, ranges: [TokenRange], _ client: PGClient) {
        self.shape = shape
        self.key = ShardQueries.quote(key)
        self.ranges = TokenRanges(ranges)
        self.client = client
    }

    /// Rows that come while it runs may be left: nobody writes such keys to a shard that does not own them.
    func run() async throws {
        var first = 0
        while first == 0 || first < shape.pages {
            let isLast = first + Self.pages >= shape.pages
            let end = isLast ? "" : " AND ctid < '(\(first + Self.pages),0)'"
            let rows = try await client.query(
                "SELECT ctid, \(key)::text FROM ONLY \(shape.relation) WHERE ctid >= '(\(first),0)'\(end)", options: .init(timeout: .hours(1))).rows
            var batch: [(place: String, key: String)] = []
            for row in rows {
                guard let place = row.text(0), let value = row[1], let text = row.text(1) else { continue }
                guard ranges.contains(try shape.form.keyType.token(text: value.readableBytesSpan)) else { continue }
                batch.append((place, text))
                if batch.count >= Self.batch { try await remove(&batch) }
            }
            try await remove(&batch)
            first += Self.pages
        }
    }

    /// The key is compared again: the place may be another row's by now.
    private func remove(_ batch: inout [(place: String, key: String)]) async throws {
        defer { batch = [] }
        if batch.isEmpty { return }
        try Task.checkCancellation()
        let statement = """
            DELETE FROM ONLY \(shape.relation) AS gone USING unnest($1::tid[], $2::text[]) AS found(place, key)
            WHERE gone.ctid = found.place AND gone.\(key)::text = found.key
            """
        _ = try await client.query(
            statement, [.text(JobTables.array(batch.map(\.place))), .text(JobTables.array(batch.map(\.key)))], options: .init(timeout: .minutes(10)))
    }
}

/// Takes away what users have made in a database. Extensions stay, as do those of their objects that are not in a schema of users.
enum DefinitionRemoval {
    static let script = """
        DO $pgmosaic$
        DECLARE
            gone record;
        BEGIN
            FOR gone IN SELECT evtname FROM pg_catalog.pg_event_trigger WHERE NOT pg_catalog.starts_with(evtname, 'pgmosaic_') LOOP
                EXECUTE pg_catalog.format('DROP EVENT TRIGGER IF EXISTS %I CASCADE', gone.evtname);
            END LOOP;
            FOR gone IN SELECT nspname FROM pg_catalog.pg_namespace
                WHERE nspname NOT IN ('pg_catalog', 'information_schema', 'pgmosaic', 'public') AND nspname !~ '^pg_(toast|temp)'
                    AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_namespace'::regclass AND d.objid = pg_namespace.oid AND d.deptype = 'e')
            LOOP
                EXECUTE pg_catalog.format('DROP SCHEMA IF EXISTS %I CASCADE', gone.nspname);
            END LOOP;
            -- One at a time: each may take others along.
            LOOP
                SELECT o.type, o.identity INTO gone
                FROM pg_catalog.pg_depend d CROSS JOIN LATERAL pg_catalog.pg_identify_object(d.classid, d.objid, 0) o
                WHERE d.refclassid = 'pg_catalog.pg_namespace'::regclass AND d.refobjid = 'public'::pg_catalog.regnamespace AND d.deptype = 'n' AND d.objsubid = 0
                    AND d.classid <> 'pg_catalog.pg_default_acl'::regclass
                    AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend e WHERE e.classid = d.classid AND e.objid = d.objid
                        AND e.deptype IN ('e', 'i') AND NOT (e.refclassid = e.classid AND e.refobjid = e.objid))
                    AND d.classid <> 'pg_catalog.pg_extension'::regclass
                LIMIT 1;
                EXIT WHEN NOT FOUND;
                EXECUTE pg_catalog.format('DROP %s IF EXISTS %s CASCADE',
                    CASE gone.type WHEN 'composite type' THEN 'type' WHEN 'statistics object' THEN 'statistics' ELSE gone.type END, gone.identity);
            END LOOP;
        END
        $pgmosaic$
        """
}
