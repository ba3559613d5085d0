"""psycopg2's program: what it prints through the router must be what it prints on one plain server.

It sends every parameter as a literal inside a simple query. Two-phase commit by the client is left out.
"""
import concurrent.futures
import datetime
import decimal
import io
import os
import threading

import psycopg2
import psycopg2.extensions
import psycopg2.extras
import psycopg2.pool

DSN = os.environ["DSN"]
KEYS = (1, 2**40, -7)


def show(*values):
    print(*values, flush=True)


def section(name):
    show("==", name)


def failing(connection, sql, parameters=None):
    """The error's class and SQLSTATE, in a savepoint's stead: the transaction is rolled back."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(sql, parameters)
        show("no error")
    except psycopg2.Error as error:
        show(type(error).__name__, error.pgcode, error.diag.constraint_name, connection.info.transaction_status)
    connection.rollback()


def definition(connection, cursor):
    section("definition")
    cursor.execute("""CREATE TABLE psycopg2_accounts (
        id bigint PRIMARY KEY, owner text NOT NULL, balance numeric(12,2) NOT NULL DEFAULT 0, opened timestamptz, born date,
        tags text[], doc jsonb, raw bytea, active boolean NOT NULL DEFAULT true, ratio float8)""")
    cursor.execute("""CREATE TABLE psycopg2_entries (
        account_id bigint NOT NULL REFERENCES psycopg2_accounts (id), entry_id int NOT NULL, amount numeric NOT NULL, note text,
        PRIMARY KEY (account_id, entry_id))""")
    cursor.execute("CREATE TABLE psycopg2_currencies (code text PRIMARY KEY, name text, rate numeric)")
    cursor.execute("CREATE TABLE psycopg2_settings (name text PRIMARY KEY, value text)")
    connection.commit()


def values(connection, cursor):
    section("values of every kind")
    rows = [
        (1, "Ada's \\ \"x\"", decimal.Decimal("100.50"), datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.timezone.utc),
         datetime.date(1815, 12, 10), ["a", "b c", None], psycopg2.extras.Json({"k": [1, None]}), b"\x00\xff'", True, 0.1),
        (2**40, "Grace", decimal.Decimal("-0.01"), None, None, [], psycopg2.extras.Json([]), b"", False, float("inf")),
        (-7, "Édouard ☃", 0, None, None, None, None, None, True, None),
    ]
    for row in rows:
        cursor.execute("INSERT INTO psycopg2_accounts VALUES (" + ", ".join(["%s"] * 10) + ")", row)
        show(cursor.rowcount, cursor.statusmessage)
    connection.commit()
    for key in (*KEYS, 404):
        cursor.execute("SELECT * FROM psycopg2_accounts WHERE id = %s", (key,))
        row = cursor.fetchone()
        show(row and [value.tobytes() if isinstance(value, memoryview) else value for value in row])
        show([(column.name, column.type_code) for column in cursor.description])
    with connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as named:
        named.execute("SELECT id, owner FROM psycopg2_accounts WHERE id IN %s", ((1,),))
        show([dict(row) for row in named.fetchall()])
        named.execute("SELECT id, owner FROM psycopg2_accounts WHERE id = ANY(%(keys)s)", {"keys": [-7]})
        show([dict(row) for row in named.fetchall()])
    connection.commit()


def transactions(connection, cursor):
    section("transactions")
    with connection:
        for key in KEYS:
            cursor.execute("INSERT INTO psycopg2_entries VALUES (%s, 1, 10, 'kept')", (key,))
    try:
        with connection:
            for key in KEYS:
                cursor.execute("DELETE FROM psycopg2_entries WHERE account_id = %s", (key,))
            raise RuntimeError("given up")
    except RuntimeError as error:
        show(error)
    cursor.execute("SAVEPOINT s")
    cursor.execute("INSERT INTO psycopg2_entries VALUES (1, 2, 10, 'undone')")
    cursor.execute("ROLLBACK TO SAVEPOINT s")
    cursor.execute("SELECT entry_id, note FROM psycopg2_entries WHERE account_id = 1 ORDER BY 1")
    show(cursor.fetchall())
    connection.commit()
    connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
    cursor.execute("SHOW transaction_isolation")
    show(cursor.fetchone())
    failing(connection, "DELETE FROM psycopg2_entries WHERE account_id = 1")
    connection.set_session(isolation_level="DEFAULT", readonly=False)


def errors(connection, cursor):
    section("errors, and going on")
    failing(connection, "INSERT INTO psycopg2_entries VALUES (404, 1, 1, NULL)")
    failing(connection, "INSERT INTO psycopg2_entries VALUES (%s, 1, 1, NULL)", (1,))
    failing(connection, "INSERT INTO psycopg2_accounts (id) VALUES (%s)", (9,))
    failing(connection, "SELECT nothing FROM psycopg2_accounts WHERE id = %s", (1,))
    failing(connection, "SELECT owner FROM psycopg2_absent WHERE id = %s", (1,))
    failing(connection, "SELEKT")
    failing(connection, "SELECT 1/0 FROM psycopg2_accounts WHERE id = 1")
    cursor.execute("SELECT owner FROM psycopg2_accounts WHERE id = %s", (1,))
    show(cursor.fetchone())
    connection.commit()


def batches(connection, cursor):
    section("batches")
    rows = [(key, n, n, f"n{n}") for n in range(100, 400) for key in KEYS]
    # One statement of a hundred rows of all shards at a time.
    show(psycopg2.extras.execute_values(cursor, "INSERT INTO psycopg2_entries VALUES %s", rows, page_size=100))
    connection.commit()
    returned = psycopg2.extras.execute_values(
        cursor, "INSERT INTO psycopg2_entries VALUES %s RETURNING entry_id", [(-7, n, 0, None) for n in range(500, 510)], fetch=True)
    show(sorted(returned))
    # It joins statements by semicolons, a hundred in one query.
    psycopg2.extras.execute_batch(
        cursor, "INSERT INTO psycopg2_entries VALUES (%s, %s, 0, NULL)", [(key, n) for n in range(600, 700) for key in KEYS])
    cursor.executemany("UPDATE psycopg2_entries SET amount = amount + 1 WHERE account_id = %s AND entry_id = %s", [(key, 100) for key in KEYS])
    connection.commit()
    for key in KEYS:
        cursor.execute("SELECT count(*), sum(amount) FROM psycopg2_entries WHERE account_id = %s", (key,))
        show(cursor.fetchone())
    connection.commit()


def copies(connection, cursor):
    section("copy")
    cursor.copy_from(io.StringIO("".join(f"{key}\t{n}\t{n}\t\\N\n" for key in KEYS for n in range(1000, 1100))), "psycopg2_entries")
    show(cursor.rowcount)
    connection.commit()
    for key in KEYS:
        out = io.StringIO()
        cursor.copy_expert(f"COPY (SELECT * FROM psycopg2_entries WHERE account_id = {key} AND entry_id >= 1000 ORDER BY 2 LIMIT 2) TO STDOUT CSV", out)
        show(repr(out.getvalue()))
    out = io.StringIO()
    cursor.copy_to(out, "psycopg2_entries", columns=("account_id", "entry_id"))
    show(len(out.getvalue().splitlines()), sorted(out.getvalue().splitlines())[:3])
    connection.commit()
    try:
        cursor.copy_from(io.StringIO("1\t2000\t1\tx\n-7\t1000\t1\ttwice\n"), "psycopg2_entries")
    except psycopg2.Error as error:
        show(error.pgcode)
    connection.rollback()
    cursor.execute("SELECT count(*) FROM psycopg2_entries WHERE account_id = 1 AND entry_id = 2000")
    show(cursor.fetchone())
    connection.commit()


def cursors(connection, cursor):
    section("cursors")
    with connection, connection.cursor("walk") as walk:
        walk.itersize = 17
        walk.execute("SELECT entry_id FROM psycopg2_entries WHERE account_id = %s ORDER BY 1", (1,))
        show(walk.fetchone(), walk.fetchmany(3), sum(row[0] for row in walk))
    with connection, connection.cursor("scroll", scrollable=True) as walk:
        walk.execute("SELECT entry_id FROM psycopg2_entries WHERE account_id = 1 ORDER BY 1")
        walk.scroll(5)
        show(walk.fetchone())
        walk.scroll(-2)
        show(walk.fetchone())
    held = connection.cursor("held", withhold=True)
    held.execute("SELECT entry_id FROM psycopg2_entries WHERE account_id = -7 ORDER BY 1 LIMIT 4")
    connection.commit()
    show(held.fetchall())
    held.close()
    connection.commit()


def large(connection, cursor):
    section("many and big rows")
    cursor.execute(
        "INSERT INTO psycopg2_entries SELECT id, g, g, NULL FROM psycopg2_accounts, generate_series(10001, 110000) g WHERE id = %s", (-7,))
    cursor.execute("SELECT entry_id, amount FROM psycopg2_entries WHERE account_id = -7 AND entry_id > 10000 ORDER BY 1")
    rows = cursor.fetchall()
    show(len(rows), rows[0], rows[-1], sum(row[0] for row in rows))
    # Its values are part of the statement's text, of which the router reads a mebibyte (docs/guide/drivers.md).
    text = "0123456789abc☃" * 60_000
    for key in (1, -7):
        cursor.execute("UPDATE psycopg2_accounts SET owner = %s WHERE id = %s", (text, key))
        cursor.execute("SELECT owner FROM psycopg2_accounts WHERE id = %s", (key,))
        show(len(text), cursor.fetchone()[0] == text)
    connection.rollback()


def cancelling(connection, cursor):
    section("cancel")
    for sql in ("SELECT pg_sleep(60)", "SELECT pg_sleep(60) FROM psycopg2_accounts WHERE id = 1"):
        timer = threading.Timer(0.5, connection.cancel)
        timer.start()
        failing(connection, sql)
        timer.join()
    cursor.execute("SET LOCAL statement_timeout = '100ms'")
    failing(connection, "SELECT pg_sleep(60) FROM psycopg2_accounts WHERE id = 1")


def others(connection, cursor):
    section("settings, notices, notifications, reference tables")
    cursor.execute("SET TIME ZONE 'Asia/Kolkata'")
    cursor.execute("SELECT opened, opened::text FROM psycopg2_accounts WHERE id = 1")
    show(cursor.fetchone(), connection.get_parameter_status("TimeZone"))
    connection.rollback()
    connection.reset()
    show(connection.get_parameter_status("DateStyle"), connection.encoding)
    psycopg2.extras.register_uuid()
    cursor.execute("DROP TABLE IF EXISTS psycopg2_absent")
    show(connection.notices[-1:])
    connection.commit()
    other = psycopg2.connect(DSN, application_name="smoke", options="-c statement_timeout=12345")
    other.autocommit = True
    with other.cursor() as listening:
        listening.execute("LISTEN psycopg2_news")
        cursor.execute("SELECT pg_notify('psycopg2_news', %s)", ("one",))
        connection.commit()
        while not other.notifies:
            other.poll()
        show([(notice.channel, notice.payload) for notice in other.notifies])
        listening.execute("SHOW statement_timeout")
        show(listening.fetchone())
    other.close()
    cursor.executemany("INSERT INTO psycopg2_currencies VALUES (%s, %s, %s)", [("EUR", "Euro", 1), ("NOK", "Krone", 11)])
    for key in KEYS:
        cursor.execute("SELECT a.id, c.name FROM psycopg2_accounts a, psycopg2_currencies c WHERE a.id = %s ORDER BY 2", (key,))
        show(cursor.fetchall())
    connection.commit()


def many_connections():
    section("fifty connections at once")
    pool = psycopg2.pool.ThreadedConnectionPool(1, 50, DSN)

    def work(number):
        connection = pool.getconn()
        with connection, connection.cursor() as cursor:
            for n in range(10):
                cursor.execute("INSERT INTO psycopg2_accounts (id, owner) VALUES (%s, %s)", (1000 * (number + 1) + n, f"w{number}"))
            cursor.execute("UPDATE psycopg2_accounts SET balance = balance + 1 WHERE id = -7")
        with connection, connection.cursor() as cursor:
            total = 0
            for n in range(10):
                cursor.execute("SELECT count(*) FROM psycopg2_accounts WHERE id = %s AND owner = %s", (1000 * (number + 1) + n, f"w{number}"))
                total += cursor.fetchone()[0]
        pool.putconn(connection)
        return total

    with concurrent.futures.ThreadPoolExecutor(50) as executor:
        show(list(executor.map(work, range(50))))
    with pool.getconn() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT balance FROM psycopg2_accounts WHERE id = -7")
        show(cursor.fetchone())
    pool.closeall()


def main():
    connection = psycopg2.connect(DSN)
    with connection.cursor() as cursor:
        for step in (definition, values, transactions, errors, batches, copies, cursors, large, cancelling, others):
            step(connection, cursor)
        many_connections()
        section("the end")
        cursor.execute("DROP TABLE psycopg2_entries, psycopg2_accounts, psycopg2_currencies, psycopg2_settings")
        connection.commit()


main()
