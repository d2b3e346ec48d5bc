"""Forms that do not overwrite what somebody else has saved since they were shown."""

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
    """Compares field by field what it showed with what is stored now. Call it with the row locked.

    A field that was left alone keeps what is stored. One that was edited here and elsewhere is an error that shows the
    other value; what was entered stays in the form, and saving it again replaces the other value knowingly. Where the
    fields make one decision (`together`), one that has moved stops the edit of any other.
    """

    together = False

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        cleaned = self.cleaned_data if cleaned is None else cleaned
        for bound in self._shown_before():
            if not _differs(bound, self._shown(bound), bound.initial):
                continue
            edited = bound.name in self.changed_data
            if edited and _differs(bound, bound.data, bound.initial):
                self._show_stored(bound.html_initial_name, bound)
                self.add_error(bound.name, _both(bound.initial))
            elif not edited and self.together and self.changed_data:
                self._show_stored(bound.html_initial_name, bound)
                self._show_stored(bound.html_name, bound)
                self.add_error(bound.name, _both(bound.initial))
            elif not edited:
                cleaned[bound.name] = self._stored(bound.name)
        return cleaned

    def _shown_before(self) -> list[forms.BoundField]:
        """The fields of a form that says what it showed; those of one that does not cannot be compared."""
        fields = [bound for bound in self if bound.field.show_hidden_initial]
        says = any(bound.html_initial_name in self.data for bound in fields)
        return fields if says and self.instance.pk is not None else []

    def _shown(self, bound: forms.BoundField) -> Any:
        return bound.field.hidden_widget().value_from_datadict(self.data, self.files, bound.html_initial_name)

    def _stored(self, name: str) -> Any:
        value = getattr(self.instance, name)
        return value.all() if isinstance(value, models.Manager) else value

    def _show_stored(self, key: str, bound: forms.BoundField) -> None:
        """The next answer is compared with what the error says."""
        data = cast(QueryDict, self.data).copy()
        value = bound.field.prepare_value(bound.initial)
        data.setlist(key, value if isinstance(value, list) else [value])
        self.data = data


def _differs(bound: forms.BoundField, entered: Any, stored: Any) -> bool:
    """Text is compared as a browser returns it: with other line ends, and stripped."""
    if isinstance(entered, str) and isinstance(stored, str):
        return _plain(entered) != _plain(stored)
    return bound.field.has_changed(stored, entered)


def _plain(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()


def _both(stored: Any) -> str:
    now = f"“{stored}”" if isinstance(stored, str) and stored else stored
    if isinstance(stored, bool):
        now = "on" if stored else "off"
    elif stored in ("", None, []):
        now = f"empty ({formats.NOTHING})"
    elif isinstance(stored, list):
        now = ", ".join(map(str, stored))
    return (
        f"Somebody has changed this since the page was shown. It is now: {now}. "
        "Save again to replace it by what stands in the form."
    )


class NoOverwriteAdmin(ListAdmin[M]):
    """Pages whose form is checked so. Instants are left out: no form of ours edits one that the machine also sets."""

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
        # What is compared must not change before it is saved.
        list(self.model._default_manager.filter(pk=found.pk).select_for_update().values_list("pk"))
        return super().get_object(request, object_id, from_field)
