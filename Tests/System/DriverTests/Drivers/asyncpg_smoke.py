"""asyncpg's program: what it prints through the router must be what it prints on one plain server.

The address is in DSN. The placements of its tables are declared before; no statement here is PGMosaic's own.
Everything asyncpg sends with a parameter is prepared under a name, and every value is binary.
"""
import asyncio
import datetime
import decimal
import io
import os
import uuid

import asyncpg

DSN = os.environ["DSN"]
KEYS = (1, 2**40, -7)


def show(*values):
    print(*values, flush=True)


def section(name):
    show("==", name)


async def failing(connection, sql, *parameters):
    """The error's class and SQLSTATE."""
    try:
        await connection.fetch(sql, *parameters)
        show("no error")
    except asyncpg.PostgresError as error:
        show(type(error).__name__, error.sqlstate, error.constraint_name)
    except asyncpg.InterfaceError as error:
        show(type(error).__name__)


async def definition(connection):
    section("definition")
    show(await connection.execute("""CREATE TABLE asyncpg_accounts (
        id bigint PRIMARY KEY, owner text NOT NULL, balance numeric(12,2) NOT NULL DEFAULT 0, opened timestamptz, born date,
        tags text[], doc jsonb, raw bytea, active boolean NOT NULL DEFAULT true, mark uuid, ratio float8, lasted interval,
        span int4range, spot point, host inet)"""))
    await connection.execute("""CREATE TABLE asyncpg_entries (
        account_id bigint NOT NULL REFERENCES asyncpg_accounts (id), entry_id int NOT NULL, amount numeric NOT NULL, note text,
        PRIMARY KEY (account_id, entry_id))""")
    await connection.execute("CREATE TABLE asyncpg_currencies (code text PRIMARY KEY, name text, rate numeric)")
    await connection.execute("CREATE TABLE asyncpg_settings (name text PRIMARY KEY, value text)")


async def values(connection):
    section("values of every kind, binary")
    rows = [
        (1, "Ada", decimal.Decimal("100.50"), datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.timezone.utc), datetime.date(1815, 12, 10),
         ["a", "b c", None], '{"k": [1, null]}', b"\x00\xff", True, uuid.UUID("12345678-1234-5678-1234-567812345678"), 0.1,
         datetime.timedelta(days=3, seconds=7), asyncpg.Range(1, 9), asyncpg.Point(1.5, -2), "10.0.0.1"),
        (2**40, "Grace", decimal.Decimal("-0.01"), None, None, [], "[]", b"", False, None, float("inf"), None, None, None, None),
        (-7, "Édouard ☃", decimal.Decimal(0), None, None, None, None, None, True, None, None, None, None, None, None),
    ]
    for row in rows:
        show(await connection.execute("INSERT INTO asyncpg_accounts VALUES (" + ", ".join(f"${n + 1}" for n in range(15)) + ")", *row))
    for key in (*KEYS, 404):
        show(await connection.fetchrow("SELECT * FROM asyncpg_accounts WHERE id = $1", key))
        show(await connection.fetchval("SELECT owner FROM asyncpg_accounts WHERE id = $1", key))
        show(await connection.fetch("SELECT owner, active FROM asyncpg_accounts WHERE id = ANY($1::bigint[])", [key]))
    show(await connection.fetchrow("UPDATE asyncpg_accounts SET balance = balance + $2 WHERE id = $1 RETURNING balance", 1, decimal.Decimal("0.25")))
    # A composite and an array of it make asyncpg ask the catalogs about their types.
    show(await connection.fetchval("SELECT ROW(a.id, a.owner) FROM asyncpg_accounts a WHERE a.id = $1", 1))
    show(await connection.fetchval("SELECT a FROM asyncpg_accounts a WHERE a.id = $1", -7))


async def prepared(connection):
    section("prepared statements, over transactions and shards")
    select = await connection.prepare("SELECT owner, balance FROM asyncpg_accounts WHERE id = $1")
    update = await connection.prepare("UPDATE asyncpg_accounts SET balance = balance + $2 WHERE id = $1")
    show([(column.name, column.type.name) for column in select.get_attributes()], [type.name for type in select.get_parameters()])
    for _ in range(3):
        async with connection.transaction():
            show(await select.fetchrow(1))
        for key in KEYS:
            show(await select.fetchrow(key), await update.fetch(key, decimal.Decimal(1)), update.get_statusmsg())
    await update.executemany([(key, decimal.Decimal(n)) for key in KEYS for n in range(5)])
    show([await select.fetchval(key, column=1) for key in KEYS])


async def transactions(connection):
    section("transactions")
    async with connection.transaction():
        await connection.execute("INSERT INTO asyncpg_entries VALUES (1, 1, 10, 'kept')")
        try:
            async with connection.transaction():
                await connection.execute("INSERT INTO asyncpg_entries VALUES (1, 2, 10, 'undone')")
                await connection.execute("INSERT INTO asyncpg_entries VALUES (1, 1, 10, 'double')")
        except asyncpg.UniqueViolationError as error:
            show(error.sqlstate, error.constraint_name, error.table_name, error.detail)
        await connection.execute("INSERT INTO asyncpg_entries VALUES (1, 3, 10, 'kept')")
    transaction = connection.transaction()
    await transaction.start()
    show(await connection.execute("DELETE FROM asyncpg_entries WHERE account_id = 1"))
    await transaction.rollback()
    show(await connection.fetch("SELECT entry_id, note FROM asyncpg_entries WHERE account_id = $1 ORDER BY entry_id", 1))
    async with connection.transaction(isolation="serializable"):
        show(await connection.fetchval("SHOW transaction_isolation"))
    try:
        async with connection.transaction(readonly=True):
            await connection.execute("UPDATE asyncpg_accounts SET owner = 'nobody' WHERE id = 1")
    except asyncpg.PostgresError as error:
        show(error.sqlstate)
    try:
        async with connection.transaction():
            await failing(connection, "SELECT 1/0 FROM asyncpg_accounts WHERE id = 1")
            await failing(connection, "SELECT 1")
            raise RuntimeError("given up")
    except RuntimeError as error:
        show(error)
    # Of several shards: all or nothing.
    async with connection.transaction():
        for key in KEYS:
            await connection.execute("INSERT INTO asyncpg_entries VALUES ($1, 50, 1, 'each')", key)
    try:
        async with connection.transaction():
            for key in KEYS:
                await connection.execute("UPDATE asyncpg_entries SET note = 'changed' WHERE account_id = $1 AND entry_id = 50", key)
            raise RuntimeError("given up")
    except RuntimeError as error:
        show(error)
    show([await connection.fetchval("SELECT note FROM asyncpg_entries WHERE account_id = $1 AND entry_id = 50", key) for key in KEYS])


async def errors(connection):
    section("errors, and going on")
    await failing(connection, "INSERT INTO asyncpg_entries VALUES (404, 1, 1, NULL)")
    await failing(connection, "INSERT INTO asyncpg_accounts (id) VALUES ($1)", 9)
    await failing(connection, "SELECT nothing FROM asyncpg_accounts WHERE id = $1", 1)
    await failing(connection, "SELECT owner FROM asyncpg_absent WHERE id = $1", 1)
    await failing(connection, "SELEKT")
    await failing(connection, "SELECT 1 WHERE $1", 1)
    await failing(connection, "SELECT 1/(balance - balance) FROM asyncpg_accounts WHERE id = $1", 1)
    try:
        await connection.executemany("INSERT INTO asyncpg_entries VALUES ($1, $2, 1, 'batch')", [(1, 70), (1, 71), (1, 50), (1, 72)])
    except asyncpg.UniqueViolationError as error:
        show(error.sqlstate)
    show(await connection.fetchval("SELECT count(*) FROM asyncpg_entries WHERE account_id = $1 AND note = 'batch'", 1))
    show(await connection.fetchrow("SELECT owner FROM asyncpg_accounts WHERE id = $1", 1))


async def batches(connection):
    section("batches")
    await connection.executemany("INSERT INTO asyncpg_entries VALUES ($1, $2, $3, $4)",
                                 [(key, n, decimal.Decimal(n), f"n{n}") for key in KEYS for n in range(100, 400)])
    for key in KEYS:
        show(await connection.fetchrow("SELECT count(*), sum(amount) FROM asyncpg_entries WHERE account_id = $1 AND entry_id >= 100", key))


async def copies(connection):
    section("copy")
    show(await connection.copy_records_to_table(
        "asyncpg_settings", records=[(f"k{n}", "v" * n) for n in range(50)], columns=["name", "value"]))
    data = io.BytesIO("".join(f"{key}\t{n}\t{n}\tc\\t{n}\n" for key in KEYS for n in range(1000, 1100)).encode())
    show(await connection.copy_to_table("asyncpg_entries", source=data, columns=["account_id", "entry_id", "amount", "note"], format="text"))
    for key in KEYS:
        out = io.BytesIO()
        show(await connection.copy_from_query(
            "SELECT * FROM asyncpg_entries WHERE account_id = $1 AND entry_id >= 1000 ORDER BY entry_id LIMIT 3", key, output=out, format="csv"))
        show(out.getvalue())
    show(await connection.copy_records_to_table(
        "asyncpg_entries", columns=["account_id", "entry_id", "amount", "note"],
        records=[(key, n, decimal.Decimal(n) / 4, f"r{n}") for key in KEYS for n in range(2000, 2050)]))
    for key in KEYS:
        show(await connection.fetchrow(
            "SELECT count(*), sum(amount), max(note) FROM asyncpg_entries WHERE account_id = $1 AND entry_id >= 2000", key))
    out = io.BytesIO()
    show(await connection.copy_from_query(
        "SELECT entry_id FROM asyncpg_entries WHERE account_id = 1 ORDER BY entry_id LIMIT 3", output=out, format="binary"))
    show(out.getvalue().hex())


async def cursors(connection):
    section("cursors: portals that are read piece by piece")
    async with connection.transaction():
        cursor = await connection.cursor("SELECT entry_id FROM asyncpg_entries WHERE account_id = $1 AND entry_id >= 100 ORDER BY 1", 1)
        show(await cursor.fetchrow(), await cursor.fetch(3))
        show(await cursor.forward(10), await cursor.fetchrow())
        # Another statement, of another shard as may be, does not disturb it.
        show(await connection.fetchval("SELECT owner FROM asyncpg_accounts WHERE id = $1", 1))
        show(await cursor.fetchrow())
    async with connection.transaction():
        total = 0
        async for row in connection.cursor("SELECT entry_id FROM asyncpg_entries WHERE account_id = $1", -7, prefetch=13):
            total += row[0]
        show(total)


async def large(connection):
    section("many and big rows")
    await connection.execute(
        "INSERT INTO asyncpg_entries SELECT id, g, g, NULL FROM asyncpg_accounts, generate_series(10001, 110000) g WHERE id = $1", -7)
    rows = await connection.fetch("SELECT entry_id, amount FROM asyncpg_entries WHERE account_id = $1 AND entry_id > 10000 ORDER BY 1", -7)
    show(len(rows), rows[0], rows[-1], sum(row[0] for row in rows))
    raw = bytes(range(256)) * 65_536
    for key in (1, -7):
        await connection.execute("UPDATE asyncpg_accounts SET raw = $1 WHERE id = $2", raw, key)
        answer = await connection.fetchval("SELECT raw FROM asyncpg_accounts WHERE id = $1", key)
        show(len(answer), answer == raw)
        await connection.execute("UPDATE asyncpg_accounts SET raw = NULL WHERE id = $1", key)


async def cancelling(connection):
    section("cancel")
    for sql, parameters in (("SELECT pg_sleep(60)", ()), ("SELECT pg_sleep(60) FROM asyncpg_accounts WHERE id = $1", (1,))):
        try:
            await connection.fetch(sql, *parameters, timeout=0.5)
        except asyncio.TimeoutError:
            show("timed out")
        show(await connection.fetchval("SELECT owner FROM asyncpg_accounts WHERE id = $1", 1))
    task = asyncio.create_task(connection.fetch("SELECT pg_sleep(60) FROM asyncpg_accounts WHERE id = 1"))
    await asyncio.sleep(0.3)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        show("cancelled")
    show(await connection.fetchval("SELECT owner FROM asyncpg_accounts WHERE id = $1", -7))
    await connection.execute("SET statement_timeout = '100ms'")
    await failing(connection, "SELECT pg_sleep(60) FROM asyncpg_accounts WHERE id = $1", 1)
    await connection.execute("RESET statement_timeout")


async def settings(connection):
    section("settings and notifications")
    other = await asyncpg.connect(DSN, server_settings={"application_name": "smoke", "intervalstyle": "iso_8601", "statement_timeout": "12345"})
    show(await other.fetchval("SHOW application_name"), await other.fetchval("SHOW statement_timeout"), await other.fetchval("SHOW intervalstyle"))
    show(await other.fetchval("SELECT '1 day 2 hours'::interval::text FROM asyncpg_accounts WHERE id = 1"))
    show(other.get_settings().TimeZone, other.get_settings().client_encoding)
    heard = asyncio.Queue()
    await other.add_listener("asyncpg_news", lambda *news: heard.put_nowait(news[2:]))
    await connection.execute("NOTIFY asyncpg_news, 'one'")
    await connection.execute("SELECT pg_notify('asyncpg_news', $1)", "two")
    show(await asyncio.wait_for(heard.get(), 20), await asyncio.wait_for(heard.get(), 20))
    await other.close()
    show(await connection.fetchval("SELECT set_config('app.who', $1, false)", "Ada's"))
    for key in KEYS:
        show(await connection.fetchval("SELECT current_setting('app.who') FROM asyncpg_accounts WHERE id = $1", key))
    async with connection.transaction():
        await connection.fetchval("SELECT set_config('app.who', $1, true)", "inside")
        for key in KEYS:
            show(await connection.fetchval("SELECT current_setting('app.who') FROM asyncpg_accounts WHERE id = $1", key))
    show(await connection.fetchval("SELECT current_setting('app.who') FROM asyncpg_accounts WHERE id = $1", -7))
    show(await connection.execute("INSERT INTO asyncpg_currencies VALUES ('EUR', 'Euro', 1), ('NOK', 'Krone', 11.5)"))
    for key in KEYS:
        show(await connection.fetch("SELECT a.id, c.name FROM asyncpg_accounts a, asyncpg_currencies c WHERE a.id = $1 ORDER BY 2", key))


async def pool():
    section("fifty at once from a pool, which resets what it takes back")
    async with asyncpg.create_pool(DSN, min_size=1, max_size=50, server_settings={"application_name": "smoke"}) as pool:
        async def work(number):
            async with pool.acquire() as connection:
                for n in range(10):
                    await connection.execute("INSERT INTO asyncpg_accounts (id, owner) VALUES ($1, $2)", 1000 * (number + 1) + n, f"w{number}")
                async with connection.transaction():
                    await connection.execute("UPDATE asyncpg_accounts SET balance = balance + 1 WHERE id = $1", -7)
                await connection.execute("SET application_name = 'mine'")
            counts = await asyncio.gather(*(
                pool.fetchval("SELECT count(*) FROM asyncpg_accounts WHERE id = $1 AND owner = $2", 1000 * (number + 1) + n, f"w{number}")
                for n in range(10)))
            return sum(counts)

        show(await asyncio.gather(*(work(number) for number in range(50))))
        show(await pool.fetchval("SELECT balance FROM asyncpg_accounts WHERE id = -7"))
        show(await pool.fetchval("SHOW application_name"))


async def hints(connection):
    section("hints: what only the client knows is about one key")
    keys = (70001, 70002, 70003, 70004, 70005, 70006)
    for key in keys:
        await connection.execute("INSERT INTO asyncpg_accounts (id, owner) VALUES ($1, $2)", key, f"owner {key}")
    await connection.execute("CREATE FUNCTION asyncpg_owner(bigint) RETURNS text LANGUAGE sql AS 'SELECT owner FROM asyncpg_accounts WHERE id = $1'")
    for key in keys:
        hinted = f"/* pgmosaic: shard_key={key} */ SELECT asyncpg_owner($1), $2::int4range AS range"
        show(await connection.fetch(hinted, key, asyncpg.Range(1, 5)))
        statement = await connection.prepare(hinted)
        show(statement.get_parameters()[0].name, statement.get_attributes()[0].name, [await statement.fetchval(key, None) for _ in range(3)])
        await connection.execute(f"SET pgmosaic.shard_key = '{key}'")
        show(await connection.fetchval("SELECT asyncpg_owner($1)", key))
        await connection.execute("RESET pgmosaic.shard_key")
    async with connection.transaction():
        for key in keys[:3]:
            await connection.execute("UPDATE asyncpg_accounts SET owner = 'changed' WHERE id = $1", key)
            show(await connection.fetchval(f"/* pgmosaic: shard_key={key} */ SELECT asyncpg_owner($1)", key))
    await connection.execute("DROP FUNCTION asyncpg_owner(bigint)")
    for key in keys:
        await connection.execute("DELETE FROM asyncpg_accounts WHERE id = $1", key)


async def main():
    connection = await asyncpg.connect(DSN)
    for step in (definition, values, prepared, transactions, errors, batches, copies, cursors, large, cancelling, settings, hints):
        await step(connection)
    await pool()
    section("the end")
    await connection.execute("DROP TABLE asyncpg_entries, asyncpg_accounts, asyncpg_currencies, asyncpg_settings")
    await connection.close()


asyncio.run(main())
