"""The three-way merge of one race: what Django takes, what it pushes, and what neither may lose. Pure.

Base is what both sides last agreed on, local is Django's, remote is Appwrite's; all in canonical values.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from polling.appwrite.mapping import RACE_FIELDS, Values, is_unreadable
from races.status import RaceStatus


class Owner(StrEnum):
    """Whose value of a field counts where the sides differ."""

    DJANGO = "Django"
    TRAVELS = "Django, but no reason to write"
    STATUS = "Django, but for an end"
    SHARED = "both"
    APPWRITE = "Appwrite"


OWNERS = dict.fromkeys(RACE_FIELDS, Owner.DJANGO) | {
    "last_poll_time": Owner.TRAVELS,
    "last_changed_at": Owner.TRAVELS,
    "sync_version": Owner.TRAVELS,
    "status": Owner.STATUS,
    "staff_note": Owner.SHARED,
    "polling_paused": Owner.SHARED,
    "poll_requested_at": Owner.APPWRITE,
}
# For a race made by hand there is no provider that reports its start.
MANUAL_OWNERS = OWNERS | {"advertised_start": Owner.SHARED}


class Side(StrEnum):
    """Which side's value a conflict was resolved with."""

    LOCAL = "local"
    REMOTE = "remote"


@dataclass(frozen=True, slots=True)
class Clash:
    """A field that Appwrite changed and Django did not simply take; `policy` is the rule that chose."""

    field: str
    base: Any
    local: Any
    remote: Any
    chosen: Side
    policy: str


@dataclass(frozen=True, slots=True)
class MergePlan:
    """What to take into Django, what to write to Appwrite, by field, and which conflicts to log."""

    take: Values
    push: Values
    clashes: tuple[Clash, ...]

    @property
    def undoes(self) -> bool:
        """Whether a field that was changed in Appwrite is to be written back, though it may be no reason to write."""
        return any(clash.chosen is Side.LOCAL and clash.field in RACE_FIELDS for clash in self.clashes)


def merge(
    base: Mapping[str, Any],
    local: Mapping[str, Any],
    remote: Mapping[str, Any],
    owners: Mapping[str, Owner] = OWNERS,
) -> MergePlan:
    """Decides field by field, by its owner, what becomes of each field that Appwrite changed.

    `base` is what both sides last agreed on, `local` Django's values, `remote` Appwrite's; canonical values of all race
    fields. A field that both sides changed to one value is agreed on.
    """
    take: Values = {}
    clashes = []
    for field, owner in owners.items():
        if remote[field] in (base[field], local[field]):
            continue
        chosen, policy = _choose_side(owner, base[field], local[field], remote[field])
        if chosen is Side.REMOTE:
            take[field] = remote[field]
        if policy:
            clashes.append(Clash(field, base[field], local[field], remote[field], chosen, policy))
    return MergePlan(take, outgoing(remote, {**local, **take}), tuple(clashes))


def landed(base: Mapping[str, Any], sent: Iterable[Mapping[str, Any]], remote: Mapping[str, Any]) -> Values:
    """What a write of ours, of those `sent` whose replies are not known, has set in the row, so that it is no edit.

    Each has its `sync_version`. One that did not raise it is recognised by the values alone that the row has.
    """
    writes = [write for write in sent if write["sync_version"] == remote["sync_version"]]
    if not writes:
        return {}
    likest = max(writes, key=lambda write: sum(remote[field] == value for field, value in write.items()))
    is_sure = base["sync_version"] != remote["sync_version"]
    return {field: value for field, value in likest.items() if is_sure or remote[field] == value}


def outgoing(base: Mapping[str, Any], local: Mapping[str, Any]) -> Values:
    """The fields to write so that a row that holds `base` gets Django's values; none if no difference counts."""
    moved = differing(base, local)
    return {} if {OWNERS[field] for field in moved} <= {Owner.TRAVELS} else moved


def differing(base: Mapping[str, Any], local: Mapping[str, Any]) -> Values:
    """Django's values of all fields in which a row that holds `base` differs, whether they are worth a write or not."""
    return {field: local[field] for field in OWNERS if local[field] != base[field]}


def is_plausible_start(value: str | None) -> bool:
    """Whether a race could start then: in the years 2000 to 2099. Appwrite itself takes the years 1000 to 9999."""
    return value is not None and "2000" <= value < "2100"


def _choose_side(owner: Owner, base: Any, local: Any, remote: Any) -> tuple[Side, str]:
    """Whose value of a field that Appwrite changed counts, and by which policy; without one there is no conflict."""
    if is_unreadable(remote):
        return Side.LOCAL, "it cannot be read: undone"
    match owner:
        case Owner.DJANGO | Owner.TRAVELS:
            return Side.LOCAL, "the field is Django's: undone"
        case Owner.STATUS if remote == RaceStatus.FINALIZED.value:
            return Side.REMOTE, "" if local == base else "an end set in Appwrite counts"
        case Owner.STATUS:
            return Side.LOCAL, "only an end comes in from Appwrite: undone"
        case Owner.SHARED:
            return (Side.REMOTE, "") if local == base else (Side.LOCAL, "both moved: Django's is kept")
        case Owner.APPWRITE:  # instants in canonical form compare as text
            is_newer = remote is not None and (local is None or remote > local)
            return (Side.REMOTE, "") if is_newer else (Side.LOCAL, "not newer than the last request: no poll, undone")
