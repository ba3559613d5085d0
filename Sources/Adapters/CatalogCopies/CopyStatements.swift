/// The SQL of the copies. Statements name everything with its schema: nothing depends on search_path.
package enum CopyStatements {
    /// Run with the rest of the schema `pgmosaic`, and on shards from before there were copies; repeatable.
    package static let table = """
        CREATE TABLE IF NOT EXISTS pgmosaic.catalog_copy (
            one bool PRIMARY KEY DEFAULT true CHECK (one), format int NOT NULL, cluster_id text NOT NULL, epoch bigint NOT NULL,
            is_sealed bool NOT NULL, written_at timestamptz NOT NULL, written_by text NOT NULL, digest bytea NOT NULL, body bytea NOT NULL);
        """

    /// As registrations take it: two that make the table at once would not both succeed.
    static let lock = "SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext('pgmosaic'));"

    static let hasTables = "SELECT pg_catalog.to_regclass('pgmosaic.identity') IS NOT NULL, pg_catalog.to_regclass('pgmosaic.catalog_copy') IS NOT NULL"

    static let identity = "SELECT i.cluster_id, i.database, i.shard_id, i.fence FROM pgmosaic.identity i"

    /// Whether it is whole as well: a row that was damaged or changed by hand is written anew.
    static let state = "SELECT c.cluster_id, c.epoch, pg_catalog.sha256(c.body) = c.digest FROM pgmosaic.catalog_copy c"

    /// $1 format, $2 cluster, $3 epoch, $4 sealed, $5 writer, $6 body, $7 database, $8 shard. Gives a row where it wrote.
    ///
    /// Epochs of one cluster only grow, whichever leader comes last; and nothing is written where somebody else's shard is by now.
    static let write = """
        INSERT INTO pgmosaic.catalog_copy AS c (format, cluster_id, epoch, is_sealed, written_at, written_by, digest, body)
        SELECT $1::int, $2::text, $3::bigint, $4::bool, pg_catalog.clock_timestamp(), $5::text, pg_catalog.sha256($6::bytea), $6::bytea
        FROM pgmosaic.identity i WHERE i.cluster_id = $2::text AND i.database = $7::text AND i.shard_id = $8::text
        ON CONFLICT (one) DO UPDATE SET format = EXCLUDED.format, cluster_id = EXCLUDED.cluster_id, epoch = EXCLUDED.epoch, is_sealed = EXCLUDED.is_sealed,
            written_at = EXCLUDED.written_at, written_by = EXCLUDED.written_by, digest = EXCLUDED.digest, body = EXCLUDED.body
        WHERE c.cluster_id <> EXCLUDED.cluster_id OR c.epoch < EXCLUDED.epoch
            OR (c.epoch = EXCLUDED.epoch AND pg_catalog.sha256(c.body) <> c.digest)
        RETURNING c.epoch
        """

    static let read = "SELECT c.format, c.cluster_id, c.epoch, c.is_sealed FROM pgmosaic.catalog_copy c"
    /// In the binary format: as text it would be twice as long.
    static let body = "SELECT c.body FROM pgmosaic.catalog_copy c WHERE c.epoch = $1::bigint"

    /// The columns of the tables that are a user's: no partitions or children of others, and nothing of an extension.
    static let columns = """
        SELECT n.nspname, c.relname, a.attname, a.atttypid::bigint
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
            JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
            AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pgmosaic') AND n.nspname NOT LIKE 'pg\\_toast%' AND n.nspname NOT LIKE 'pg\\_temp%'
            AND NOT EXISTS (SELECT FROM pg_catalog.pg_inherits h WHERE h.inhrelid = c.oid)
            AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e')
        ORDER BY 1, 2, a.attnum
        """

    static func sample(_ schema: String, _ table: String, _ key: String, limit: Int) -> String {
        let key = quote(key)
        return "SELECT \(key)::text FROM \(quote(schema)).\(quote(table)) WHERE \(key) IS NOT NULL LIMIT \(limit)"
    }

    /// By scalars: a quote and a combining mark behind it are one `Character`, which is no quote.
    private static func quote(_ identifier: String) -> String { "\"" + identifier.unicodeScalars.split(separator: "\"", omittingEmptySubsequences: false).map { String($0) }.joined(separator: "\"\"") + "\"" }
}
