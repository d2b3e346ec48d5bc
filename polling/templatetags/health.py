"""The strip above every page of the admin: `{% health_strip %}`."""

from typing import Any

from django import template
from django.http import HttpRequest

from polling.admin.health_strip import cells

register = template.Library()


@register.inclusion_tag("admin/health_strip.html", takes_context=True)
def health_strip(context: template.Context) -> dict[str, Any]:
    """The cells of the strip; none if no member of staff is logged in."""
    request: HttpRequest | None = context.get("request")
    return {"cells": cells(request) if request and context.get("has_permission") else []}
