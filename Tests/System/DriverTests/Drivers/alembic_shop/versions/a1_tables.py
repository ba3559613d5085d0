"""The tables."""
import sqlalchemy as sa
from alembic import op

revision, down_revision = "a1", None


def upgrade():
    op.create_table("alembic_accounts", sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False), sa.Column("owner", sa.String(80), nullable=False),
                    sa.Column("balance", sa.Numeric(12, 2), server_default="0", nullable=False), sa.Column("spare", sa.Integer))
    op.create_table("alembic_currencies", sa.Column("code", sa.String(3), primary_key=True), sa.Column("name", sa.String, nullable=False))
    op.create_table("alembic_settings", sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True), sa.Column("name", sa.String, unique=True))
    op.create_table("alembic_entries", sa.Column("account_id", sa.BigInteger, sa.ForeignKey("alembic_accounts.id", name="alembic_entries_account"), primary_key=True),
                    sa.Column("entry_id", sa.Integer, primary_key=True), sa.Column("note", sa.Text))
    op.create_index("alembic_accounts_owner", "alembic_accounts", ["owner"])


def downgrade():
    for name in ("entries", "settings", "currencies", "accounts"):
        op.drop_table(f"alembic_{name}")
