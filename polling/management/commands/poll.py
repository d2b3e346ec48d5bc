"""`manage.py poll RACE…`: polls races at once, in this process."""

import json
from typing import Any

from django.core.management import BaseCommand, CommandError, CommandParser
from django.core.serializers.json import DjangoJSONEncoder

from polling import clock, dispatch, pollers
from polling.management.arguments import find_races
from polling.models import PollLog, PollState, Trigger
from races.models import Race
from races.serializer import serialize_race


class Command(BaseCommand):
    help = "Polls races now, whatever their plan says, and prints the results. Exit code 1 if one was not answered."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("races", nargs="+", metavar="RACE", help="our id or the provider's")
        parser.add_argument("--json", action="store_true", help="print the updated races as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        races, now = find_races(options["races"]), clock.now()
        won, joined = dispatch.claim_now(races, trigger=Trigger.FORCED, requested_by="manage.py", now=now)
        pollers.run([log.pk for log in won], now=now)
        logs = PollLog.objects.filter(pk__in=[log.pk for log in won + joined]).select_related("race__meeting")
        if options["json"]:
            fresh = Race.objects.filter(pk__in=[race.pk for race in races]).select_related("meeting")
            documents = [serialize_race(race) for race in fresh.prefetch_related("runners")]
            self.stdout.write(json.dumps(documents, cls=DjangoJSONEncoder, indent=1))
        else:
            for log in logs:
                self.stdout.write(f"{log.race.name_at(now)}: {_result_of(log)}")
        unanswered = len(races) - sum(log.state == PollState.OK.value for log in logs)
        if unanswered:
            raise CommandError(
                "; ".join(f"race {log.race_id}: {_result_of(log)}" for log in logs) or "polling is paused"
            )


def _result_of(log: PollLog) -> str:
    if log.state == PollState.WAITING.value:
        return "a poll of it is running; one of its own follows"
    if log.state in (PollState.CLAIMED.value, PollState.RUNNING.value):
        return "a poll of it has been asked for already"
    if log.state == PollState.OK.value:
        return "changed" if log.changed else "unchanged"
    return f"{log.state} {log.reason or log.error_class}: {log.message}".rstrip(": ")
