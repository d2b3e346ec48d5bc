"""Forms that do not overwrite what somebody else has saved since the page was shown."""

from typing import TYPE_CHECKING, Any, TypeVar, cast

from django import forms
from django.contrib.admin.widgets import AdminSplitDateTime
from django.db import models, transaction
from django.http import HttpRequest, QueryDict

from polling.admin import formats
from polling.admin.base import ListAdmin

M = TypeVar("M", bound=models.Model)

if TYPE_CHECKING:
    AnyForm = forms.ModelForm[Any]
else:
    AnyForm = forms.ModelForm


class NoOverwriteForm(AnyForm):
    """Compares, field by field, what the form showed with what is stored now. The row must be locked meanwhile.

    A field that was left alone keeps the stored value. A field that was edited both here and elsewhere is an error that
    shows the stored value; the form keeps what was entered, and saving it again replaces the stored value. If the
    fields are one decision (`together`), a change elsewhere of one field stops the edit of all.
    """

    together = False

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        cleaned = self.cleaned_data if cleaned is None else cleaned
        for bound in self._comparable_fields():
            shown = bound.field.hidden_widget().value_from_datadict(self.data, self.files, bound.html_initial_name)
            if not _is_different(bound, shown, bound.initial):
                continue
            edited = bound.name in self.changed_data
            if edited and _is_different(bound, bound.data, bound.initial):
                self._put_stored_value(bound.html_initial_name, bound)
                self.add_error(bound.name, _changed_meanwhile(bound.initial))
            elif not edited and self.together and self.changed_data:
                self._put_stored_value(bound.html_initial_name, bound)
                self._put_stored_value(bound.html_name, bound)
                self.add_error(bound.name, _changed_meanwhile(bound.initial))
            elif not edited:
                value = getattr(self.instance, bound.name)
                cleaned[bound.name] = value.all() if isinstance(value, models.Manager) else value
        return cleaned

    def _comparable_fields(self) -> list[forms.BoundField]:
        """The fields whose shown values came back with the request; none for a new row or another client."""
        fields = [bound for bound in self if bound.field.show_hidden_initial]
        has_shown = any(bound.html_initial_name in self.data for bound in fields)
        return fields if has_shown and self.instance.pk is not None else []

    def _put_stored_value(self, key: str, bound: forms.BoundField) -> None:
        """Puts the stored value into the form, so that the next answer is compared with what the error shows."""
        data = cast(QueryDict, self.data).copy()
        value = bound.field.prepare_value(bound.initial)
        data.setlist(key, value if isinstance(value, list) else [value])
        self.data = data


def _is_different(bound: forms.BoundField, entered: Any, stored: Any) -> bool:
    """Compares text as a browser returns it: stripped, and with other line ends."""
    if isinstance(entered, str) and isinstance(stored, str):
        return _plain_lines(entered) != _plain_lines(stored)
    return bound.field.has_changed(stored, entered)


def _plain_lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()


def _changed_meanwhile(stored: Any) -> str:
    """The error of a field that somebody else has changed, with its stored value."""
    shown = f"“{stored}”" if isinstance(stored, str) and stored else stored
    if isinstance(stored, bool):
        shown = "on" if stored else "off"
    elif stored in ("", None, []):
        shown = f"empty ({formats.NOTHING})"
    elif isinstance(stored, list):
        shown = ", ".join(map(str, stored))
    return (
        f"Somebody has changed this since the page was shown. It is now: {shown}. "
        "Save again to replace it by what stands in the form."
    )


class NoOverwriteAdmin(ListAdmin[M]):
    """Pages with such a form. Instants are not compared: no form edits one that racepoll also sets."""

    form = NoOverwriteForm

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **options)
        if field is not None and not isinstance(field.widget, AdminSplitDateTime):
            field.show_hidden_initial = True
        return field

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> M | None:
        found = super().get_object(request, object_id, from_field)
        if found is None or request.method != "POST" or not transaction.get_connection().in_atomic_block:
            return found
        # The row must not change between the comparison and the save.
        list(self.model._default_manager.filter(pk=found.pk).select_for_update().values_list("pk"))
        return super().get_object(request, object_id, from_field)
