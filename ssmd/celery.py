"""The Celery application: every setting is Django's, prefixed CELERY_. The command line never imports it."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ssmd.settings")

app = Celery("ssmd")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["ssmd"])
