import java.math.BigDecimal;
import java.sql.*;
import java.util.*;
import java.util.concurrent.*;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyManager;

/**
 * JDBC's smoke test: what it prints through the router must be what it prints on one plain server.
 *
 * The address is in JDBC_URL. The placements of its tables are declared before; no statement here is PGMosaic's own.
 */
public final class Smoke {
    static final String URL = System.getenv("JDBC_URL");
    static final long BIG = 1L << 40;
    static final long[] KEYS = {1, BIG, -7};

    interface Step { void run(Connection connection) throws Exception; }

    static void show(Object... values) {
        List<String> texts = new ArrayList<>();
        for (Object value : values) texts.add(text(value));
        System.out.println(String.join(" ", texts));
    }

    static String text(Object value) {
        if (value instanceof byte[]) return Arrays.toString((byte[]) value);
        if (value instanceof int[]) return Arrays.toString((int[]) value);
        return String.valueOf(value);
    }

    static void section(String name) { System.out.println("== " + name); }

    static Connection connect(String... options) throws SQLException {
        String more = options.length == 0 ? "" : (URL.contains("?") ? "&" : "?") + String.join("&", options);
        return DriverManager.getConnection(URL + more);
    }

    static void rows(ResultSet result) throws Exception {
        int count = result.getMetaData().getColumnCount();
        while (result.next()) {
            List<String> values = new ArrayList<>();
            for (int column = 1; column <= count; column++) {
                Object value = result.getObject(column);
                values.add(value instanceof java.sql.Array ? Arrays.toString((Object[]) ((java.sql.Array) value).getArray()) : text(value));
            }
            System.out.println(values);
        }
        result.close();
    }

    static void query(Connection connection, String sql, Object... parameters) throws Exception {
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            for (int n = 0; n < parameters.length; n++) statement.setObject(n + 1, parameters[n]);
            rows(statement.executeQuery());
        }
    }

    static int update(Connection connection, String sql, Object... parameters) throws Exception {
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            for (int n = 0; n < parameters.length; n++) statement.setObject(n + 1, parameters[n]);
            return statement.executeUpdate();
        }
    }

    static void failing(Connection connection, String sql, Object... parameters) throws Exception {
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            for (int n = 0; n < parameters.length; n++) statement.setObject(n + 1, parameters[n]);
            statement.execute();
            show("no error");
        } catch (SQLException error) {
            show(error.getSQLState());
        }
    }

    static void definition(Connection connection) throws Exception {
        section("definition");
        try (Statement statement = connection.createStatement()) {
            statement.execute("CREATE TABLE jdbc_accounts (id bigint PRIMARY KEY, owner text NOT NULL, balance numeric(12,2) NOT NULL DEFAULT 0, "
                + "opened timestamptz, tags text[], doc jsonb, raw bytea, active boolean NOT NULL DEFAULT true, mark uuid, ratio float8)");
            statement.execute("CREATE TABLE jdbc_entries (account_id bigint NOT NULL REFERENCES jdbc_accounts (id), entry_id int NOT NULL, "
                + "amount numeric NOT NULL, note text, PRIMARY KEY (account_id, entry_id))");
            statement.execute("CREATE TABLE jdbc_currencies (code text PRIMARY KEY, name text, rate numeric)");
            statement.execute("CREATE TABLE jdbc_settings (name text PRIMARY KEY, value text)");
        }
    }

    static void values(Connection connection) throws Exception {
        section("values");
        try (PreparedStatement insert = connection.prepareStatement("INSERT INTO jdbc_accounts VALUES (?, ?, ?, ?, ?, ?::jsonb, ?, ?, ?, ?)")) {
            insert.setLong(1, 1);
            insert.setString(2, "Ada");
            insert.setBigDecimal(3, new BigDecimal("100.50"));
            insert.setTimestamp(4, Timestamp.from(java.time.Instant.parse("2024-02-29T12:00:00Z")));
            insert.setArray(5, connection.createArrayOf("text", new String[] {"a", "b c", null}));
            insert.setString(6, "{\"k\": [1, null]}");
            insert.setBytes(7, new byte[] {0, -1});
            insert.setBoolean(8, true);
            insert.setObject(9, UUID.fromString("12345678-1234-5678-1234-567812345678"));
            insert.setDouble(10, 0.1);
            show(insert.executeUpdate());
        }
        show(update(connection, "INSERT INTO jdbc_accounts (id, owner, balance) VALUES (?, ?, ?)", BIG, "Grace", new BigDecimal("-0.01")));
        show(update(connection, "INSERT INTO jdbc_accounts (id, owner) VALUES (?, ?)", -7, "Édouard ☃"));
        try (PreparedStatement insert = connection.prepareStatement(
            "INSERT INTO jdbc_accounts (id, owner) VALUES (?, ?)", Statement.RETURN_GENERATED_KEYS)) {
            insert.setLong(1, 77);
            insert.setString(2, "Generated");
            insert.executeUpdate();
            rows(insert.getGeneratedKeys());
        }
        for (long key : new long[] {1, BIG, -7, 404}) query(connection, "SELECT * FROM jdbc_accounts WHERE id = ?", key);
        query(connection, "SELECT owner FROM jdbc_accounts WHERE id = 1");
        query(connection, "SELECT owner FROM jdbc_accounts WHERE id = ANY(?)", connection.createArrayOf("int8", new Long[] {1L}));
        try (PreparedStatement statement = connection.prepareStatement("SELECT id, owner, balance FROM jdbc_accounts WHERE id = ?")) {
            ResultSetMetaData columns = statement.getMetaData();
            show(columns.getColumnCount(), columns.getColumnName(2), columns.getColumnTypeName(3), columns.getPrecision(3), columns.getTableName(1));
            show(statement.getParameterMetaData().getParameterTypeName(1));
        }
    }

    static void prepared(Connection connection) throws Exception {
        section("prepared statements, over transactions and shards, text and then binary");
        try (PreparedStatement select = connection.prepareStatement("SELECT id, owner, balance, ratio, opened, mark, raw FROM jdbc_accounts WHERE id = ?");
            PreparedStatement add = connection.prepareStatement("UPDATE jdbc_accounts SET balance = balance + ? WHERE id = ?")) {
            for (int round = 0; round < 12; round++) {
                for (long key : KEYS) {
                    connection.setAutoCommit(round % 2 == 0);
                    add.setInt(1, 1);
                    add.setLong(2, key);
                    show(add.executeUpdate());
                    select.setLong(1, key);
                    rows(select.executeQuery());
                    connection.setAutoCommit(true);
                }
            }
        }
    }

    static void transactions(Connection connection) throws Exception {
        section("transactions");
        connection.setAutoCommit(false);
        update(connection, "INSERT INTO jdbc_entries VALUES (1, 1, 10, 'kept')");
        Savepoint savepoint = connection.setSavepoint("s");
        failing(connection, "INSERT INTO jdbc_entries VALUES (1, ?, 10, NULL)", 1);
        failing(connection, "SELECT 1");
        connection.rollback(savepoint);
        update(connection, "INSERT INTO jdbc_entries VALUES (1, 2, 10, 'kept')");
        connection.releaseSavepoint(savepoint);
        connection.commit();
        update(connection, "DELETE FROM jdbc_entries WHERE account_id = 1");
        connection.rollback();
        connection.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
        query(connection, "SHOW transaction_isolation");
        query(connection, "SELECT entry_id, note FROM jdbc_entries WHERE account_id = ? ORDER BY 1", 1);
        connection.commit();
        connection.setTransactionIsolation(Connection.TRANSACTION_READ_COMMITTED);
        connection.setReadOnly(true);
        failing(connection, "DELETE FROM jdbc_entries WHERE account_id = 1");
        connection.rollback();
        connection.setReadOnly(false);
        connection.setAutoCommit(true);
        query(connection, "SELECT count(*) FROM jdbc_entries WHERE account_id = 1");
    }

    static void errors(Connection connection) throws Exception {
        section("errors, and going on");
        failing(connection, "INSERT INTO jdbc_entries VALUES (404, 1, 1, NULL)");
        failing(connection, "INSERT INTO jdbc_accounts (id) VALUES (?)", 9);
        failing(connection, "SELECT nothing FROM jdbc_accounts WHERE id = ?", 1);
        failing(connection, "SELECT owner FROM jdbc_absent WHERE id = ?", 1);
        failing(connection, "SELEKT");
        for (int round = 0; round < 7; round++) failing(connection, "SELECT 1 / (? - id) FROM jdbc_accounts WHERE id = 1", 1L);
        query(connection, "SELECT owner FROM jdbc_accounts WHERE id = ?", 1);
    }

    static void batches(Connection connection) throws Exception {
        section("batches");
        try (PreparedStatement insert = connection.prepareStatement("INSERT INTO jdbc_entries VALUES (?, ?, ?, NULL)")) {
            for (int n = 0; n < 300; n++) {
                insert.setLong(1, 1);
                insert.setInt(2, 100 + n);
                insert.setInt(3, n);
                insert.addBatch();
            }
            show(Arrays.stream(insert.executeBatch()).sum());
            for (int n : new int[] {1000, 1001, 100, 1002}) {
                insert.setLong(1, 1);
                insert.setInt(2, n);
                insert.setInt(3, n);
                insert.addBatch();
            }
            insert.executeBatch();
        } catch (BatchUpdateException error) {
            show(error.getSQLState(), error.getUpdateCounts());
        }
        query(connection, "SELECT count(*) FROM jdbc_entries WHERE account_id = ?", 1);
        connection.setAutoCommit(false);
        try (Statement statement = connection.createStatement()) {
            statement.addBatch("UPDATE jdbc_accounts SET balance = 5 WHERE id = 1");
            statement.addBatch("UPDATE jdbc_entries SET amount = 5 WHERE account_id = 1 AND entry_id < 103");
            show(statement.executeBatch());
        }
        connection.commit();
        connection.setAutoCommit(true);
    }

    static void copies(Connection connection) throws Exception {
        section("copy");
        CopyManager copy = connection.unwrap(PGConnection.class).getCopyAPI();
        StringBuilder lines = new StringBuilder();
        for (long key : KEYS) for (int n = 0; n < 100; n++) lines.append(key + "\t" + (2000 + n) + "\t" + n + "\tnote " + n + "\n");
        show(copy.copyIn("COPY jdbc_entries FROM STDIN", new java.io.StringReader(lines.toString())));
        java.io.StringWriter out = new java.io.StringWriter();
        show(copy.copyOut("COPY (SELECT * FROM jdbc_entries WHERE account_id = -7 ORDER BY entry_id LIMIT 3) TO STDOUT (FORMAT csv)", out));
        show(out);
        try {
            copy.copyIn("COPY jdbc_entries FROM STDIN", new java.io.StringReader("-7\t3000\t1\tx\n1\t3000\tmany\tx\n"));
        } catch (SQLException error) {
            show(error.getSQLState());
        }
        query(connection, "SELECT count(*) FROM jdbc_entries WHERE account_id = ?", -7);
    }

    static void cursors(Connection connection) throws Exception {
        section("cursors");
        connection.setAutoCommit(false);
        try (PreparedStatement statement = connection.prepareStatement("SELECT entry_id FROM jdbc_entries WHERE account_id = ? ORDER BY 1")) {
            statement.setFetchSize(50);
            statement.setLong(1, 1);
            for (int round = 0; round < 7; round++) {
                int count = 0;
                long sum = 0;
                try (ResultSet result = statement.executeQuery()) {
                    while (result.next()) {
                        count++;
                        sum += result.getInt(1);
                        // Other statements of the transaction in between.
                        if (count == 60) query(connection, "SELECT owner FROM jdbc_accounts WHERE id = ?", 1);
                    }
                }
                show(count, sum);
            }
            ResultSet abandoned = statement.executeQuery();
            abandoned.next();
            abandoned.close();
        }
        connection.commit();
        try (Statement statement = connection.createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_READ_ONLY)) {
            ResultSet result = statement.executeQuery("SELECT entry_id FROM jdbc_entries WHERE account_id = 1 ORDER BY 1");
            show(result.last(), result.getRow(), result.first(), result.getInt(1));
        }
        connection.commit();
        connection.setAutoCommit(true);
    }

    static void large(Connection connection) throws Exception {
        section("many and big rows");
        show(update(connection, "INSERT INTO jdbc_entries SELECT id, g, g, NULL FROM jdbc_accounts, generate_series(10001, 20000) g WHERE id = ?", -7));
        try (PreparedStatement statement = connection.prepareStatement(
            "SELECT entry_id, amount FROM jdbc_entries WHERE account_id = ? AND entry_id > 10000 ORDER BY 1")) {
            for (int round = 0; round < 7; round++) {
                statement.setLong(1, -7);
                long count = 0, sum = 0;
                try (ResultSet result = statement.executeQuery()) {
                    while (result.next()) {
                        count++;
                        sum += result.getInt(1) + result.getBigDecimal(2).longValue();
                    }
                }
                show(count, sum);
            }
        }
        String text = "☃0123456789".repeat(80_000);
        byte[] bytes = text.getBytes("UTF-8");
        for (long key : new long[] {1, -7}) {
            show(update(connection, "UPDATE jdbc_accounts SET owner = ?, raw = ? WHERE id = ?", text, bytes, key));
            try (PreparedStatement statement = connection.prepareStatement("SELECT owner, raw FROM jdbc_accounts WHERE id = ?")) {
                statement.setLong(1, key);
                ResultSet result = statement.executeQuery();
                result.next();
                show(result.getString(1).equals(text), Arrays.equals(result.getBytes(2), bytes));
            }
        }
        update(connection, "UPDATE jdbc_accounts SET owner = 'Ada', raw = NULL WHERE id = 1");
    }

    static void cancelling(Connection connection) throws Exception {
        section("cancel");
        for (String sql : new String[] {"SELECT pg_sleep(60)", "SELECT pg_sleep(60) FROM jdbc_accounts WHERE id = 1"}) {
            try (Statement statement = connection.createStatement()) {
                Timer timer = new Timer(true);
                timer.schedule(new TimerTask() {
                    @Override public void run() {
                        try { statement.cancel(); } catch (SQLException error) { show(error); }
                    }
                }, 500);
                statement.execute(sql);
                show("no error");
            } catch (SQLException error) {
                show(error.getSQLState());
            }
        }
        try (PreparedStatement statement = connection.prepareStatement("SELECT pg_sleep(60) FROM jdbc_accounts WHERE id = ?")) {
            statement.setQueryTimeout(1);
            statement.setLong(1, 1);
            statement.execute();
        } catch (SQLException error) {
            show(error.getSQLState());
        }
        query(connection, "SELECT owner FROM jdbc_accounts WHERE id = ?", 1);
    }

    static void sharedTables(Connection connection) throws Exception {
        section("reference and local tables");
        show(update(connection, "INSERT INTO jdbc_currencies VALUES ('EUR', 'Euro', 1), ('NOK', 'Krone', ?)", new BigDecimal("11.5")));
        query(connection, "UPDATE jdbc_currencies SET rate = ? WHERE code = ? RETURNING name, rate", new BigDecimal("12"), "NOK");
        failing(connection, "INSERT INTO jdbc_currencies VALUES (?, 'x', 1)", "EUR");
        connection.setAutoCommit(false);
        show(update(connection, "DELETE FROM jdbc_currencies WHERE code = 'EUR'"));
        connection.rollback();
        connection.setAutoCommit(true);
        for (long key : KEYS) query(connection, "SELECT a.id, c.name FROM jdbc_accounts a, jdbc_currencies c WHERE a.id = ? ORDER BY 2", key);
        show(update(connection, "INSERT INTO jdbc_settings VALUES ('colour', 'blue')"));
        query(connection, "SELECT * FROM jdbc_settings");
    }

    static void settings(Connection connection) throws Exception {
        section("settings");
        update(connection, "SET TIME ZONE 'Asia/Kolkata'");
        query(connection, "SELECT opened::text FROM jdbc_accounts WHERE id = ?", 1);
        update(connection, "SET TIME ZONE 'UTC'");
        try (Connection other = connect("ApplicationName=smoke", "options=-c%20statement_timeout=12345", "preferQueryMode=simple")) {
            query(other, "SHOW application_name");
            query(other, "SHOW statement_timeout");
            query(other, "SELECT owner FROM jdbc_accounts WHERE id = ?", BIG);
            other.setSchema("public");
            query(other, "SELECT owner FROM jdbc_accounts WHERE id = ?", 1L);
        }
    }

    static void metadata(Connection connection) throws Exception {
        section("metadata");
        DatabaseMetaData metadata = connection.getMetaData();
        show(metadata.getDatabaseProductName(), metadata.getDatabaseMajorVersion());
        ResultSet tables = metadata.getTables(null, "public", "jdbc\\_%", new String[] {"TABLE"});
        while (tables.next()) show(tables.getString("TABLE_SCHEM"), tables.getString("TABLE_NAME"), tables.getString("TABLE_TYPE"));
        ResultSet columns = metadata.getColumns(null, "public", "jdbc\\_%", null);
        while (columns.next()) {
            show(columns.getString("TABLE_NAME"), columns.getString("COLUMN_NAME"), columns.getString("TYPE_NAME"), columns.getInt("COLUMN_SIZE"),
                columns.getString("IS_NULLABLE"), columns.getString("COLUMN_DEF"), columns.getString("IS_AUTOINCREMENT"));
        }
        ResultSet keys = metadata.getPrimaryKeys(null, "public", "jdbc_entries");
        while (keys.next()) show(keys.getString("COLUMN_NAME"), keys.getShort("KEY_SEQ"), keys.getString("PK_NAME"));
        ResultSet imported = metadata.getImportedKeys(null, "public", "jdbc_entries");
        while (imported.next()) show(imported.getString("PKTABLE_NAME"), imported.getString("FKCOLUMN_NAME"));
        ResultSet indexes = metadata.getIndexInfo(null, "public", "jdbc_entries", true, true);
        while (indexes.next()) show(indexes.getString("INDEX_NAME"), indexes.getString("COLUMN_NAME"));
        ResultSet types = metadata.getTypeInfo();
        int count = 0;
        while (types.next()) if (types.getString("TYPE_NAME").equals("int8")) count++;
        show(count);
        ResultSet schemas = metadata.getSchemas(null, "pub%");
        while (schemas.next()) show(schemas.getString(1));
    }

    static void manyConnections(Connection connection) throws Exception {
        section("twenty connections at once");
        ExecutorService threads = Executors.newFixedThreadPool(20);
        List<Future<Integer>> counts = new ArrayList<>();
        for (int number = 0; number < 20; number++) {
            final int worker = number;
            counts.add(threads.submit(() -> {
                try (Connection own = connect()) {
                    for (int round = 0; round < 10; round++) {
                        update(own, "INSERT INTO jdbc_accounts (id, owner) VALUES (?, ?)", 1000L * (worker + 1) + round, "w" + worker);
                        own.setAutoCommit(false);
                        update(own, "UPDATE jdbc_accounts SET balance = balance + 1 WHERE id = ?", -7L);
                        own.commit();
                        own.setAutoCommit(true);
                    }
                    int found = 0;
                    for (int round = 0; round < 10; round++) {
                        found += update(own, "UPDATE jdbc_accounts SET balance = 1 WHERE id = ?", 1000L * (worker + 1) + round);
                    }
                    return found;
                }
            }));
        }
        for (Future<Integer> count : counts) show(count.get());
        threads.shutdown();
        query(connection, "SELECT balance FROM jdbc_accounts WHERE id = ?", -7);
    }

    static void hints(Connection connection) throws Exception {
        section("hints: what only the client knows is about one key");
        long[] keys = {70001, 70002, 70003, 70004, 70005, 70006};
        for (long key : keys) update(connection, "INSERT INTO jdbc_accounts (id, owner) VALUES (?, ?)", key, "owner " + key);
        update(connection, "CREATE FUNCTION jdbc_owner(bigint) RETURNS text LANGUAGE sql AS 'SELECT owner FROM jdbc_accounts WHERE id = $1'");
        for (long key : keys) {
            // From the fifth execution on the driver names the statement.
            try (PreparedStatement statement = connection.prepareStatement("/* pgmosaic: shard_key=" + key + " */ SELECT jdbc_owner(?)")) {
                show(statement.getMetaData().getColumnName(1));
                for (int round = 0; round < 7; round++) {
                    statement.setLong(1, key);
                    rows(statement.executeQuery());
                }
            }
            try (Statement statement = connection.createStatement()) {
                statement.execute("SET pgmosaic.shard_key = '" + key + "'");
                rows(statement.executeQuery("SELECT jdbc_owner(" + key + ")"));
                query(connection, "SELECT jdbc_owner(?)", key);
                statement.execute("RESET pgmosaic.shard_key");
            }
        }
        connection.setAutoCommit(false);
        for (int number = 0; number < 3; number++) {
            update(connection, "UPDATE jdbc_accounts SET owner = 'changed' WHERE id = ?", keys[number]);
            query(connection, "/* pgmosaic: shard_key=" + keys[number] + " */ SELECT jdbc_owner(?)", keys[number]);
        }
        connection.commit();
        connection.setAutoCommit(true);
        update(connection, "DROP FUNCTION jdbc_owner(bigint)");
        for (long key : keys) update(connection, "DELETE FROM jdbc_accounts WHERE id = ?", key);
    }

    public static void main(String[] arguments) throws Exception {
        try (Connection connection = connect()) {
            Step[] steps = {
                Smoke::definition, Smoke::values, Smoke::prepared, Smoke::transactions, Smoke::errors, Smoke::batches, Smoke::copies, Smoke::cursors,
                Smoke::large, Smoke::cancelling, Smoke::sharedTables, Smoke::settings, Smoke::hints, Smoke::metadata, Smoke::manyConnections,
            };
            for (Step step : steps) step.run(connection);
            section("the end");
            update(connection, "DROP TABLE jdbc_entries, jdbc_accounts, jdbc_currencies, jdbc_settings");
        }
    }
}
