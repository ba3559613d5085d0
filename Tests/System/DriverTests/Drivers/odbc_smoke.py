"""The ODBC driver's program (psqlodbc by pyodbc): what it prints through the router must be what it prints on one plain server.

Each section runs with the driver's server-side prepare on and off: it then sends parameters as such, or as literals.
"""
import concurrent.futures
import datetime
import decimal
import os
import threading
import urllib.parse

import pyodbc

ADDRESS = urllib.parse.urlparse(os.environ["DSN"])
KEYS = (1, 2**40, -7)


def connect(**more):
    words = {"DRIVER": os.environ["ODBC_DRIVER"], "SERVER": ADDRESS.hostname, "PORT": ADDRESS.port, "UID": ADDRESS.username,
             "PWD": ADDRESS.password, "DATABASE": ADDRESS.path[1:], "SSLMODE": "disable", "BoolsAsChar": 0, "MaxVarcharSize": 255, **more}
    return pyodbc.connect(";".join(f"{name}={value}" for name, value in words.items()), autocommit=True)


def show(*values):
    print(*values, flush=True)


def section(name):
    show("==", name)


def failing(connection, sql, *parameters):
    try:
        connection.execute(sql, *parameters)
        show("no error")
    except pyodbc.Error as error:
        show(type(error).__name__, error.args[0])


def definition(connection):
    section("definition")
    connection.execute("""CREATE TABLE odbc_accounts (id bigint PRIMARY KEY, owner text NOT NULL, balance numeric(12,2) NOT NULL DEFAULT 0,
        opened timestamp, born date, raw bytea, active boolean NOT NULL DEFAULT true, ratio float8)""")
    connection.execute("""CREATE TABLE odbc_entries (account_id bigint NOT NULL REFERENCES odbc_accounts (id), entry_id int NOT NULL,
        amount numeric NOT NULL, note varchar(80), PRIMARY KEY (account_id, entry_id))""")
    connection.execute("CREATE TABLE odbc_currencies (code varchar(3) PRIMARY KEY, name varchar(20))")
    connection.execute("CREATE TABLE odbc_settings (name varchar(20) PRIMARY KEY, value text)")


def work(connection):
    section("values")
    for row in [(1, "Ada", decimal.Decimal("100.50"), datetime.datetime(2024, 2, 29, 12), datetime.date(1815, 12, 10), b"\x00\xff", True, 0.5),
                (2**40, "Gra'ce \\", decimal.Decimal("-0.01"), None, None, b"", False, None),
                (-7, "Édouard ☃", decimal.Decimal(0), None, None, None, True, None)]:
        show(connection.execute("INSERT INTO odbc_accounts VALUES (?, ?, ?, ?, ?, ?, ?, ?)", *row).rowcount)
    for _ in range(2):
        for key in (*KEYS, 404):
            cursor = connection.execute("SELECT id, owner, balance, opened, born, raw, active, ratio FROM odbc_accounts WHERE id = ?", key)
            show(cursor.fetchone(), [(column[0], column[1].__name__) for column in cursor.description])
            show(connection.execute("UPDATE odbc_accounts SET balance = balance + ? WHERE id = ?", decimal.Decimal("1.5"), key).rowcount)
    section("transactions")
    connection.autocommit = False
    for key in KEYS:
        connection.execute("INSERT INTO odbc_entries VALUES (?, 1, 10, ?)", key, "undone")
    connection.rollback()
    for key in KEYS:
        connection.execute("INSERT INTO odbc_entries VALUES (?, 1, 10, ?)", key, "kept")
    connection.commit()
    failing(connection, "INSERT INTO odbc_entries VALUES (?, 1, 10, 'twice')", 1)
    connection.rollback()
    connection.autocommit = True
    for key in KEYS:
        show(connection.execute("SELECT entry_id, note FROM odbc_entries WHERE account_id = ?", key).fetchall())
    section("errors, and going on")
    failing(connection, "INSERT INTO odbc_entries VALUES (404, 1, 1, NULL)")
    failing(connection, "INSERT INTO odbc_accounts (id) VALUES (?)", 9)
    failing(connection, "SELECT nothing FROM odbc_accounts WHERE id = ?", 1)
    failing(connection, "SELECT owner FROM odbc_absent WHERE id = ?", 1)
    failing(connection, "SELEKT")
    failing(connection, "SELECT 1/0 FROM odbc_accounts WHERE id = 1")
    show(connection.execute("SELECT owner FROM odbc_accounts WHERE id = ?", 1).fetchone())
    section("batches")
    cursor = connection.cursor()
    cursor.executemany("INSERT INTO odbc_entries VALUES (?, ?, ?, ?)", [(key, n, n, f"n{n}") for n in range(100, 150) for key in KEYS])
    for key in KEYS:
        show(connection.execute("SELECT count(*), sum(amount) FROM odbc_entries WHERE account_id = ?", key).fetchone())
    connection.execute("DELETE FROM odbc_entries WHERE account_id IN (1, 1099511627776, -7)")
    connection.execute("DELETE FROM odbc_accounts WHERE id IN (1, 1099511627776, -7)")


def large(connection):
    section("many rows and big values")
    connection.execute("INSERT INTO odbc_accounts (id, owner) VALUES (1, 'Ada'), (-7, 'Ed')")
    connection.execute("INSERT INTO odbc_entries SELECT id, g, g, NULL FROM odbc_accounts, generate_series(10001, 110000) g WHERE id = -7")
    rows = connection.execute("SELECT entry_id FROM odbc_entries WHERE account_id = ? ORDER BY 1", -7).fetchall()
    show(len(rows), rows[0], rows[-1])
    with connect(UseDeclareFetch=1, Fetch=1000) as fetching:
        cursor = fetching.execute("SELECT entry_id FROM odbc_entries WHERE account_id = -7 ORDER BY 1")
        show(cursor.fetchone(), cursor.fetchmany(3), sum(row[0] for row in cursor))
    raw = b"0123456789abcdef" * 2**20
    for key in (1, -7):
        connection.execute("UPDATE odbc_accounts SET raw = ? WHERE id = ?", raw, key)
        show(connection.execute("SELECT length(raw) FROM odbc_accounts WHERE id = ?", key).fetchone())


def cancelling(connection):
    section("cancel")
    for sql in ("SELECT pg_sleep(60)", "SELECT pg_sleep(60) FROM odbc_accounts WHERE id = 1"):
        cursor = connection.cursor()
        timer = threading.Timer(0.5, cursor.cancel)
        timer.start()
        try:
            cursor.execute(sql)
        except pyodbc.Error as error:
            show(error.args[0])
        timer.join()


def metadata(connection):
    section("metadata, reference tables")
    show([(row.table_name, row.table_type) for row in connection.cursor().tables(schema="public", table="odbc_%")])
    show([(row.column_name, row.type_name, row.nullable) for row in connection.cursor().columns(schema="public", table="odbc_entries")])
    show([row.column_name for row in connection.cursor().primaryKeys(table="odbc_entries", schema="public")])
    show([(row.pktable_name, row.fkcolumn_name) for row in connection.cursor().foreignKeys(foreignTable="odbc_entries")])
    show(connection.execute("INSERT INTO odbc_currencies VALUES ('EUR', 'Euro'), ('NOK', ?)", "Krone").rowcount)
    for key in (1, -7):
        show(connection.execute("SELECT a.id, c.name FROM odbc_accounts a, odbc_currencies c WHERE a.id = ? ORDER BY 2", key).fetchall())


def many():
    section("fifty at once")

    def work(number):
        with connect() as connection:
            for n in range(10):
                connection.execute("INSERT INTO odbc_accounts (id, owner) VALUES (?, ?)", 1000 * (number + 1) + n, f"w{number}")
            return sum(connection.execute("SELECT count(*) FROM odbc_accounts WHERE id = ?", 1000 * (number + 1) + n).fetchone()[0] for n in range(10))

    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        show(list(pool.map(work, range(50))))


def main():
    pyodbc.pooling = False
    connection = connect()
    definition(connection)
    for prepares in (1, 0):
        with connect(UseServerSidePrepare=prepares) as other:
            work(other)
    large(connection)
    cancelling(connection)
    metadata(connection)
    many()
    section("the end")
    connection.execute("DROP TABLE odbc_entries, odbc_accounts, odbc_currencies, odbc_settings")


main()
