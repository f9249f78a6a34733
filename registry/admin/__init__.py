"""The registry for looking: lists, filters, history; what follows from the archive cannot be edited."""

from django.contrib import admin

from registry.admin import archive, environments, feeds, schemas
from registry.admin.rows import LookingOnly

__all__ = ["LookingOnly", "archive", "environments", "feeds", "schemas"]

admin.site.site_header = "ssmd"
admin.site.site_title = "ssmd"
admin.site.index_title = "What is true, and when"
admin.site.enable_nav_sidebar = False  # the lists need the width
