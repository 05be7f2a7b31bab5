#!/usr/bin/python3
"""Django's ORM on psycopg2: schema editor, models, atomic blocks, server-side cursors, time zones."""
import datetime
import decimal
import os
import threading

import django
from django.conf import settings

settings.configure(
    USE_TZ=True, TIME_ZONE="Europe/Berlin", INSTALLED_APPS=[], DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    DATABASES={"default": {
        "ENGINE": "django.db.backends.postgresql", "NAME": os.environ["PGDATABASE"], "USER": os.environ["PGUSER"],
        "PASSWORD": os.environ["PGPASSWORD"], "HOST": os.environ["PGHOST"], "PORT": os.environ["PGPORT"],
        # what Django's manual asks for behind a pooler in transaction mode
        "DISABLE_SERVER_SIDE_CURSORS": True}})
django.setup()
from django.db import IntegrityError, connection, models, transaction  # noqa: E402
from django.utils import timezone  # noqa: E402


class Item(models.Model):
    name = models.TextField(unique=True)
    price = models.DecimalField(max_digits=10, decimal_places=2)
    at = models.DateTimeField()
    data = models.JSONField(default=dict)

    class Meta:
        app_label = "drv"
        db_table = "drv_django_item"


with connection.cursor() as cur:
    cur.execute("DROP TABLE IF EXISTS drv_django_item")
with connection.schema_editor() as editor:
    editor.create_model(Item)
now = timezone.now()
Item.objects.create(name="grüß", price=decimal.Decimal("1.25"), at=now, data={"k": [1, None]})
got = Item.objects.get(name="grüß")
assert (got.price, got.at, got.data) == (decimal.Decimal("1.25"), now, {"k": [1, None]})
try:
    with transaction.atomic():
        Item.objects.create(name="lost", price=1, at=now)
        with transaction.atomic():
            Item.objects.create(name="grüß", price=1, at=now)
    raise AssertionError("no unique violation")
except IntegrityError:
    pass
assert not Item.objects.filter(name="lost").exists()
Item.objects.bulk_create([Item(name="n%d" % i, price=i, at=now) for i in range(500)])
with transaction.atomic():
    assert Item.objects.select_for_update().filter(price__gte=250).count() == 250
assert sum(1 for _ in Item.objects.filter(name__startswith="n").iterator(50)) == 500
assert Item.objects.filter(at__date=timezone.localdate(now)).count() == 501
assert Item.objects.aggregate(models.Sum("price"))["price__sum"] == decimal.Decimal("124751.25")
assert Item.objects.filter(at__lt=now - datetime.timedelta(days=1)).delete()[0] == 0
failures = []


def work(n):
    try:
        for i in range(20):
            with transaction.atomic():
                Item.objects.filter(name="n%d" % n).update(price=models.F("price") + 1)
        connection.close()
    except Exception as e:
        failures.append(e)


threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
for t in threads:
    t.start()
for t in threads:
    t.join()
assert not failures, failures
assert Item.objects.get(name="n7").price == 27
with connection.schema_editor() as editor:
    editor.delete_model(Item)
connection.close()
print("PASS")
