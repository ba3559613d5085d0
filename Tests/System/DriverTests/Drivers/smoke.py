"""psycopg 3's smoke test: what it prints through the router must be what it prints on one plain server.

The address is in DSN. The placements of its tables are declared before; no statement here is PGMosaic's own.
"""
import concurrent.futures
import datetime
import decimal
import logging
import os
import threading
import time
import uuid

import psycopg
from psycopg import pq
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

# A pipeline that ends by an error is told in the log or not, as its answers happen to arrive.
logging.getLogger("psycopg").setLevel(logging.CRITICAL)

DSN = os.environ["DSN"]


def show(*values):
    print(*values, flush=True)


def section(name):
    show("==", name)


def failing(connection, sql, parameters=None, **options):
    """The error's SQLSTATE, and whether the connection goes on."""
    try:
        connection.execute(sql, parameters, **options).fetchall()
        show("no error")
    except psycopg.Error as error:
        show(type(error).__name__, error.sqlstate, connection.info.transaction_status.name)


def definition(connection):
    section("definition")
    connection.execute("""CREATE TABLE psycopg_accounts (
        id bigint PRIMARY KEY, owner text NOT NULL, balance numeric(12,2) NOT NULL DEFAULT 0, opened timestamptz, born date,
        tags text[], doc jsonb, raw bytea, active boolean NOT NULL DEFAULT true, mark uuid, ratio float8)""")
    connection.execute("""CREATE TABLE psycopg_entries (
        account_id bigint NOT NULL REFERENCES psycopg_accounts (id), entry_id int NOT NULL, amount numeric NOT NULL, note text,
        PRIMARY KEY (account_id, entry_id))""")
    connection.execute("CREATE TABLE psycopg_currencies (code text PRIMARY KEY, name text, rate numeric)")
    connection.execute("CREATE TABLE psycopg_settings (name text PRIMARY KEY, value text)")


def values(connection):
    section("values of every kind, text and binary")
    mark = uuid.UUID("12345678-1234-5678-1234-567812345678")
    rows = [
        (1, "Ada", decimal.Decimal("100.50"), datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.timezone.utc), datetime.date(1815, 12, 10),
         ["a", "b c", None], Jsonb({"k": [1, None]}), b"\x00\xff", True, mark, 0.1),
        (2**40, "Grace", decimal.Decimal("-0.01"), None, None, [], Jsonb([]), b"", False, None, float("inf")),
        (-7, "Édouard ☃", decimal.Decimal(0), None, None, None, None, None, True, None, None),
    ]
    for row in rows:
        connection.execute(
            "INSERT INTO psycopg_accounts VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)", row)
    for binary in (False, True):
        for key in (1, 2**40, -7, 404):
            cursor = connection.execute("SELECT * FROM psycopg_accounts WHERE id = %s", (key,), binary=binary)
            show(binary, cursor.fetchone())
            show([(column.name, column.type_code) for column in cursor.description][:3], cursor.statusmessage)
    cursor = connection.cursor(row_factory=dict_row)
    show(cursor.execute("SELECT id, owner FROM psycopg_accounts WHERE id = %b", (1,)).fetchall())
    show(cursor.execute("SELECT id, owner FROM psycopg_accounts WHERE id = %t", (1,)).fetchall())
    show(cursor.execute("SELECT owner FROM psycopg_accounts WHERE id = ANY(%s)", ([1],)).fetchall())
    show(cursor.execute("SELECT owner FROM psycopg_accounts WHERE id = %(id)s AND owner = %(owner)s", {"id": 1, "owner": "Ada"}).fetchall())


def prepared(connection):
    section("prepared statements, over transactions and shards")
    for round in range(3):
        with connection.transaction():
            show(connection.execute("SELECT owner FROM psycopg_accounts WHERE id = %s", (1,), prepare=True).fetchone())
        for key in (1, 2**40, -7):
            show(connection.execute("SELECT owner, balance FROM psycopg_accounts WHERE id = %s", (key,), prepare=True).fetchone())
            show(connection.execute("UPDATE psycopg_accounts SET balance = balance + %s WHERE id = %s", (1, key), prepare=True).rowcount)
    connection.prepare_threshold = 0
    for key in (1, -7):
        show(connection.execute("SELECT balance FROM psycopg_accounts WHERE id = %s", (key,)).fetchone())
    connection.prepare_threshold = 5


def transactions(connection):
    section("transactions")
    with connection.transaction():
        connection.execute("INSERT INTO psycopg_entries VALUES (1, 1, 10, 'kept')")
        try:
            with connection.transaction():
                connection.execute("INSERT INTO psycopg_entries VALUES (1, 2, 10, 'undone')")
                connection.execute("INSERT INTO psycopg_entries VALUES (1, 1, 10, 'double')")
        except psycopg.errors.UniqueViolation as error:
            show(error.sqlstate, error.diag.constraint_name, error.diag.table_name, error.diag.message_primary)
        connection.execute("INSERT INTO psycopg_entries VALUES (1, 3, 10, 'kept')")
    try:
        with connection.transaction():
            connection.execute("DELETE FROM psycopg_entries WHERE account_id = 1")
            raise psycopg.Rollback
    except psycopg.Rollback:
        pass
    show(connection.execute("SELECT entry_id, note FROM psycopg_entries WHERE account_id = 1 ORDER BY entry_id").fetchall())
    with connection.transaction():
        failing(connection, "SELECT 1/0 FROM psycopg_accounts WHERE id = 1")
        failing(connection, "SELECT 1")
        connection.execute("ROLLBACK")
    with psycopg.connect(DSN) as other:
        other.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
        show(other.execute("SHOW transaction_isolation").fetchone())
        other.execute("UPDATE psycopg_accounts SET owner = 'nobody' WHERE id = 1")
        other.rollback()
        other.read_only = True
        failing(other, "UPDATE psycopg_accounts SET owner = 'nobody' WHERE id = 1")
    show(connection.execute("SELECT owner FROM psycopg_accounts WHERE id = 1").fetchone())


def errors(connection):
    section("errors, and going on")
    failing(connection, "INSERT INTO psycopg_entries VALUES (404, 1, 1, NULL)")
    failing(connection, "INSERT INTO psycopg_accounts (id) VALUES (%s)", (9,))
    failing(connection, "SELECT nothing FROM psycopg_accounts WHERE id = %s", (1,))
    failing(connection, "SELECT owner FROM psycopg_absent WHERE id = %s", (1,))
    failing(connection, "SELEKT")
    failing(connection, "SELECT owner FROM psycopg_accounts WHERE id = %s", ("one",))
    failing(connection, "SELECT owner FROM psycopg_accounts WHERE id = 1 AND ratio = %s", ("x",), prepare=True)
    show(connection.execute("SELECT owner FROM psycopg_accounts WHERE id = %s", (1,)).fetchone())


def copies(connection):
    section("copy")
    with connection.cursor() as cursor:
        with cursor.copy("COPY psycopg_entries (account_id, entry_id, amount, note) FROM STDIN") as copy:
            for key in (1, 2**40, -7):
                for entry in range(100, 110):
                    copy.write_row((key, entry, decimal.Decimal(entry) / 3, "tab\t" if entry % 2 else None))
        show(cursor.rowcount)
        for key in (1, 2**40, -7):
            with cursor.copy("COPY (SELECT * FROM psycopg_entries WHERE account_id = %s ORDER BY entry_id) TO STDOUT" % key) as copy:
                show([row for row in copy.rows()][:3])
        with cursor.copy("COPY (SELECT entry_id, amount FROM psycopg_entries WHERE account_id = 1 ORDER BY 1) TO STDOUT (FORMAT binary)") as copy:
            copy.set_types(["int4", "numeric"])
            show([row for row in copy.rows()][:3])
    try:
        with connection.cursor().copy("COPY psycopg_entries FROM STDIN") as copy:
            copy.write_row((-7, 200, 1, "x"))
            raise RuntimeError("the source broke")
    except RuntimeError as error:
        show(error)
    try:
        with connection.cursor().copy("COPY psycopg_entries FROM STDIN") as copy:
            copy.write("-7\t201\t1\tx\n1\t201\tmany\tx\n")
    except psycopg.Error as error:
        show(error.sqlstate)
    show(connection.execute("SELECT count(*) FROM psycopg_entries WHERE account_id = -7").fetchone())


def pipelines(connection):
    section("pipelines")
    # From the sixth on it is prepared under a name, in the batch in which it was unnamed before.
    with connection.pipeline():
        cursors = [connection.execute("SELECT entry_id FROM psycopg_entries WHERE account_id = %s ORDER BY 1 LIMIT 1", (1,)) for _ in range(12)]
    show([cursor.fetchone() for cursor in cursors])
    with connection.pipeline() as pipeline:
        answers = []
        for key in (1, 2**40, -7):
            answers.append(connection.execute("SELECT owner FROM psycopg_accounts WHERE id = %s", (key,)))
            pipeline.sync()
    show([cursor.fetchone() for cursor in answers])
    try:
        with connection.pipeline():
            connection.execute("INSERT INTO psycopg_entries VALUES (1, 300, 1, NULL)")
            connection.execute("INSERT INTO psycopg_entries VALUES (1, 1, 1, NULL)")
            connection.execute("INSERT INTO psycopg_entries VALUES (1, 301, 1, NULL)")
    except psycopg.Error as error:
        show(type(error).__name__, error.sqlstate)
    show(connection.execute("SELECT count(*) FROM psycopg_entries WHERE account_id = 1 AND entry_id >= 300").fetchone())
    cursor = connection.cursor()
    cursor.executemany("INSERT INTO psycopg_entries VALUES (%s, %s, %s, NULL)", [(1, 400 + n, n) for n in range(50)])
    show(cursor.rowcount)
    cursor.executemany("UPDATE psycopg_entries SET amount = %s WHERE account_id = %s AND entry_id = %s RETURNING amount",
                       [(n, 1, 400 + n) for n in range(3)], returning=True)
    results = []
    while True:
        results.append(cursor.fetchone())
        if not cursor.nextset():
            break
    show(results)


def cursors(connection):
    section("cursors")
    with connection.transaction(), connection.cursor(name="walk") as cursor:
        cursor.itersize = 7
        cursor.execute("SELECT entry_id FROM psycopg_entries WHERE account_id = %s ORDER BY entry_id", (1,))
        show(cursor.fetchone(), cursor.fetchmany(3), len(cursor.fetchall()))
    with connection.transaction(), connection.cursor(name="scroll", scrollable=True) as cursor:
        cursor.execute("SELECT entry_id FROM psycopg_entries WHERE account_id = 1 ORDER BY entry_id", binary=True)
        cursor.scroll(5)
        show(cursor.fetchone())
        cursor.scroll(-2)
        show(cursor.fetchone())


def large(connection):
    section("many and big rows")
    connection.execute("INSERT INTO psycopg_entries SELECT id, g, g, NULL FROM psycopg_accounts, generate_series(1001, 11000) g WHERE id = %s", (-7,))
    rows = connection.execute("SELECT entry_id, amount FROM psycopg_entries WHERE account_id = %s AND entry_id > 1000 ORDER BY 1", (-7,)).fetchall()
    show(len(rows), rows[0], rows[-1], sum(row[0] for row in rows))
    text = "☃0123456789" * 80_000
    for key in (1, -7):
        for binary in (False, True):
            connection.execute("UPDATE psycopg_accounts SET owner = %s, raw = %s WHERE id = %s", (text, text.encode(), key))
            owner, raw = connection.execute("SELECT owner, raw FROM psycopg_accounts WHERE id = %s", (key,), binary=binary).fetchone()
            show(len(owner), len(raw), owner == text, raw == text.encode())
    with connection.transaction():
        show(connection.execute("SELECT length(owner) FROM psycopg_accounts WHERE id = 1").fetchone())
    connection.execute("UPDATE psycopg_accounts SET owner = 'Ada', raw = NULL WHERE id = 1")


def cancelling(connection):
    section("cancel")
    for sql in ("SELECT pg_sleep(60)", "SELECT pg_sleep(60) FROM psycopg_accounts WHERE id = 1"):
        started = time.monotonic()
        timer = threading.Timer(0.5, connection.cancel)
        timer.start()
        failing(connection, sql)
        timer.join()
        show(time.monotonic() - started < 30)
    with connection.transaction(), connection.cursor():
        connection.execute("SET LOCAL statement_timeout = '100ms'")
        failing(connection, "SELECT pg_sleep(60) FROM psycopg_accounts WHERE id = 1")
        connection.execute("ROLLBACK")
    show(connection.execute("SELECT owner FROM psycopg_accounts WHERE id = 1").fetchone())


def shared_tables(connection):
    section("reference and local tables")
    cursor = connection.cursor()
    cursor.executemany("INSERT INTO psycopg_currencies VALUES (%s, %s, %s)", [("EUR", "Euro", 1), ("NOK", "Krone", decimal.Decimal("11.5"))])
    show(cursor.rowcount)
    show(connection.execute("UPDATE psycopg_currencies SET rate = %s WHERE code = %s RETURNING name, rate", (12, "NOK")).fetchone())
    failing(connection, "INSERT INTO psycopg_currencies VALUES (%s, 'x', 1)", ("EUR",))
    for key in (1, 2**40, -7):
        show(connection.execute("SELECT a.id, c.name FROM psycopg_accounts a, psycopg_currencies c WHERE a.id = %s ORDER BY 2", (key,)).fetchall())
    with connection.transaction():
        connection.execute("DELETE FROM psycopg_currencies WHERE code = 'EUR'")
        raise psycopg.Rollback
    connection.execute("INSERT INTO psycopg_settings VALUES ('colour', 'blue')")
    show(connection.execute("SELECT * FROM psycopg_settings").fetchall(), connection.execute("SELECT count(*) FROM psycopg_currencies").fetchone())


def settings(connection):
    section("settings")
    connection.execute("SET TIME ZONE 'Asia/Kolkata'")
    show(connection.info.parameter_status("TimeZone"), connection.info.timezone)
    show(connection.execute("SELECT opened, opened::text FROM psycopg_accounts WHERE id = 1").fetchone())
    connection.execute("SET datestyle = 'SQL, DMY'")
    show(connection.execute("SELECT opened::text, born::text FROM psycopg_accounts WHERE id = 1").fetchone())
    connection.execute("RESET ALL")
    show(connection.info.parameter_status("DateStyle"))
    with psycopg.connect(DSN, application_name="smoke", options="-c intervalstyle=iso_8601 -c statement_timeout=12345") as other:
        show(other.execute("SHOW intervalstyle").fetchone(), other.execute("SHOW statement_timeout").fetchone())
        show(other.execute("SELECT '1 day 2 hours'::interval::text FROM psycopg_accounts WHERE id = 1").fetchone())
        show(other.info.parameter_status("application_name"), other.info.encoding)
    show(connection.info.parameter_status("server_version") == connection.execute("SHOW server_version").fetchone()[0])


def metadata(connection):
    section("metadata")
    show(connection.execute("""SELECT table_name, column_name, data_type FROM information_schema.columns
        WHERE table_schema = 'public' AND table_name LIKE 'psycopg\\_%%' ORDER BY table_name, ordinal_position""", ()).fetchall())
    show(connection.execute("""SELECT c.relname, i.relname, x.indisprimary FROM pg_index x JOIN pg_class c ON c.oid = x.indrelid
        JOIN pg_class i ON i.oid = x.indexrelid WHERE c.relname LIKE 'psycopg%' ORDER BY 1, 2""").fetchall())
    show(connection.execute("SELECT to_regclass('psycopg_accounts') IS NOT NULL, to_regclass('psycopg_absent')").fetchone())
    result = connection.pgconn.prepare(b"described", b"SELECT owner, balance FROM psycopg_accounts WHERE id = $1")
    described = connection.pgconn.describe_prepared(b"described")
    show(pq.ExecStatus(result.status).name, described.param_type(0), [(described.fname(n), described.ftype(n)) for n in range(described.nfields)])


def many_connections():
    section("twenty connections at once")

    def work(number):
        with psycopg.connect(DSN, autocommit=True) as connection:
            for round in range(10):
                connection.execute("INSERT INTO psycopg_accounts (id, owner) VALUES (%s, %s)", (1000 * (number + 1) + round, f"w{number}"))
                with connection.transaction():
                    connection.execute("UPDATE psycopg_accounts SET balance = balance + 1 WHERE id = %s", (-7,))
            return sum(
                connection.execute("SELECT count(*) FROM psycopg_accounts WHERE id = %s AND owner = %s", (1000 * (number + 1) + n, f"w{number}")).fetchone()[0]
                for n in range(10))

    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        show(list(pool.map(work, range(20))))
    with psycopg.connect(DSN) as connection:
        show(connection.execute("SELECT balance FROM psycopg_accounts WHERE id = -7").fetchone())


def kept(connection):
    section("statements of SQL, notifications, locks, cursors that are held, plans that change")
    connection.execute("PREPARE by_id (bigint) AS SELECT owner FROM psycopg_accounts WHERE id = $1")
    for sql in ("EXECUTE by_id(1)", "EXECUTE by_id('-7')", "EXECUTE by_id"):
        try:
            show(connection.execute(sql).fetchall())
        except psycopg.Error as error:
            show(error.sqlstate, error.diag.message_primary, error.diag.message_detail)
    failing(connection, "PREPARE by_id AS SELECT 1")
    connection.execute("DEALLOCATE by_id")
    failing(connection, "EXECUTE by_id(1)")
    with psycopg.connect(DSN, autocommit=True) as other:
        connection.execute("LISTEN psycopg_news")
        other.execute("NOTIFY psycopg_news, 'one'")
        with other.transaction():
            other.execute("SELECT pg_notify('psycopg_news', %s)", ("two",))
        show([(notice.channel, notice.payload) for notice in connection.notifies(timeout=20, stop_after=2)])
        connection.execute("UNLISTEN *")
        show(connection.execute("SELECT pg_try_advisory_lock(77)").fetchone(), other.execute("SELECT pg_try_advisory_lock(77)").fetchone())
        show(connection.execute("SELECT pg_advisory_unlock(77)").fetchone(), other.execute("SELECT pg_try_advisory_lock(77)").fetchone())
        other.execute("SELECT pg_advisory_unlock_all()")
        cursor = connection.cursor("held", withhold=True)
        with connection.transaction():
            cursor.execute("SELECT entry_id FROM psycopg_entries WHERE account_id = 1 ORDER BY 1 LIMIT 5")
            show(cursor.fetchone())
        show(connection.execute("SELECT owner FROM psycopg_accounts WHERE id = -7").fetchone())
        show(cursor.fetchmany(2), cursor.fetchall())
        cursor.close()
        connection.execute("SELECT set_config('psycopg.who', 'ada', false)")
        show(connection.execute("SELECT current_setting('psycopg.who'), id FROM psycopg_accounts WHERE id = 1").fetchone())
        query = "SELECT * FROM psycopg_settings WHERE name = %s"
        connection.execute(query, ("a",), prepare=True)
        other.execute("ALTER TABLE psycopg_settings ADD COLUMN more int")
        failing(connection, query, ("a",), prepare=True)
        other.execute("ALTER TABLE psycopg_settings DROP COLUMN more")


def hints(connection):
    section("hints: what only the client knows is about one key")
    keys = (70001, 70002, 70003, 70004, 70005, 70006)
    for key in keys:
        connection.execute("INSERT INTO psycopg_accounts (id, owner) VALUES (%s, %s)", (key, f"owner {key}"))
    connection.execute("CREATE FUNCTION psycopg_owner(bigint) RETURNS text LANGUAGE sql AS 'SELECT owner FROM psycopg_accounts WHERE id = $1'")
    for key in keys:
        for binary in (False, True):
            # Without a parameter it is a simple query, with one it is not; prepared it has a name.
            show(connection.execute(f"/* pgmosaic: shard_key={key} */ SELECT psycopg_owner({key})", binary=binary).fetchall())
            show(connection.execute(f"/* pgmosaic: shard_key={key} */ SELECT psycopg_owner(%s)", (key,), binary=binary).fetchall())
            show(connection.execute(f"SELECT psycopg_owner(%s) /* pgmosaic: shard_key={key} */", (key,), prepare=True, binary=binary).fetchall())
        connection.execute(f"SET pgmosaic.shard_key = '{key}'")
        for prepare in (False, True):
            show(connection.execute("SELECT psycopg_owner(%s)", (key,), prepare=prepare).fetchall())
        connection.execute("RESET pgmosaic.shard_key")
    with connection.transaction():
        for key in keys[:3]:
            connection.execute("UPDATE psycopg_accounts SET owner = 'changed' WHERE id = %s", (key,))
            show(connection.execute(f"/* pgmosaic: shard_key={key} */ SELECT psycopg_owner(%s)", (key,)).fetchall())
    with connection.pipeline():
        cursors = [connection.execute(f"/* pgmosaic: shard_key={key} */ SELECT psycopg_owner(%s)", (key,)) for key in keys]
        show([cursor.fetchall() for cursor in cursors])
    connection.execute("DROP FUNCTION psycopg_owner(bigint)")
    for key in keys:
        connection.execute("DELETE FROM psycopg_accounts WHERE id = %s", (key,))


def main():
    with psycopg.connect(DSN, autocommit=True) as connection:
        for step in (definition, values, prepared, transactions, errors, copies, pipelines, cursors, large, cancelling, settings, hints, metadata, kept):
            step(connection)
        shared_tables(connection)
        many_connections()
        section("the end")
        connection.execute("DROP TABLE psycopg_entries, psycopg_accounts, psycopg_currencies, psycopg_settings")


main()
