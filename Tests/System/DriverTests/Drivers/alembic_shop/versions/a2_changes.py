"""Columns, types, names and rows."""
import sqlalchemy as sa
from alembic import op

revision, down_revision = "a2", "a1"


def upgrade():
    op.add_column("alembic_accounts", sa.Column("level", sa.SmallInteger, server_default=sa.text("1"), nullable=False))
    op.add_column("alembic_entries", sa.Column("currency", sa.String(3), sa.ForeignKey("alembic_currencies.code", name="alembic_entries_currency")))
    op.alter_column("alembic_accounts", "owner", type_=sa.String(120), existing_type=sa.String(80), existing_nullable=False)
    op.alter_column("alembic_accounts", "balance", type_=sa.Numeric(14, 2), existing_type=sa.Numeric(12, 2), existing_nullable=False, existing_server_default="0")
    op.alter_column("alembic_entries", "note", new_column_name="text", existing_type=sa.Text)
    op.drop_column("alembic_accounts", "spare")
    accounts = sa.table("alembic_accounts", sa.column("id", sa.BigInteger), sa.column("owner", sa.String), sa.column("level", sa.SmallInteger))
    op.bulk_insert(accounts, [{"id": number, "owner": f"moved {number % 3}", "level": number % 4} for number in range(900, 920)])
    op.bulk_insert(sa.table("alembic_currencies", sa.column("code", sa.String), sa.column("name", sa.String)), [{"code": "EUR", "name": "Euro"}, {"code": "NOK", "name": "Krone"}])
    op.execute("UPDATE alembic_accounts SET level = level + 1 WHERE level = 0")
    op.execute(accounts.update().where(accounts.c.owner == "moved 1").values(owner="one"))
    # What a migration looks up in the tables as they are in its own transaction.
    print("in the migration:", op.get_bind().execute(sa.select(sa.func.count(), sa.func.max(accounts.c.level)).where(accounts.c.owner == "one")).one())
    op.create_check_constraint("alembic_accounts_level", "alembic_accounts", "level >= 0")
    op.create_unique_constraint("alembic_entries_text", "alembic_entries", ["account_id", "text"])
    op.alter_column("alembic_currencies", "name", existing_type=sa.String, comment="as people call it", existing_nullable=False)


def downgrade():
    op.alter_column("alembic_currencies", "name", existing_type=sa.String, comment=None, existing_comment="as people call it", existing_nullable=False)
    op.drop_constraint("alembic_entries_text", "alembic_entries")
    op.drop_constraint("alembic_accounts_level", "alembic_accounts")
    op.execute("DELETE FROM alembic_accounts WHERE id BETWEEN 900 AND 919")
    op.add_column("alembic_accounts", sa.Column("spare", sa.Integer))
    op.alter_column("alembic_entries", "text", new_column_name="note", existing_type=sa.Text)
    op.drop_column("alembic_entries", "currency")
    op.execute("DELETE FROM alembic_currencies")
    op.alter_column("alembic_accounts", "balance", type_=sa.Numeric(12, 2), existing_type=sa.Numeric(14, 2), existing_nullable=False, existing_server_default="0")
    op.alter_column("alembic_accounts", "owner", type_=sa.String(80), existing_type=sa.String(120), existing_nullable=False)
    op.drop_column("alembic_accounts", "level")
