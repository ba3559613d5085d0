from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("django_shop", "0003_rows")]
    operations = [
        migrations.AddIndex("account", models.Index(fields=["owner", "-balance"], name="django_accounts_owner")),
        migrations.AddConstraint("account", models.CheckConstraint(condition=models.Q(("level__gte", 0)), name="django_accounts_level")),
        migrations.AddConstraint("account", models.UniqueConstraint(fields=("id", "email"), name="django_accounts_email")),
        migrations.RunSQL("COMMENT ON TABLE django_accounts IS 'by Django'", migrations.RunSQL.noop),
    ]
