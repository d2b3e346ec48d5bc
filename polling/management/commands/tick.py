"""`manage.py tick`: one master tick by hand."""

from typing import Any

from django.core.management import BaseCommand, CommandError

from polling import clock, tick
from polling.tick import NoTick


class Command(BaseCommand):
    help = "Runs one master tick: claims what is due and queues it for a running qcluster."

    def handle(self, *args: Any, **options: Any) -> None:
        done = tick.run(now=clock.now())
        if isinstance(done, NoTick):
            self.stdout.write(done)
            return
        if done.error:
            raise CommandError(f"the tick failed: {done.error}")
        self.stdout.write(f"{done}: {done.due} due, {done.claimed} claimed")
