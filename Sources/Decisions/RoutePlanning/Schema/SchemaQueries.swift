internal import SQLSyntax

/// The SQL that reads what `SchemaSnapshot` holds from one shard. Every result column is taken as text.
///
/// No oid of a user's object is in the results: they say the same on every shard that has the same schema.
package enum SchemaQueries {
    /// In the order in which `SchemaDecoder` takes their rows. All must be run on one connection; in one REPEATABLE READ transaction they show
    /// one moment.
    package static let all: [String] = Part.allCases.map(\.query)

    /// What each of them reads.
    package static let names: [String] = Part.allCases.map { "\($0)" }

    enum Part: Int, CaseIterable {
        case session, schemas, relations, columns, uniqueKeys, foreignKeys, views, viewFunctions, functions, collations, typeDefaults, operators, definitions

        var query: String {
            switch self {
            case .session: SchemaQueries.session
            case .schemas: SchemaQueries.schemas
            case .relations: SchemaQueries.relations
            case .columns: SchemaQueries.columns
            case .uniqueKeys: SchemaQueries.uniqueKeys
            case .foreignKeys: SchemaQueries.foreignKeys
            case .views: SchemaQueries.views
            case .viewFunctions: SchemaQueries.viewFunctions
            case .functions: SchemaQueries.functions("true", source: SchemaQueries.source)
            case .collations: SchemaQueries.collations
            case .typeDefaults: SchemaQueries.typeDefaults
            case .operators: SchemaQueries.operators
            case .definitions: SchemaQueries.definitions
            }
        }

        /// The columns that hold names.
        var names: Range<Int> {
            switch self {
            case .session: 0..<0
            case .schemas, .operators: 0..<1
            case .relations, .functions, .collations, .typeDefaults, .definitions: 0..<2
            case .columns: 0..<3
            case .views, .viewFunctions: 0..<4
            case .uniqueKeys: 0..<5
            case .foreignKeys: 0..<7
            }
        }

        /// Its rows begin with the name of the relation that they tell of.
        var isOfRelation: Bool {
            switch self {
            case .columns, .uniqueKeys, .foreignKeys, .views, .viewFunctions: true
            default: false
            }
        }
    }

    /// The same of the temporary relations of the server session that is asked; for `SchemaDecoder.temporary`.
    package static let temporary: [String] = temporaryParts.map { part in
        part.query.replacing(isUserSchema, with: "n.oid = pg_catalog.pg_my_temp_schema()")
    }

    static let temporaryParts: [Part] = [.relations, .columns, .uniqueKeys, .foreignKeys, .views]

    /// One row, one text: differs as soon as something that `all` reads has changed on this shard, and costs a few milliseconds.
    ///
    /// Made of the transactions that last wrote the catalog's rows: so it says nothing between shards (`digest` does), and a definition that
    /// changes nothing, or TRUNCATE, changes it too. What VACUUM and ANALYZE do to the catalog they do in place.
    package static let fingerprint: String = {
        // Rows of temporary tables come and go without anybody else seeing them.
        let permanent = "(SELECT oid FROM pg_catalog.pg_class WHERE oid >= 16384 AND relpersistence <> 't')"
        let marks = [
            ("pg_class", "oid", "oid >= 16384 AND relpersistence <> 't'"), ("pg_attribute", "attrelid::bigint * 2048 + attnum + 8", "attrelid IN \(permanent) AND attnum > 0"),
            ("pg_attrdef", "oid", "adrelid IN \(permanent)"), ("pg_constraint", "oid", "oid >= 16384 AND (conrelid = 0 OR conrelid IN \(permanent))"),
            ("pg_index", "indexrelid", "indrelid IN \(permanent)"), ("pg_inherits", "inhrelid", "inhrelid IN \(permanent)"),
            ("pg_rewrite", "oid", "ev_class IN \(permanent)"), ("pg_trigger", "oid", "tgrelid IN \(permanent)"),
            ("pg_type", "oid", "oid >= 16384 AND (typrelid = 0 OR typrelid IN \(permanent)) AND typcategory <> 'A'"), ("pg_proc", "oid", "oid >= 16384"),
            ("pg_operator", "oid", "oid >= 16384"), ("pg_collation", "oid", "oid >= 16384"), ("pg_namespace", "oid", "nspname !~ '^pg_(toast|temp)'"),
        ]
        .map { table, place, condition in
            """
            SELECT '\(table)' AS name, pg_catalog.count(*) AS rows,
                coalesce(pg_catalog.sum(pg_catalog.hashint8extended((\(place))::pg_catalog.int8, xmin::pg_catalog.text::pg_catalog.int8)), 0) AS mark
            FROM pg_catalog.\(table) WHERE \(condition)
            """
        }
        return """
            SELECT pg_catalog.md5(pg_catalog.string_agg(name || rows || ' ' || mark, ' ' ORDER BY name))
            FROM (\(marks.joined(separator: "\nUNION ALL\n"))) marks
            """
    }()

    /// One row, one text: equal on two shards exactly when the rows of all queries are (those of the session left out, and PostgreSQL's own
    /// functions and the texts that it makes of views, which only another server version changes). Costs about as much as reading the schema.
    package static let digest: String = {
        let parts = Part.allCases.filter { $0 != .session && $0 != .definitions }.map { part in
            let query = part == .functions ? functions("p.oid >= 16384") : part.query
            return """
                SELECT \(part.rawValue) AS part, pg_catalog.md5(coalesce(pg_catalog.string_agg(q::text, E'\\n' ORDER BY q::text COLLATE "C"), '')) AS digest
                FROM (\(query)) q
                """
        }
        return "SELECT pg_catalog.md5(pg_catalog.string_agg(digest, ' ' ORDER BY part)) FROM (\(parts.joined(separator: "\nUNION ALL\n"))) parts"
    }()

    /// The channel that `eventTrigger` notifies, without a payload.
    package static let channel = "pgmosaic_schema"

    /// Makes a shard tell of DDL that did not come through a router. Repeatable, needs schema pgmosaic; does nothing where the role may not make
    /// event triggers, and the fingerprint must be polled.
    ///
    /// A transaction that notified cannot be prepared for a commit in two phases, so sessions that say `SET pgmosaic.session = 'router'` do not:
    /// a router that changed a schema knows, and can notify the others once it is committed.
    package static let eventTrigger = """
        DO $install$
        BEGIN
            CREATE OR REPLACE FUNCTION pgmosaic.notify_schema() RETURNS event_trigger LANGUAGE plpgsql AS $body$
            BEGIN
                IF coalesce(pg_catalog.current_setting('pgmosaic.session', true), '') <> 'router' THEN
                    PERFORM pg_catalog.pg_notify('\(channel)', '');
                END IF;
            END
            $body$;
            DROP EVENT TRIGGER IF EXISTS pgmosaic_schema_end;
            DROP EVENT TRIGGER IF EXISTS pgmosaic_schema_drop;
            CREATE EVENT TRIGGER pgmosaic_schema_end ON ddl_command_end EXECUTE FUNCTION pgmosaic.notify_schema();
            CREATE EVENT TRIGGER pgmosaic_schema_drop ON sql_drop EXECUTE FUNCTION pgmosaic.notify_schema();
        EXCEPTION WHEN insufficient_privilege THEN
            NULL;
        END
        $install$
        """

    // MARK: the queries

    private static let session = "SELECT current_user::text, pg_catalog.current_setting('search_path')"

    /// Those that PostgreSQL would look through for this role.
    private static let schemas = """
        SELECT n.nspname FROM pg_catalog.pg_namespace n
        WHERE n.nspname !~ '^pg_(toast|temp)' AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')
        """

    private static let isUserSchema = "n.nspname NOT IN ('pg_catalog', 'information_schema', 'pgmosaic') AND n.nspname !~ '^pg_(toast|temp)'"

    private static let relations = """
        SELECT n.nspname, c.relname, c.relkind,
            EXISTS (SELECT 1 FROM pg_catalog.pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal),
            EXISTS (SELECT 1 FROM pg_catalog.pg_rewrite r WHERE r.ev_class = c.oid AND r.rulename <> '_RETURN'),
            c.relrowsecurity, c.relpersistence = 'u', parent.nspname, parent.relname,
            coalesce((SELECT \(SequenceSlicing.isSliced) FROM pg_catalog.pg_sequence q WHERE q.seqrelid = c.oid), false)
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
            LEFT JOIN LATERAL (
                SELECT pn.nspname, pc.relname FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class pc ON pc.oid = i.inhparent
                    JOIN pg_catalog.pg_namespace pn ON pn.oid = pc.relnamespace
                WHERE i.inhrelid = c.oid ORDER BY i.inhseqno LIMIT 1) parent ON true
        WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'i', 'I', 'f', 'c') AND \(isUserSchema)
        """

    private static let columns = """
        SELECT n.nspname, c.relname, a.attname, CASE WHEN a.atttypid < 16384 THEN a.atttypid ELSE 16384 END,
            pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull,
            coalesce(pg_catalog.pg_get_expr(d.adbin, d.adrelid), pg_catalog.pg_get_expr(t.typdefaultbin, 0)),
            \(isVolatile("coalesce(d.adbin, t.typdefaultbin)")),
            a.attidentity <> '', a.attgenerated <> '', coalesce(l.collisdeterministic, true), \(hasSlicedSequence),
            a.attcollation IN (0, 100), a.attcollation IN (0, 950, 951) OR a.attcollation = 100 AND \(databaseOrdersBytes)
        FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
            JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
            JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
            LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
            LEFT JOIN pg_catalog.pg_collation l ON l.oid = a.attcollation
        WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND a.attnum > 0 AND NOT a.attisdropped AND \(isUserSchema)
        ORDER BY n.nspname, c.relname, a.attnum
        """

    /// The oids above are those of "C" and "POSIX", and of the database's own. PostgreSQL 14 has no provider but the operating system's.
    private static let databaseOrdersBytes = """
        (SELECT CASE coalesce(pg_catalog.to_jsonb(b) ->> 'datlocprovider', 'c')
                WHEN 'c' THEN b.datcollate IN ('C', 'POSIX') WHEN 'b' THEN coalesce(pg_catalog.to_jsonb(b) ->> 'datlocale', '') IN ('C', 'C.UTF-8') ELSE false END
            FROM pg_catalog.pg_database b WHERE b.datname = pg_catalog.current_database())
        """

    /// Its own sequence, or the one that the default names; a default that finds its sequence in another way has none that is known.
    private static let hasSlicedSequence = """
        a.atttypid = 20 AND (
                a.attidentity <> '' AND EXISTS (
                    SELECT 1 FROM pg_catalog.pg_depend own JOIN pg_catalog.pg_sequence q ON q.seqrelid = own.objid
                    WHERE own.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND own.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
                      AND own.refobjid = a.attrelid AND own.refobjsubid = a.attnum AND own.deptype = 'i' AND \(SequenceSlicing.isSliced))
                OR coalesce(pg_catalog.pg_get_expr(d.adbin, d.adrelid) ~ '^nextval\\(''([^'']|'''')+''::regclass\\)$', false) AND EXISTS (
                    SELECT 1 FROM pg_catalog.pg_depend used JOIN pg_catalog.pg_sequence q ON q.seqrelid = used.refobjid
                    WHERE used.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND used.objid = d.oid
                      AND used.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND \(SequenceSlicing.isSliced)))
        """

    /// Whether an expression tree may give another value when it is evaluated again or elsewhere. PostgreSQL records dependencies on
    /// users' functions only, so the tree itself is searched for the functions in it.
    private static func isVolatile(_ tree: String) -> String {
        let names = FunctionRules.sameOnEveryShard.sorted().map(quoteLiteral).joined(separator: ", ")
        return """
            \(tree) IS NOT NULL AND (
                \(tree)::text ~ '\\{(SQLVALUEFUNCTION|NEXTVALUEEXPR)|\\{COERCEVIAIO .*:resulttype (1082|1083|1114|1184|1266) '
                OR EXISTS (
                    SELECT 1 FROM pg_catalog.regexp_matches(\(tree)::text, ':(?:op)?funcid ([1-9][0-9]*)', 'g') AS m(found)
                        JOIN pg_catalog.pg_proc p ON p.oid = m.found[1]::pg_catalog.oid
                    WHERE p.oid >= 16384 OR (p.provolatile <> 'i' AND p.proname NOT IN (\(names)))))
            """
    }

    /// A row for each column, in order; a NULL column for a key without one.
    private static let uniqueKeys = """
        SELECT n.nspname, c.relname, x.relname, i.indisprimary, key.attname
        FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
            JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
            LEFT JOIN LATERAL (
                SELECT a.attname, k.place FROM pg_catalog.generate_series(1, i.indnkeyatts) AS k(place)
                    JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[k.place - 1] AND a.attnum > 0
                    LEFT JOIN pg_catalog.pg_collation l ON l.oid = i.indcollation[k.place - 1]
                    LEFT JOIN pg_catalog.pg_constraint con ON con.conindid = i.indexrelid AND con.contype = 'x'
                    LEFT JOIN pg_catalog.pg_operator o ON o.oid = con.conexclop[k.place]
                WHERE coalesce(l.collisdeterministic, true)
                  AND (con.oid IS NULL OR (o.oprname = '=' AND o.oprnamespace = 'pg_catalog'::pg_catalog.regnamespace))) key ON true
        WHERE (i.indisunique OR i.indisexclusion) AND \(isUserSchema)
        ORDER BY n.nspname, c.relname, x.relname, key.place
        """

    /// A row for each pair of columns, in order. What PostgreSQL adds for the partitions of a table referred to is left out.
    private static let foreignKeys = """
        SELECT n.nspname, c.relname, con.conname, tn.nspname, tc.relname, a.attname, ta.attname, con.confupdtype, con.confdeltype,
            coalesce(con.conkey[k.place] = ANY (con.confdelsetcols), true)
        FROM pg_catalog.pg_constraint con JOIN pg_catalog.pg_class c ON c.oid = con.conrelid
            JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
            JOIN pg_catalog.pg_class tc ON tc.oid = con.confrelid JOIN pg_catalog.pg_namespace tn ON tn.oid = tc.relnamespace
            CROSS JOIN LATERAL pg_catalog.generate_subscripts(con.conkey, 1) AS k(place)
            JOIN pg_catalog.pg_attribute a ON a.attrelid = con.conrelid AND a.attnum = con.conkey[k.place]
            JOIN pg_catalog.pg_attribute ta ON ta.attrelid = con.confrelid AND ta.attnum = con.confkey[k.place]
        WHERE con.contype = 'f' AND \(isUserSchema)
          AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_constraint up WHERE up.oid = con.conparentid AND up.conrelid = con.conrelid)
        ORDER BY n.nspname, c.relname, con.conname, k.place
        """

    private static let views = """
        SELECT DISTINCT n.nspname, c.relname, sn.nspname, sc.relname
        FROM pg_catalog.pg_rewrite r JOIN pg_catalog.pg_class c ON c.oid = r.ev_class AND c.relkind IN ('v', 'm')
            JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
            JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = r.oid
                AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid <> c.oid
            JOIN pg_catalog.pg_class sc ON sc.oid = d.refobjid JOIN pg_catalog.pg_namespace sn ON sn.oid = sc.relnamespace
        WHERE \(isUserSchema)
        """

    /// A row for each view, with the effective search_path, by which the text leaves out schemas.
    private static let definitions = """
        SELECT n.nspname, c.relname, pg_catalog.pg_get_viewdef(c.oid), pg_catalog.array_to_string(pg_catalog.current_schemas(false), E'\\x01')
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind = 'v' AND \(isUserSchema)
        """

    /// PostgreSQL records dependencies on users' functions only, so the view's tree is searched.
    private static let viewFunctions = """
        SELECT DISTINCT n.nspname, c.relname, called.nspname, called.proname
        FROM pg_catalog.pg_rewrite r JOIN pg_catalog.pg_class c ON c.oid = r.ev_class AND c.relkind IN ('v', 'm')
            JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
            CROSS JOIN LATERAL (
                SELECT pn.nspname, p.proname
                FROM pg_catalog.regexp_matches(r.ev_action::text, ':(?:(?:op)?funcid|aggfnoid|winfnoid) ([1-9][0-9]*)', 'g') AS m(found)
                    JOIN pg_catalog.pg_proc p ON p.oid = m.found[1]::pg_catalog.oid JOIN pg_catalog.pg_namespace pn ON pn.oid = p.pronamespace
                WHERE p.provolatile = 'v' OR p.proname IN (\(FunctionRules.listedForState.map(quoteLiteral).joined(separator: ", ")))
                UNION ALL
                SELECT 'pg_catalog', 'pg_prepared_statement'
                WHERE r.ev_action::text ~ (':relid ' || 'pg_catalog.pg_prepared_statements'::pg_catalog.regclass::pg_catalog.oid || ' ')) called
        WHERE r.ev_type = '1' AND \(isUserSchema)
        """

    /// Contributed with PostgreSQL, and their C functions look at nothing but their arguments.
    private static let plainExtensions = """
        'btree_gin', 'btree_gist', 'citext', 'cube', 'earthdistance', 'fuzzystrmatch', 'hstore', 'intarray', 'isn', 'ltree', 'pg_trgm', 'pgcrypto', \
        'seg', 'unaccent', 'uuid-ossp'
        """

    private static let isUsers = """
        p.oid >= 16384 AND NOT (l.lanname IN ('c', 'internal') AND EXISTS (
        SELECT 1 FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
        WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid AND d.deptype = 'e'
          AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND e.extname IN (\(plainExtensions))))
        """

    /// Of what may be called by a statement, and says in a language that is understood what it does.
    private static let source = """
        CASE WHEN p.oid >= 16384 AND p.provolatile = 'v' AND l.lanname IN ('sql', 'plpgsql') AND p.prorettype NOT IN (2279, 3838)
        THEN coalesce(pg_catalog.pg_get_function_sqlbody(p.oid), p.prosrc) END
        """

    private static func functions(_ condition: String, source: String = "NULL") -> String {
        """
        SELECT DISTINCT n.nspname, p.proname, p.provolatile,
            \(isUsers),
            p.prokind = 'a', p.proretset, \(source), \(isPure)
        FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace JOIN pg_catalog.pg_language l ON l.oid = p.prolang
        WHERE n.nspname <> 'pgmosaic' AND n.nspname !~ '^pg_(toast|temp)' AND \(condition)
        """
    }

    private static let isPure = """
        p.oid >= 16384 AND p.provolatile = 'i' AND (p.prokind = 'f' OR p.prokind = 'a' AND NOT EXISTS (
        SELECT 1 FROM pg_catalog.pg_aggregate g JOIN pg_catalog.pg_proc s ON s.oid IN (g.aggtransfn, g.aggfinalfn, g.aggcombinefn, g.aggserialfn,
            g.aggdeserialfn, g.aggmtransfn, g.aggminvtransfn, g.aggmfinalfn)
        WHERE g.aggfnoid = p.oid AND s.provolatile <> 'i'))
        """

    private static let collations = """
        SELECT n.nspname, l.collname FROM pg_catalog.pg_collation l JOIN pg_catalog.pg_namespace n ON n.oid = l.collnamespace
        WHERE NOT l.collisdeterministic
        """

    private static let typeDefaults = """
        SELECT n.nspname, t.typname, pg_catalog.pg_get_expr(t.typdefaultbin, 0), \(isVolatile("t.typdefaultbin"))
        FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace WHERE t.typdefaultbin IS NOT NULL AND \(isUserSchema)
        """

    /// Whether it is a `=` for smallint, integer, bigint, uuid, text or varchar; whether its function is a user's, and volatile.
    private static let operators = """
        SELECT DISTINCT n.nspname, o.oprname,
            o.oprname = '=' AND (o.oprleft IN (20, 21, 23, 25, 1043, 2950) OR o.oprright IN (20, 21, 23, 25, 1043, 2950)), \(isUsers),
            p.provolatile = 'v'
        FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace
            JOIN pg_catalog.pg_proc p ON p.oid = o.oprcode JOIN pg_catalog.pg_language l ON l.oid = p.prolang
        WHERE n.nspname <> 'pg_catalog'
        """
}
