import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [
        migrations.CreateModel(
            name="Account",
            fields=[
                ("id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("owner", models.CharField(max_length=80)),
                ("balance", models.DecimalField(decimal_places=2, default=0, max_digits=12)),
                ("opened", models.DateTimeField(null=True)),
                ("tags", django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=20), default=list, size=None)),
                ("doc", models.JSONField(null=True)),
                ("spare", models.IntegerField(null=True)),
            ],
            options={"db_table": "django_accounts"},
        ),
        migrations.CreateModel(
            name="Currency",
            fields=[("code", models.CharField(max_length=3, primary_key=True, serialize=False)), ("name", models.CharField(max_length=40, unique=True))],
            options={"db_table": "django_currencies"},
        ),
        migrations.CreateModel(
            name="Setting",
            fields=[("id", models.BigAutoField(primary_key=True, serialize=False)), ("name", models.CharField(max_length=40, unique=True)), ("value", models.TextField(blank=True))],
            options={"db_table": "django_settings"},
        ),
        migrations.CreateModel(
            name="Entry",
            fields=[
                ("pk", models.CompositePrimaryKey("account_id", "number", blank=True, editable=False, primary_key=True, serialize=False)),
                ("account", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="entries", to="django_shop.account")),
                ("number", models.IntegerField()),
                ("amount", models.DecimalField(decimal_places=2, default=5, max_digits=12)),
                ("note", models.TextField(null=True)),
            ],
            options={"db_table": "django_entries"},
        ),
    ]
