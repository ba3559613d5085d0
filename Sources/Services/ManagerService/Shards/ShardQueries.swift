/// The SQL that the manager runs on shards.
enum ShardQueries {
    /// One row of what `ShardInspection` holds, and whether our tables are there. `pgmosaic:` begins the name of each transaction that routers prepare.
    static let facts = """
        SELECT current_setting('server_version_num')::int, current_setting('server_version'), pg_catalog.pg_is_in_recovery(),
               current_setting('wal_level'), current_setting('max_prepared_transactions')::int,
               pg_catalog.pg_encoding_to_char(d.encoding),
               pg_catalog.concat_ws(' ', d.datcollate, d.datctype, nullif(l.own ->> 'datlocprovider', 'c'), coalesce(l.own ->> 'datlocale', l.own ->> 'daticulocale'), l.own ->> 'daticurules'),
               current_user,
               pg_catalog.has_database_privilege(d.oid, 'CREATE'), current_setting('is_superuser') = 'on',
               pg_catalog.to_regclass('pgmosaic.identity') IS NOT NULL,
               (SELECT count(*) FROM pg_catalog.pg_prepared_xacts p WHERE p.database = d.datname AND pg_catalog.starts_with(p.gid, 'pgmosaic:')),
               (SELECT s.system_identifier::text FROM pg_catalog.pg_control_system() s)
        FROM pg_catalog.pg_database d CROSS JOIN LATERAL (SELECT pg_catalog.to_jsonb(d) AS own) l WHERE d.datname = current_database()
        """

    /// The claim as of a table that has none yet: of a shard from before there were claims.
    static let identity = """
        SELECT cluster_id, database, shard_id, pg_catalog.to_jsonb(i) ->> 'claim' FROM pgmosaic.identity i
        """

    /// $4 the claim. Writes the identity of a database that has none.
    static let identify = """
        INSERT INTO pgmosaic.identity (cluster_id, database, shard_id, claim) VALUES ($1, $2, $3, $4) ON CONFLICT (one) DO NOTHING
        """

    /// $1 the new claim, in the place of $2. Gives a row where it did.
    static let claim = "UPDATE pgmosaic.identity SET claim = $1 WHERE claim IS NOT DISTINCT FROM $2 RETURNING one"

    private static let userSchemas = """
        n.nspname NOT IN ('pg_catalog', 'information_schema', 'pgmosaic') AND n.nspname NOT LIKE 'pg\\_toast%' AND n.nspname NOT LIKE 'pg\\_temp%'
        """

    /// Tables of extensions are not the user's.
    static let tables = """
        SELECT n.nspname, c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p', 'f', 'm') AND \(userSchemas)
          AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend d
                          WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
        ORDER BY 1, 2
        """

    /// The first twenty objects that are a user's. Tables have a row type and arrays of it, which are not told again.
    static let objects = """
        SELECT name FROM (
            SELECT 'schema ' || n.nspname AS name, 'pg_namespace'::pg_catalog.regclass AS catalog, n.oid FROM pg_catalog.pg_namespace n
            WHERE n.nspname <> 'public' AND \(userSchemas)
            UNION ALL
            SELECT 'relation ' || n.nspname || '.' || c.relname, 'pg_class'::pg_catalog.regclass, c.oid
            FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE \(userSchemas)
            UNION ALL
            SELECT 'function ' || n.nspname || '.' || p.proname, 'pg_proc'::pg_catalog.regclass, p.oid
            FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE \(userSchemas)
            UNION ALL
            SELECT 'type ' || n.nspname || '.' || t.typname, 'pg_type'::pg_catalog.regclass, t.oid
            FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
            WHERE t.typrelid = 0 AND t.typelem = 0 AND t.typtype <> 'm' AND \(userSchemas)
        ) AS objects
        WHERE NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend d WHERE d.classid = objects.catalog AND d.objid = objects.oid AND d.deptype = 'e')
        ORDER BY name COLLATE "C" LIMIT 20
        """

    /// One text for everything that statements can name: schemas, relations with their columns, types and defaults, functions, types, extensions.
    static let fingerprint = """
        SELECT pg_catalog.md5(coalesce(pg_catalog.string_agg(line, E'\\n' ORDER BY line COLLATE "C"), '')) FROM (
            SELECT 'schema ' || n.nspname AS line FROM pg_catalog.pg_namespace n WHERE \(userSchemas)
            UNION ALL
            SELECT 'column ' || n.nspname || '.' || c.relname || ' ' || c.relkind::text || ' ' || a.attnum || ' ' || a.attname || ' '
                || pg_catalog.format_type(a.atttypid, a.atttypmod) || ' ' || a.attnotnull::text || ' '
                || coalesce(pg_catalog.pg_get_expr(d.adbin, d.adrelid), '')
            FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
                JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
            WHERE \(userSchemas)
            UNION ALL
            SELECT 'function ' || n.nspname || '.' || p.proname || '(' || pg_catalog.pg_get_function_identity_arguments(p.oid) || ') ' || p.provolatile::text || ' '
                || pg_catalog.md5(p.prosrc)
            FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE \(userSchemas)
            UNION ALL
            SELECT 'type ' || n.nspname || '.' || t.typname || ' ' || t.typtype::text
            FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace WHERE \(userSchemas)
            UNION ALL
            SELECT 'extension ' || extname || ' ' || extversion FROM pg_catalog.pg_extension
        ) AS lines
        """

    /// The kind (`relkind`) of a relation that statements can name as a table; no row when there is none.
    static let tableKind = """
        SELECT c.relkind FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
        """

    /// Connections from the counters of the databases: of others' sessions, an ordinary role sees too little in pg_stat_activity.
    static let figures = """
        SELECT pg_catalog.pg_database_size(current_database()),
               (SELECT coalesce(sum(numbackends), 0) FROM pg_catalog.pg_stat_database),
               current_setting('max_connections')::int, (SELECT count(*) FROM pg_catalog.pg_prepared_xacts WHERE database = current_database())
        """

    /// The hundred largest.
    static let tableFigures = """
        SELECT schemaname, relname, n_live_tup, pg_catalog.pg_total_relation_size(relid) FROM pg_catalog.pg_stat_user_tables
        WHERE schemaname <> 'pgmosaic' ORDER BY 4 DESC, 1, 2 LIMIT 100
        """

    /// By scalars: a quote and a combining mark behind it are one `Character`, which is no quote.
    static func quote(_ identifier: String) -> String { "\"" + identifier.unicodeScalars.split(separator: "\"", omittingEmptySubsequences: false).map { String($0) }.joined(separator: "\"\"") + "\"" }
}
