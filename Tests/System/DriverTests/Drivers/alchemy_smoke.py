"""SQLAlchemy's program (Core and ORM, on psycopg 3): what it prints through the router must be what it prints on one plain server.

The key comes first in every primary key, and is known before the row is written, as docs/guide/drivers.md says.
"""
import concurrent.futures
import datetime
import decimal
import os

from sqlalchemy import (BigInteger, Boolean, DateTime, ForeignKey, Identity, Integer, LargeBinary, Numeric, String, bindparam, create_engine, delete,
                        func, insert, inspect, select, text, update)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, insert as upsert
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, joinedload, mapped_column, relationship, selectinload

DSN = os.environ["DSN"].replace("postgres://", "postgresql+psycopg://")
KEYS = (1, 2**40, -7)


class Base(DeclarativeBase):
    pass


class Account(Base):
    __tablename__ = "alchemy_accounts"
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    owner: Mapped[str] = mapped_column(String(80))
    balance: Mapped[decimal.Decimal] = mapped_column(Numeric(12, 2), server_default="0")
    opened: Mapped[datetime.datetime | None] = mapped_column(DateTime(timezone=True))
    tags: Mapped[list[str] | None] = mapped_column(ARRAY(String))
    doc: Mapped[dict | None] = mapped_column(JSONB)
    raw: Mapped[bytes | None] = mapped_column(LargeBinary)
    active: Mapped[bool] = mapped_column(Boolean, server_default=text("true"))
    entries: Mapped[list["Entry"]] = relationship(back_populates="account", order_by="Entry.entry_id", cascade="all, delete-orphan")


class Entry(Base):
    __tablename__ = "alchemy_entries"
    account_id: Mapped[int] = mapped_column(ForeignKey("alchemy_accounts.id"), primary_key=True)
    entry_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    amount: Mapped[decimal.Decimal] = mapped_column(Numeric, server_default="5")
    note: Mapped[str | None] = mapped_column(String)
    account: Mapped[Account] = relationship(back_populates="entries")


class Currency(Base):
    __tablename__ = "alchemy_currencies"
    code: Mapped[str] = mapped_column(String(3), primary_key=True)
    name: Mapped[str] = mapped_column(String)


class Setting(Base):
    __tablename__ = "alchemy_settings"
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    name: Mapped[str] = mapped_column(String, unique=True)
    value: Mapped[str | None] = mapped_column(String)


def show(*values):
    print(*values, flush=True)


def section(name):
    show("==", name)


def failing(engine, statement, parameters=None):
    try:
        with engine.begin() as connection:
            connection.execute(statement, parameters)
        show("no error")
    except DBAPIError as error:
        show(type(error).__name__, error.orig.sqlstate)


def definition(engine):
    section("create_all and inspection")
    Base.metadata.create_all(engine)
    Base.metadata.create_all(engine)
    seen = inspect(engine)
    for table in Base.metadata.sorted_tables:
        show(table.name, [(column["name"], str(column["type"]), column["nullable"]) for column in seen.get_columns(table.name)])
        show(seen.get_pk_constraint(table.name)["constrained_columns"], [key["referred_table"] for key in seen.get_foreign_keys(table.name)])
    show(seen.has_table("alchemy_absent"), sorted(name for name in seen.get_table_names() if name.startswith("alchemy")))


def orm(engine):
    section("sessions")
    with Session(engine) as session:
        session.add_all([
            Account(id=1, owner="Ada", balance=decimal.Decimal("100.50"), opened=datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.timezone.utc),
                    tags=["a", "b c"], doc={"k": [1, None]}, raw=b"\x00\xff", entries=[Entry(entry_id=n, note=f"n{n}") for n in range(5)]),
            Account(id=2**40, owner="Grace", tags=[], entries=[Entry(entry_id=1, amount=7)]),
            Account(id=-7, owner="Édouard ☃"),
        ])
        session.flush()
        # Server defaults came back with the INSERT (RETURNING) of rows of several shards.
        show(sorted((account.id, account.balance, account.active) for account in session.identity_map.values() if isinstance(account, Account)))
        session.commit()
        for key in KEYS:
            account = session.get(Account, key)
            show(account.id, account.owner, account.balance, account.opened, account.tags, account.doc, account.raw, account.active)
            show([(entry.entry_id, entry.amount, entry.note) for entry in account.entries])
        session.get(Account, 1).owner = "Ada Lovelace"
        session.get(Account, -7).balance += 3
        first = session.get(Account, 1)
        first.entries.pop(0)
        session.commit()
        show(session.scalars(select(Account.owner).where(Account.id == 1)).one(), session.get(Account, -7).balance)
    with Session(engine) as session:
        session.get(Account, 1).owner = "nobody"
        session.get(Account, -7).owner = "nobody"
        session.flush()
        session.rollback()
        show(session.get(Account, 1).owner, session.get(Account, -7).owner)
        with session.begin_nested():
            session.add(Entry(account_id=1, entry_id=50))
        try:
            with session.begin_nested():
                session.add(Entry(account_id=1, entry_id=1))
        except IntegrityError as error:
            show(error.orig.sqlstate)
        session.commit()
    with Session(engine) as session:
        loaded = session.scalars(select(Account).where(Account.id == 1).options(selectinload(Account.entries))).one()
        show([entry.entry_id for entry in loaded.entries])
        loaded = session.scalars(
            select(Account).where(Account.id == 1).options(joinedload(Account.entries))).unique().one()
        show([entry.entry_id for entry in loaded.entries])
        joined = session.execute(
            select(Account.owner, func.count(), func.sum(Entry.amount)).join(Entry).where(Account.id == 1).group_by(Account.owner)).all()
        show(joined)
        show(session.execute(select(Account.id).where(Account.id == 1).with_for_update()).all())


def core(engine):
    section("insertmanyvalues, upserts, lists of keys")
    with engine.begin() as connection:
        rows = [{"account_id": key, "entry_id": n, "note": f"n{n}"} for n in range(100, 200) for key in KEYS]
        returned = connection.execute(insert(Entry).returning(Entry.account_id, Entry.entry_id, Entry.amount), rows).all()
        show(len(returned), sorted(returned)[0], sorted(returned)[-1])
        rows = [{"account_id": key, "entry_id": n} for n in range(400, 450) for key in KEYS]
        returned = connection.execute(insert(Entry).returning(Entry.account_id, Entry.entry_id, sort_by_parameter_order=True), rows).all()
        show([tuple(row) for row in returned] == [(row["account_id"], row["entry_id"]) for row in rows])
        connection.execute(insert(Entry), [{"account_id": key, "entry_id": n} for n in range(500, 510) for key in KEYS])
        result = connection.execute(
            update(Entry).where(Entry.account_id == bindparam("key"), Entry.entry_id == bindparam("entry")).values(note="changed"),
            [{"key": key, "entry": 100} for key in KEYS])
        show(result.rowcount)
        show(connection.execute(update(Entry).where(Entry.account_id.in_(KEYS), Entry.entry_id == 101).values(note="all")).rowcount)
        show(connection.execute(delete(Entry).where(Entry.account_id.in_(KEYS), Entry.entry_id >= 500)).rowcount)
        statement = upsert(Entry).values([{"account_id": key, "entry_id": 100, "note": "again"} for key in KEYS])
        show(connection.execute(statement.on_conflict_do_update(
            index_elements=[Entry.account_id, Entry.entry_id], set_={"note": statement.excluded.note})).rowcount)
    with engine.connect() as connection:
        for key in KEYS:
            show(connection.execute(select(func.count(), func.sum(Entry.amount)).where(Entry.account_id == key)).one())
            show(connection.execute(select(Entry.note).where(Entry.account_id == key, Entry.entry_id.in_([100, 101])).order_by(Entry.entry_id)).all())
    section("reference and local tables")
    with Session(engine) as session:
        session.add_all([Currency(code="EUR", name="Euro"), Currency(code="NOK", name="Krone")])
        session.add_all([Setting(name=f"k{n}", value=str(n)) for n in range(20)])
        session.commit()
        show(session.execute(select(func.count(), func.count(Setting.id.distinct())).select_from(Setting)).one())
        for key in KEYS:
            show(session.execute(select(Account.id, Currency.name).where(Account.id == key).order_by(Currency.name)).all())


def errors(engine):
    section("errors")
    failing(engine, insert(Entry), {"account_id": 404, "entry_id": 1})
    failing(engine, insert(Entry), {"account_id": 1, "entry_id": 100})
    failing(engine, insert(Account), {"id": 9, "owner": None})
    failing(engine, text("SELECT nothing FROM alchemy_accounts WHERE id = :key"), {"key": 1})
    failing(engine, text("SELECT 1/0 FROM alchemy_accounts WHERE id = 1"))
    # Of three hundred rows the last is there already: none stays.
    failing(engine, insert(Entry), [{"account_id": key, "entry_id": n} for n in range(700, 800) for key in KEYS] + [{"account_id": 1, "entry_id": 100}])
    with engine.connect() as connection:
        show([connection.scalar(select(func.count()).where(Entry.account_id == key, Entry.entry_id >= 700)) for key in KEYS])


def streams(engine):
    section("many rows, streams, isolation")
    with engine.begin() as connection:
        connection.execute(text(
            "INSERT INTO alchemy_entries SELECT id, g, g, NULL FROM alchemy_accounts, generate_series(10001, 110000) g WHERE id = :key"), {"key": -7})
    wanted = select(Entry.entry_id).where(Entry.account_id == -7, Entry.entry_id > 10000).order_by(Entry.entry_id)
    with engine.connect() as connection:
        show(sum(connection.scalars(wanted)))
    with engine.connect().execution_options(yield_per=1000) as connection:
        show(sum(len(part) for part in connection.execute(wanted).partitions()))
    with engine.connect().execution_options(isolation_level="SERIALIZABLE") as connection:
        show(connection.scalar(text("SHOW transaction_isolation")))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        show(connection.execute(update(Account).where(Account.id == 1).values(balance=Account.balance + 1).returning(Account.balance)).scalar())


def many(engine):
    section("fifty at once")

    def work(number):
        with Session(engine) as session:
            session.add_all([Account(id=1000 * (number + 1) + n, owner=f"w{number}") for n in range(10)])
            session.execute(update(Account).where(Account.id == -7).values(balance=Account.balance + 1))
            session.commit()
            return sum(session.scalar(select(func.count()).where(Account.id == 1000 * (number + 1) + n, Account.owner == f"w{number}")) for n in range(10))

    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        show(list(pool.map(work, range(50))))
    with engine.connect() as connection:
        show(connection.scalar(select(Account.balance).where(Account.id == -7)))


def main():
    engine = create_engine(DSN, pool_size=50, pool_pre_ping=True, enable_from_linting=False)
    for step in (definition, orm, core, errors, streams, many):
        step(engine)
    section("the end")
    Base.metadata.drop_all(engine)


main()
