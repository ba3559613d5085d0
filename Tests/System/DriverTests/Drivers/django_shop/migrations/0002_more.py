import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("django_shop", "0001_initial")]
    operations = [
        migrations.AddField("account", "email", models.CharField(db_index=True, default="", max_length=80)),
        migrations.AddField("account", "level", models.SmallIntegerField(default=1)),
        migrations.AddField("entry", "currency", models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, to="django_shop.currency")),
        migrations.RenameField("entry", "note", "text"),
        migrations.AlterField("account", "owner", models.CharField(max_length=120)),
        migrations.AlterField("account", "balance", models.DecimalField(decimal_places=2, default=0, max_digits=14)),
        migrations.RemoveField("account", "spare"),
    ]
