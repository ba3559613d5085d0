"""Accounts and their entries, sharded by the account; currencies, which are everywhere; settings, which are not."""
from django.contrib.postgres.fields import ArrayField
from django.db import models


class Account(models.Model):
    id = models.BigIntegerField(primary_key=True)
    owner = models.CharField(max_length=120)
    email = models.CharField(max_length=80, default="", db_index=True)
    balance = models.DecimalField(max_digits=14, decimal_places=2, default=0)
    opened = models.DateTimeField(null=True)
    tags = ArrayField(models.CharField(max_length=20), default=list)
    doc = models.JSONField(null=True)
    level = models.SmallIntegerField(default=1)

    class Meta:
        db_table = "django_accounts"
        indexes = [models.Index(fields=["owner", "-balance"], name="django_accounts_owner")]
        constraints = [models.CheckConstraint(condition=models.Q(level__gte=0), name="django_accounts_level"),
                       models.UniqueConstraint(fields=["id", "email"], name="django_accounts_email")]


class Entry(models.Model):
    pk = models.CompositePrimaryKey("account_id", "number")
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="entries")
    number = models.IntegerField()
    amount = models.DecimalField(max_digits=12, decimal_places=2, default=5)
    currency = models.ForeignKey("Currency", on_delete=models.PROTECT, null=True)
    text = models.TextField(null=True)

    class Meta:
        db_table = "django_entries"


class Currency(models.Model):
    code = models.CharField(max_length=3, primary_key=True)
    name = models.CharField(max_length=40, unique=True)

    class Meta:
        db_table = "django_currencies"


class Setting(models.Model):
    id = models.BigAutoField(primary_key=True)
    name = models.CharField(max_length=40, unique=True)
    value = models.TextField(blank=True)

    class Meta:
        db_table = "django_settings"
