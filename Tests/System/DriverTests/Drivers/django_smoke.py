"""Django's program (migrations there and back, and its ORM, on psycopg 3): what it prints through the router must be what it prints on one plain server."""
import datetime
import decimal
import io
import os
import urllib.parse

import django
from django.conf import settings
from django.core.management import call_command

address = urllib.parse.urlsplit(os.environ["DSN"])
settings.configure(
    DATABASES={"default": {
        "ENGINE": "django.db.backends.postgresql", "NAME": address.path[1:], "HOST": address.hostname, "PORT": address.port, "USER": address.username,
        "PASSWORD": address.password, "CONN_MAX_AGE": None,
        # A cursor WITH HOLD for each iterator() would keep a connection to a shard.
        "DISABLE_SERVER_SIDE_CURSORS": True,
    }},
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.sessions", "django_shop"], USE_TZ=True, TIME_ZONE="UTC",
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField", PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"])
django.setup()

from django.contrib.auth.models import Group, Permission, User  # noqa: E402
from django.db import DatabaseError, IntegrityError, connection, transaction  # noqa: E402
from django.db.models import Avg, Count, Exists, F, Max, OuterRef, Q, Subquery, Sum, Window  # noqa: E402
from django.db.models.functions import Rank, Upper  # noqa: E402
from django_shop.models import Account, Currency, Entry, Setting  # noqa: E402

KEYS = (1, 2**40, -7)


def show(*values):
    print(*values, flush=True)


def section(name):
    show("==", name)


def command(*words, **options):
    out = io.StringIO()
    call_command(*words, stdout=out, no_color=True, **options)
    return out.getvalue().strip().splitlines()


def tables():
    with connection.cursor() as cursor:
        for name in sorted(name for name in connection.introspection.table_names(cursor) if name.startswith(("django_", "auth_"))):
            columns = [(column.name, column.null_ok) for column in connection.introspection.get_table_description(cursor, name)]
            # Names of constraints are made of a hash; those that Django drops it finds so.
            constraints = sorted((tuple(found["columns"] or ()), found["primary_key"], found["unique"], found["index"], found["check"], found["foreign_key"])
                                 for found in connection.introspection.get_constraints(cursor, name).values())
            show(name, columns, constraints)


def migrations():
    section("migrate")
    for line in command("migrate"):
        show(line)
    show(command("makemigrations", "django_shop", check=True, dry_run=True))
    tables()
    show(sorted(Account.objects.values_list("id", "level", "email")))
    section("there and back")
    # Each migration is many statements on all shards; continuous integration goes down once, at the end.
    for target in () if "CI" in os.environ else ("0001", "0004"):
        for line in command("migrate", "django_shop", target):
            show(line)
    for line in command("showmigrations"):
        show(line)
    show(command("migrate"))
    Account.objects.all().delete()


def writes():
    section("rows")
    first = Account.objects.create(id=1, owner="Ada", balance=decimal.Decimal("100.50"), opened=datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.timezone.utc), tags=["a", "b c"], doc={"k": [1, None]})
    Account.objects.bulk_create([Account(id=2**40, owner="Grace"), Account(id=-7, owner="Édouard ☃", level=3)] + [Account(id=number, owner=f"o{number % 4}", balance=number, level=number % 3) for number in range(100, 130)])
    Entry.objects.bulk_create([Entry(account_id=key, number=number, amount=number, currency_id="EUR" if number % 2 else None) for key in KEYS for number in range(6)])
    show(Entry.objects.bulk_create([Entry(account_id=key, number=0, text="again") for key in KEYS], update_conflicts=True, unique_fields=["account_id", "number"], update_fields=["text"])[0].text)
    first.owner = "Ada Lovelace"
    first.save()
    first.refresh_from_db()
    show(first.owner, first.balance, first.opened, first.tags, first.doc)
    show(Account.objects.get_or_create(id=1, defaults={"owner": "nobody"})[1], Account.objects.update_or_create(id=55, defaults={"owner": "new"})[1], Account.objects.update_or_create(id=55, defaults={"owner": "newer"})[1])
    show(Account.objects.filter(level=2).update(balance=F("balance") + 1), Account.objects.filter(id__in=[1, 100, 101, 102]).update(level=0))
    for account in (accounts := list(Account.objects.filter(id__in=[100, 101, 102]))):
        account.email = f"{account.id}@example.org"
    show(Account.objects.bulk_update(accounts, ["email"]))
    show(Entry.objects.filter(account_id=1, number=5).delete()[0], Account.objects.filter(id=55).delete()[0], Account.objects.filter(id__gte=125, id__lt=1000).delete()[0])
    show(Entry.objects.get(pk=(1, 2)).amount, Entry.objects.filter(pk__in=[(1, 1), (-7, 3)]).count())


def reads():
    section("queries")
    show(Account.objects.count(), Account.objects.aggregate(Sum("balance"), Avg("balance"), Max("level")), Account.objects.filter(owner="o1").exists())
    show(list(Account.objects.order_by("-balance", "id").values_list("id", "balance")[:5]), list(Account.objects.order_by("id").values_list("id", flat=True)[3:8]))
    show(list(Account.objects.values("level").annotate(n=Count("id"), total=Sum("balance")).order_by("level")), list(Account.objects.values("owner").annotate(n=Count("id")).filter(n__gt=6).order_by("owner")))
    show(list(Account.objects.annotate(n=Count("entries"), s=Sum("entries__amount")).filter(n__gt=0).order_by("id").values_list("id", "n", "s")))
    show([(entry.account.owner, entry.number, entry.currency and entry.currency.name) for entry in Entry.objects.select_related("account", "currency").filter(number__lt=3).order_by("account_id", "number")])
    show([(account.id, sorted(entry.number for entry in account.entries.all())) for account in Account.objects.prefetch_related("entries").filter(id__in=KEYS).order_by("id")])
    show(list(Account.objects.annotate(rank=Window(Rank(), partition_by="level", order_by="-balance")).filter(rank=1).order_by("level", "id").values_list("level", "id")))
    show(list(Account.objects.filter(Exists(Entry.objects.filter(account=OuterRef("pk"), amount__gt=3))).order_by("id").values_list("id", flat=True)))
    show(list(Account.objects.annotate(last=Subquery(Entry.objects.filter(account=OuterRef("pk")).order_by("-number").values("number")[:1])).filter(last__isnull=False).order_by("id").values_list("id", "last")))
    show(sorted(Account.objects.filter(Q(owner__icontains="ada") | Q(tags__contains=["a"]) | Q(doc__k__0=1) | Q(level=3)).values_list("id", flat=True)), sorted(set(Account.objects.annotate(u=Upper("owner")).values_list("u", flat=True)))[:3])
    show(Currency.objects.filter(entry__account_id=1).distinct().count(), list(Currency.objects.annotate(n=Count("entry")).values_list("code", "n")))
    show(list(Account.objects.filter(level=0).values_list("id").union(Account.objects.filter(level=3).values_list("id")).order_by("id")), Account.objects.dates("opened", "year").first())
    show([row.id for row in Account.objects.raw("SELECT id, owner FROM django_accounts WHERE level = %s ORDER BY id", [0])], Account.objects.in_bulk([1, 100]).keys() == {1, 100})
    show([account.owner for account in Account.objects.filter(id=1).iterator()])


def streams():
    section("piece by piece")
    show(sum(account.id for account in Account.objects.iterator(chunk_size=10)) == sum(Account.objects.values_list("id", flat=True)))


def transactions():
    section("transactions")
    with transaction.atomic():
        Account.objects.filter(id=1).update(owner="kept")
        try:
            with transaction.atomic():
                Account.objects.filter(id=-7).update(owner="lost")
                Account.objects.create(id=1, owner="twice")
        except IntegrityError as error:
            show(error.__cause__.sqlstate)
        show(Account.objects.select_for_update().get(id=1).owner, Account.objects.get(id=-7).owner)
        show(Account.objects.count(), Account.objects.filter(balance__gt=110).count())
    try:
        with transaction.atomic():
            Account.objects.all().update(owner="nobody")
            Currency.objects.update(name="Nothing")
            raise KeyError
    except KeyError:
        show(Account.objects.filter(owner="nobody").count(), Currency.objects.get(code="EUR").name)
    with transaction.atomic():
        Account.objects.update(level=F("level") + 1)
        Currency.objects.create(code="NOK", name="Krone")
        Setting.objects.create(name="both", value="1")
    show(Account.objects.aggregate(Sum("level")), Currency.objects.count(), Setting.objects.count())


def errors():
    section("errors")
    for statement in (lambda: Entry.objects.create(account_id=404, number=1), lambda: Account.objects.create(id=1, owner="x"), lambda: Account.objects.filter(id=1).update(level=-1),
                      lambda: Account.objects.create(id=9, owner=None), lambda: Account.objects.update(level=-1), lambda: Currency.objects.create(code="SEK", name="Krone")):
        try:
            with transaction.atomic():
                statement()
            show("no error")
        except DatabaseError as error:
            show(type(error).__name__, error.__cause__.sqlstate)


def users():
    section("what Django brings along")
    user = User.objects.create_user("ada", "ada@example.org", "secret")
    group = Group.objects.create(name="readers")
    group.permissions.set(Permission.objects.filter(content_type__app_label="django_shop", codename__startswith="view_"))
    user.groups.add(group)
    show(sorted(User.objects.get(username="ada").get_all_permissions()), User.objects.filter(groups__name="readers").count(), user.check_password("secret"))
    user.delete()
    show(User.objects.count(), Permission.objects.count())


def end():
    section("the end")
    show(Entry.objects.all().delete()[0])
    for line in command("migrate", "django_shop", "zero"):
        show(line)
    with connection.cursor() as cursor:
        show(sorted(name for name in connection.introspection.table_names(cursor) if name.startswith("django_")))


for step in (migrations, writes, reads, streams, transactions, errors, users, end):
    step()
