extension RefusalCode {
    package var sqlState: String {
        switch self {
        case .unknownTable: "42P01"
        case .unknownFunction: "42883"
        case .keyIsNull: "23502"
        case .multipleStatements: "42601"
        case .keyMalformed: "22P02"
        case .tableHasRows: "55000"
        case .resharding, .rowsMove: "55006"
        case .tooComplex: "54001"
        case .readOnlyUser: "42501"
        default: "0A000"
        }
    }

    /// Whether the statement may be fine and the router's copy of the schema old: the router reloads it once and plans again.
    package var isCuredByReload: Bool {
        switch self {
        case .unknownTable, .unknownFunction, .keyColumn: true
        default: false
        }
    }

    /// What was refused: a constant sentence, the variable part is `Refusal.subject`.
    package var message: String { text.message }
    /// What to do about it.
    package var hint: String { text.hint }

    private var text: (message: String, hint: String) {
        switch self {
        case .noKey:
            ("the statement does not say which shard it is for",
             "Compare the shard key of every sharded table with =, IN or = ANY at the top AND level of WHERE, or join the tables on their keys.")
        case .manyShards:
            ("the statement's keys live on more than one shard", "Run it once for each key.")
        case .isolation:
            ("a transaction over several shards cannot keep its isolation level",
             "Use READ COMMITTED, or keep the transaction to the keys of one shard.")
        case .rowLimit:
            ("these rows of several shards cannot be fetched so", "Fetch all of the statement's rows at once, as drivers do without a fetch size; from a cursor, forward.")
        case .combinedType:
            ("values of this column's type mean something on their own shard only",
             "Cast the column to text, leave it out, or run the statement outside of a transaction.")
        case .typesDiffer:
            ("the shards know the column's type by different numbers", "Cast the column to text, or read it by its key.")
        case .replicaSnapshot:
            ("the transaction reads one snapshot of a replica, and the statement is for the primary",
             "Set pgmosaic.consistency to strong before the transaction, or use READ COMMITTED.")
        case .mixedPlacements:
            ("a local table cannot be used together with a sharded or a written reference table",
             "Make the local table a reference table, or run two statements.")
        case .catalogJoin:
            ("system catalogs cannot be used together with sharded tables or writes to reference tables",
             "Read the catalog in a statement of its own.")
        case .keyIsNull:
            ("the shard key is NULL", "Give the key a value; NULL belongs to no shard.")
        case .keyNullable:
            ("the statement could store NULL for the shard key", "Make the key's column NOT NULL; then the shard itself sees to it.")
        case .keyType:
            ("the shard key is given or compared as another type",
             "Use a value of the key column's own type: an integer without decimal point, a uuid, a text; declare or cast the parameter.")
        case .keyMissing:
            ("the INSERT gives no value for the shard key", "Name the key column and give it a value; its default is none that can be worked out first.")
        case .keyExpression:
            ("the shard key's value is an expression",
             "Give the key as a literal, a parameter or a cast of either; INSERT ... SELECT may copy the key of a table bound to one shard.")
        case .keyUpdate:
            ("the shard key cannot be changed so", "Name both keys (UPDATE t SET key = 6 WHERE key = 5); or delete the row and insert it again with the new key.")
        case .keyColumn:
            ("the table has no column of the declared shard key's name", "Declare the table again with a column that it has.")
        case .shardKeyDisagrees:
            ("the shard key given beside the statement lives on another shard than the statement's own key",
             "Leave the separate key out, or give the key that the statement names.")
        case .hint:
            ("the hint cannot place this statement",
             "Give it to a single SELECT that returns all of its rows at once, with a key of the type that the tables' keys have.")
        case .keyMalformed:
            ("the shard key's value cannot be read as the key column's type",
             "Give a value that the column can hold: an integer within its range, a uuid, a text.")
        case .unknownTable:
            ("relation does not exist", "Check the name and search_path.")
        case .unplacedTable:
            ("nothing says where the table's rows live",
             "SELECT pgmosaic.shard_table('table', 'key column'), pgmosaic.reference_table('table') or pgmosaic.local_table('table').")
        case .unknownFunction:
            ("function does not exist", "Check the name, the schema and search_path.")
        case .userFunction:
            ("a user-defined function may reach rows of other shards", "Declare it IMMUTABLE if it looks at nothing but its arguments; else write its body into the statement.")
        case .serverFunction:
            ("the function acts on one server, or runs text as SQL", "Connect to the shard itself.")
        case .sessionFunction:
            ("the function depends on the state of one server session",
             "Use RETURNING instead of currval(), or SET pgmosaic.keep_sequence_state = on; SET instead of set_config().")
        case .sequenceState:
            ("what the session drew last from a sequence is not known where the statement runs: it has drawn on another shard, or on several at once",
             "Use RETURNING; or ask currval() in a statement of its own right behind the INSERT, and pass the value on.")
        case .sequenceFunction:
            ("each shard has a sequence of its own, so values would repeat",
             "Use gen_random_uuid(), a key made by the application, or nextval() in a statement of its own.")
        case .shardSize:
            ("the size of one shard's part would pass for the whole table's", "Ask each shard.")
        case .userOperator:
            ("operators are understood in schema pg_catalog only", "Use the built-in operator.")
        case .view:
            ("a view's body may reach rows of other shards",
             "Declare the view: pgmosaic.reference_table('view') or local_table('view') if it reads only such tables, shard_table('view', 'key') if it joins sharded tables on their keys only.")
        case .viewWrite:
            ("only views of local tables can be written to", "Write to the table itself.")
        case .relationKind:
            ("the relation is not a table", "Name a table.")
        case .rules:
            ("the table has rewrite rules", "Drop the rules; use triggers.")
        case .rowSecurity:
            ("the table has row security policies, which the router's role would be judged by",
             "Disable row security on sharded and reference tables.")
        case .temporary:
            ("temporary objects live on the home shard, and cannot be used so",
             "Fill and join them with local and reference tables; read sharded rows first, and INSERT them. pg_temp goes before table names, not into search_path.")
        case .sampling:
            ("TABLESAMPLE works on local tables only", "Use WHERE random() < x.")
        case .volatileReferenceWrite:
            ("a write to a reference table must give the same rows on every shard",
             "Evaluate time, random values, sequences and defaults in the application and pass them as parameters.")
        case .unorderedReferenceWrite:
            ("a write to a reference table must not depend on the order of rows",
             "Leave out LIMIT, DISTINCT ON, window functions, order-dependent aggregates and UPDATE ... FROM.")
        case .referenceWriteSource:
            ("a write to a reference table may read reference tables only", "Read the rows first, then write them.")
        case .referenceLock:
            ("a row of a reference table cannot be locked together with sharded rows", "Use FOR UPDATE OF the sharded table.")
        case .multipleStatements:
            ("cannot insert multiple commands into a prepared statement", "Send one statement at a time.")
        case .statementList:
            ("the statement cannot stand among several in one query", "Send it as a query of its own.")
        case .merge:
            ("MERGE into a reference table is not routed, nor in this form", "Use INSERT ... ON CONFLICT, UPDATE and DELETE.")
        case .createTableAs:
            ("SELECT INTO and CREATE TABLE AS are not routed", "CREATE TABLE, then INSERT ... SELECT.")
        case .explainAnalyze:
            ("EXPLAIN ANALYZE of a statement for every shard is refused", "Leave out ANALYZE.")
        case .explainFormat:
            ("the plans of several shards are put together as text or JSON only", "Use FORMAT text or FORMAT json.")
        case .sqlPrepare:
            ("this form of PREPARE or EXECUTE is not routed",
             "Use types of PostgreSQL's own, plain values for arguments, and EXECUTE as a statement of its own; or the driver's prepared statements.")
        case .cannotPrepare:
            ("on two shards of the transaction something ran that PostgreSQL does not let be prepared",
             "Keep LISTEN, NOTIFY, temporary tables and the declaration of cursors WITH HOLD in one transaction to one shard.")
        case .lockTable:
            ("LOCK TABLE is refused", "Use SELECT ... FOR UPDATE on rows of one shard.")
        case .twoPhase:
            ("PREPARE TRANSACTION belongs to the router", "Use COMMIT: several shards are committed atomically.")
        case .setting:
            ("the router depends on this setting", "Leave it as it is.")
        case .role:
            ("the session's user cannot be changed through the router", "Use SET ROLE, or log in as the other user.")
        case .nameForm:
            ("a name is not in Unicode's normalization form C",
             "Write the name in form C (NFC), in which an accented letter is one character where Unicode has one; rename what has another name.")
        case .uncertainName:
            (
                "in a session that has changed its role the name may mean objects of several schemas",
                "Write the schema before the name, or let search_path name one schema only. PostgreSQL leaves out the schemas that a role may not use."
            )
        case .copyFile:
            ("COPY with a server's file or program is refused", "Use COPY ... FROM STDIN or TO STDOUT (\\copy in psql).")
        case .copyFormat:
            ("COPY in this format or encoding cannot be split by key",
             "Use FORMAT text, csv or binary, and UTF8 or another encoding whose ASCII bytes are always ASCII characters.")
        case .copyOption:
            ("COPY with this option, or with this value of it, is not routed to several shards", "Leave the option out.")
        case .extendedMaintenance:
            ("VACUUM and its like on several shards are routed in the simple protocol only",
             "Send it as a simple query: without parameters, outside of a transaction and of prepared statements.")
        case .queryInPipeline:
            ("a simple query behind a pipeline that has written is not routed", "End the pipeline with Sync, or begin it with BEGIN.")
        case .setLocalSearchPath:
            ("SET LOCAL search_path is refused", "SET search_path for the session, or qualify the names.")
        case .mosaicCall:
            ("a pgmosaic function must be the only expression of a plain SELECT, with literal arguments",
             "SELECT pgmosaic.shard_table('orders', 'customer_id').")
        case .readOnlyUser:
            ("the user has only the right to read this database, and the statement is not known to do nothing else",
             "Ask an administrator for query:write; what only reads is a SELECT of tables and of PostgreSQL's own functions without effects.")
        case .uniqueWithoutKey:
            ("a unique constraint or index of a sharded table must contain the shard key",
             "Add the shard key to it: each shard sees its own rows only, so uniqueness without the key cannot be kept.")
        case .foreignKey:
            ("the foreign key's two tables do not keep their related rows on one shard",
             "Sharded tables may refer to reference tables, or to sharded tables with the shard key of both at the same position; reference tables to reference tables; local tables to local tables.")
        case .sequenceDefault:
            ("the values of the sequence cannot be shared out between the shards",
             "Use bigserial, or bigint GENERATED ... AS IDENTITY without bounds, on sharded tables; on reference tables keys made by the application. SELECT setval('s', n) moves the home shard's part of a sequence.")
        case .volatileDefault:
            ("the rows a reference table already has would get another value on each shard",
             "Add the column without the default, fill it with UPDATE, then set the default.")
        case .referenceTrigger:
            ("a trigger on a reference table would run on every shard, each with its own clock and random values",
             "Do in the statement what the trigger does, or make the table local.")
        case .keyDefinition:
            ("the shard key's column cannot be like this",
             "It must stay a plain column of type smallint, integer, bigint, uuid, text or varchar with a deterministic collation.")
        case .placementConflict:
            ("the table would have another placement than the table it depends on", "Declare both with the same placement and the same key.")
        case .tableHasRows:
            ("the table holds rows, and another placement would have them elsewhere", "Declare the placement while the table is empty.")
        case .resharding:
            ("definitions and placements cannot change while rows move between shards",
             "Repeat it when the job is over; `pgmosaic reshard list` shows it, and it can be finished or cancelled.")
        case .rowsMove:
            ("rows are moving between shards, which hold some of them twice meanwhile, and the statement would count both",
             "Run it once for each key, or repeat it when the job is over; `pgmosaic reshard list` shows it.")
        case .concurrently:
            ("CONCURRENTLY cannot be undone here where a shard fails", "Give the index a name, or leave out CONCURRENTLY.")
        case .definition:
            ("this definition is not routed", "See docs/reference/refusals.md.")
        case .serverDefinition:
            ("the statement is about a whole server, not about the database's schema", "Connect to each shard's server.")
        case .systemSchema:
            ("schema pgmosaic and the system's schemas belong to the router and to PostgreSQL", "Use another schema.")
        case .tooComplex:
            ("the statement has too many subqueries", "Split it.")
        case .unsupported:
            ("the router does not route this statement or expression", "See docs/reference/refusals.md.")
        }
    }
}
