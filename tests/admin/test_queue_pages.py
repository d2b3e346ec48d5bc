"""django-q2's pages: its Schedule form runs any function, so staff look and only superusers change."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.db.models import Model
from django.test import Client
from django.urls import reverse
from django_q.models import Failure, OrmQ, Schedule, Success
from django_q.tasks import async_task

from polling import schedules
from tests.factories import START

pytestmark = pytest.mark.django_db

ROOT = Path(__file__).resolve().parents[2]
EACH_MODEL = pytest.mark.parametrize("model", [Schedule, Success, Failure, OrmQ], ids=lambda model: model.__name__)
ALL = [f"{verb}_{name}" for verb in ("add", "change", "delete", "view") for name in ("schedule", "success", "failure")]
ALL += [f"{verb}_ormq" for verb in ("add", "change", "delete", "view")]


def make(model: Any) -> Model:
    if model is OrmQ:
        async_task("math.sqrt", 2)
    elif model is Schedule:
        Schedule.objects.create(name="mine", func="math.sqrt")
    else:
        values = {"name": "task", "func": "math.sqrt", "started": START, "stopped": START}
        Success.objects.create(id="1" * 32, success=model is Success, **values)
    made: Model = model.objects.latest("pk")
    return made


def url(model: type[Model], page: str, *args: object) -> str:
    return reverse(f"admin:django_q_{model._meta.model_name}_{page}", args=args)


@EACH_MODEL
def test_staff_with_every_permission_look_and_change_nothing(
    staff_client: Callable[..., Client], model: type[Model]
) -> None:
    row, client = make(model), staff_client(*ALL)
    assert client.get(url(model, "changelist")).status_code == 200
    assert client.get(url(model, "change", row.pk)).status_code == 200
    assert client.get(url(model, "add")).status_code == 403
    assert client.post(url(model, "add"), {"func": "os.abort"}).status_code == 403
    assert client.post(url(model, "change", row.pk), {"func": "os.abort"}).status_code == 403
    assert client.post(url(model, "delete", row.pk), {"post": "yes"}).status_code == 403
    assert model._default_manager.filter(pk=row.pk).exists()


@EACH_MODEL
@pytest.mark.parametrize("action", ["delete_selected", "resubmit_task"])
def test_staff_are_offered_no_action_and_can_take_none(
    staff_client: Callable[..., Client], model: type[Model], action: str
) -> None:
    row, client = make(model), staff_client(*ALL)
    queued = OrmQ.objects.count()
    assert b'name="action"' not in client.get(url(model, "changelist")).content
    client.post(url(model, "changelist"), {"action": action, "_selected_action": row.pk, "post": "yes"})
    assert model._default_manager.filter(pk=row.pk).exists()
    assert OrmQ.objects.count() == queued


def test_superusers_keep_what_django_q2_offers(admin_client: Client) -> None:
    row = make(Failure)
    response = admin_client.post(url(Failure, "changelist"), {"action": "resubmit_task", "_selected_action": row.pk})
    assert not list(get_messages(response.wsgi_request))
    assert OrmQ.objects.get().func() == "math.sqrt"
    assert admin_client.get(url(Schedule, "add")).status_code == 200


@pytest.mark.parametrize("name", [row.name for row in schedules.rows()])
def test_nobody_changes_or_deletes_a_row_that_racepoll_runs_by(admin_client: Client, name: str) -> None:
    row = Schedule.objects.get(name=name)
    page = admin_client.get(url(Schedule, "change", row.pk))
    assert page.status_code == 200 and b'name="_save"' not in page.content
    fields = {"name": name, "func": "math.sqrt", "schedule_type": "O", "repeats": 0}
    assert admin_client.post(url(Schedule, "change", row.pk), fields).status_code == 403
    assert admin_client.post(url(Schedule, "delete", row.pk), {"post": "yes"}).status_code == 403
    chosen = [row.pk, make(Schedule).pk]
    data = {"action": "delete_selected", "_selected_action": chosen, "post": "yes"}
    assert admin_client.post(url(Schedule, "changelist"), data).status_code == 403
    kept = Schedule.objects.get(pk=row.pk)
    assert (kept.func, kept.cron, kept.repeats) == (row.func, row.cron, -1)


def test_superusers_change_and_delete_schedules_of_their_own(admin_client: Client) -> None:
    row = make(Schedule)
    fields = {"name": "mine", "func": "math.floor", "schedule_type": "O", "repeats": -1, "intended_date_kwarg": ""}
    assert admin_client.post(url(Schedule, "change", row.pk), fields).status_code == 302
    row.refresh_from_db()
    assert vars(row)["func"] == "math.floor"
    data = {"action": "delete_selected", "_selected_action": row.pk, "post": "yes"}
    admin_client.post(url(Schedule, "changelist"), data)
    assert not Schedule.objects.filter(pk=row.pk).exists()


@pytest.mark.parametrize("page", ["add", "change"])
def test_no_schedule_takes_the_name_of_one_that_racepoll_runs_by(admin_client: Client, page: str) -> None:
    args = [make(Schedule).pk] if page == "change" else []
    fields = {"name": "master tick", "func": "math.sqrt", "schedule_type": "O", "repeats": -1}
    response = admin_client.post(url(Schedule, page, *args), fields)
    assert "racepoll has a schedule of its own with this name." in response.content.decode()
    assert Schedule.objects.filter(name="master tick").count() == 1


def test_nobody_takes_a_task_out_of_the_queue(admin_client: Client) -> None:
    row = make(OrmQ)
    assert admin_client.post(url(OrmQ, "change", row.pk), {"key": "elsewhere"}).status_code == 403
    assert admin_client.post(url(OrmQ, "delete", row.pk), {"post": "yes"}).status_code == 403
    admin_client.post(url(OrmQ, "changelist"), {"action": "delete_selected", "_selected_action": row.pk, "post": "yes"})
    assert OrmQ.objects.count() == 1


@pytest.mark.parametrize("first", ["polling", "django_q"])
def test_the_pages_are_ours_in_whichever_order_the_apps_are_loaded(first: str, tmp_path: Path) -> None:
    settings = f"""
from tests.settings import *
INSTALLED_APPS = sorted(INSTALLED_APPS, key=lambda app: app != {first!r})
"""
    (tmp_path / "ordered.py").write_text(settings)
    script = """
import django
django.setup()
from django.contrib import admin
from django_q.models import Failure, OrmQ, Schedule, Success
from polling.admin.task_queue import SuperusersChange
for model in (Failure, OrmQ, Schedule, Success):
    assert isinstance(admin.site.get_model_admin(model), SuperusersChange), model
"""
    path = os.pathsep.join([str(tmp_path), str(ROOT), os.environ.get("PYTHONPATH", "")])
    environ = {**os.environ, "DJANGO_SETTINGS_MODULE": "ordered", "PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environ, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
