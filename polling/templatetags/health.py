"""The strip above every page of the admin: `{% health_strip %}`."""

from typing import Any

from django import template

from polling.admin import strip

register = template.Library()


@register.inclusion_tag("admin/strip.html", takes_context=True)
def health_strip(context: template.Context) -> dict[str, Any]:
    """Nothing where nobody of staff is logged in."""
    request = context.get("request")
    shown = request is not None and context.get("has_permission")
    return {"cells": strip.cells(request) if shown else []}
