"""Alembic's program (migrations there and back, and what it finds by inspection, on SQLAlchemy and psycopg 3): what it prints through the router must be what it prints on one plain server."""
import io
import logging
import os

import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext

DSN = os.environ["DSN"].replace("postgres://", "postgresql+psycopg://")
engine = sa.create_engine(DSN)
metadata = sa.MetaData()
sa.Table("alembic_accounts", metadata, sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False), sa.Column("owner", sa.String(120), nullable=False),
         sa.Column("balance", sa.Numeric(14, 2), server_default="0", nullable=False), sa.Column("level", sa.SmallInteger, server_default=sa.text("1"), nullable=False),
         sa.Column("mail", sa.String, server_default="nobody@example.org"), sa.CheckConstraint("level >= 0", name="alembic_accounts_level"),
         sa.Index("alembic_accounts_level", "level", sa.text("balance DESC"), postgresql_where=sa.text("level > 1")), comment="by Alembic")
sa.Table("alembic_currencies", metadata, sa.Column("code", sa.String(3), primary_key=True), sa.Column("name", sa.String, nullable=False, comment="as people call it"))
sa.Table("alembic_settings", metadata, sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True), sa.Column("name", sa.String, unique=True))
sa.Table("alembic_entries", metadata, sa.Column("account_id", sa.BigInteger, sa.ForeignKey("alembic_accounts.id", name="alembic_entries_account"), primary_key=True),
         sa.Column("entry_id", sa.Integer, primary_key=True), sa.Column("text", sa.Text), sa.Column("currency", sa.String(3), sa.ForeignKey("alembic_currencies.code", name="alembic_entries_currency")),
         sa.UniqueConstraint("account_id", "text", name="alembic_entries_text"))
accounts, entries = metadata.tables["alembic_accounts"], metadata.tables["alembic_entries"]


def show(*values):
    print(*values, flush=True)


def section(name):
    show("==", name)


def config(**attributes):
    out = io.StringIO()
    made = Config(stdout=out)
    made.set_main_option("script_location", os.path.join(os.path.dirname(os.path.abspath(__file__)), "alembic_shop"))
    made.attributes.update(engine=engine, metadata=metadata, **attributes)
    return made, out


def run(name, *words, **attributes):
    made, out = config(**attributes)
    getattr(command, name)(made, *words)
    for line in out.getvalue().splitlines():
        show(line)


def tables():
    seen = sa.inspect(engine)
    for name in sorted(name for name in seen.get_table_names() if name.startswith("alembic_")):
        show(name, [(column["name"], str(column["type"]), column["nullable"], column["default"]) for column in seen.get_columns(name)])
        show(sorted((index["name"], index["unique"]) for index in seen.get_indexes(name)), sorted(key["name"] for key in seen.get_foreign_keys(name)),
             sorted(check["name"] for check in seen.get_check_constraints(name)), seen.get_table_comment(name))


def rows():
    with engine.connect() as connection:
        show(connection.execute(sa.text("SELECT level, count(*), min(owner) FROM alembic_accounts GROUP BY level ORDER BY level")).all() if "level" in
             [column["name"] for column in sa.inspect(connection).get_columns("alembic_accounts")] else None)


def work():
    section("rows")
    with engine.begin() as connection:
        connection.execute(sa.insert(entries), [{"account_id": key, "entry_id": number, "text": f"t{number}", "currency": "EUR"} for key in range(900, 910) for number in range(3)])
        show(connection.execute(sa.select(accounts.c.owner, sa.func.count(), sa.func.sum(entries.c.entry_id)).join(entries).group_by(accounts.c.owner).order_by(accounts.c.owner)).all())
        show(connection.execute(sa.update(accounts).values(level=accounts.c.level + 1).where(accounts.c.id % 2 == 0)).rowcount)
        show(connection.execute(sa.select(accounts.c.id).where(accounts.c.id.in_(sa.select(entries.c.account_id).where(entries.c.entry_id == 2))).order_by(accounts.c.id).limit(3)).scalars().all())
    for statement in (sa.insert(entries).values(account_id=901, entry_id=9, text="t1"), sa.insert(entries).values(account_id=901, entry_id=9, currency="XXX"), sa.update(accounts).values(level=-1)):
        try:
            with engine.begin() as connection:
                connection.execute(statement)
            show("no error")
        except sa.exc.DBAPIError as error:
            show(type(error).__name__, error.orig.sqlstate)
    with engine.begin() as connection:
        show(connection.execute(sa.delete(entries).where(entries.c.entry_id >= 0)).rowcount)


def main():
    logging.disable()
    section("upgrade")
    run("upgrade", "head")
    run("current")
    tables()
    rows()
    with engine.connect() as connection:
        show(compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True, "include_name": lambda name, kind, parents: kind != "table" or name.startswith("alembic_") and name != "alembic_version"}), metadata))
    work()
    section("there and back, each migration in a transaction of its own")
    # Each migration is many statements on all shards; continuous integration goes down once, at the end.
    for target in () if "CI" in os.environ else ("a1", "head"):
        run("downgrade" if target == "a1" else "upgrade", target, transaction_per_migration=True)
        run("current")
    tables()
    rows()
    section("the end")
    run("downgrade", "base")
    run("history")
    show([name for name in sa.inspect(engine).get_table_names() if name.startswith("alembic_")])
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE alembic_version"))


main()
