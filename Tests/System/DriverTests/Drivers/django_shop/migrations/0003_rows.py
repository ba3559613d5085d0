from django.db import migrations


def fill(apps, schema_editor):
    """A migration of data: rows of all shards, of a table that is everywhere, and of a local one."""
    account = apps.get_model("django_shop", "Account")
    account.objects.bulk_create([account(id=number, owner=f"moved {number}", balance=number) for number in range(900, 912)])
    for number in (900, 905, 911):
        account.objects.filter(id=number).update(level=number % 7)
    apps.get_model("django_shop", "Currency").objects.bulk_create([apps.get_model("django_shop", "Currency")(code="EUR", name="Euro")])
    apps.get_model("django_shop", "Setting").objects.create(name="filled", value="yes")


def empty(apps, schema_editor):
    apps.get_model("django_shop", "Account").objects.filter(id__gte=900, id__lt=912).delete()
    apps.get_model("django_shop", "Currency").objects.all().delete()
    apps.get_model("django_shop", "Setting").objects.filter(name="filled").delete()


class Migration(migrations.Migration):
    dependencies = [("django_shop", "0002_more")]
    operations = [migrations.RunPython(fill, empty)]
