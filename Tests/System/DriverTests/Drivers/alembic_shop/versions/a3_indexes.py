"""Indexes and a batch."""
import sqlalchemy as sa
from alembic import op

revision, down_revision = "a3", "a2"


def upgrade():
    op.create_index("alembic_accounts_level", "alembic_accounts", ["level", sa.text("balance DESC")], postgresql_where=sa.text("level > 1"))
    op.drop_index("alembic_accounts_owner", "alembic_accounts")
    with op.batch_alter_table("alembic_accounts") as batch:
        batch.add_column(sa.Column("mail", sa.String))
        batch.alter_column("mail", server_default="nobody@example.org")
    op.execute("COMMENT ON TABLE alembic_accounts IS 'by Alembic'")


def downgrade():
    op.drop_column("alembic_accounts", "mail")
    op.create_index("alembic_accounts_owner", "alembic_accounts", ["owner"])
    op.drop_index("alembic_accounts_level", "alembic_accounts")
