"""The race that a provider lists in place of one that it no longer knows."""

from races.models import Race


def twin_of(race: Race) -> Race | None:
    """The newest other race of the same provider with the same number, at the same track on the same day.

    None where there is none, or where track, day or number are not known. Reads `race.meeting`.
    """
    if race.meeting is None or race.number is None or race.meeting.racing_day is None:
        return None
    others = Race.objects.filter(provider=race.provider, number=race.number).exclude(pk=race.pk)
    same = others.filter(
        meeting__name=race.meeting.name, meeting__code=race.meeting.code, meeting__racing_day=race.meeting.racing_day
    )
    return same.select_related("meeting").order_by("-pk").first()
