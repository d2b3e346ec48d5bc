"""Names of environment variables that are mistakes: ours by their prefix, but read by nothing."""

import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches

# In a process's environment others have their say too: there only these are surely meant for us, and of the other
# prefixes of known names what is like one of these.
OWN_PREFIXES = ("RACEPOLL_", "RACE_", "POLL_", "TAB_AFFILIATES_", "APPWRITE_")
# Prefixes of known names that many programs use.
COMMON_PREFIXES = ("DATABASE_", "REDIS_", "LOG_")
# Django's own; all of them but the first may stand in the file, too.
DJANGO = re.compile(r"DJANGO_(SETTINGS_MODULE|SUPERUSER_\w+|COLORS|ALLOW_ASYNC_UNSAFE|TEST_PROCESSES|AUTORELOAD_ENV)")
# What Kubernetes and Docker say of a service that is called like one of our prefixes, and Appwrite to its functions.
INJECTED = re.compile(r"\w+_SERVICE_(HOST|PORT)(_\w+)?|\w+_PORT(_\d+_(TCP|UDP)(_\w+)?)?|APPWRITE_(FUNCTION|SITE)_\w+")
LIKENESS = 0.75

Problems = Iterator[tuple[str, str]]


def unknown_in_file(found: Iterable[str], known: set[str]) -> Problems:
    """The names of an environment file that nothing reads: with a prefix of ours, or like a name that is known."""
    for name in found:
        if not _is_known(name, known) and not (DJANGO.fullmatch(name) and name != "DJANGO_SETTINGS_MODULE"):
            nearest = _nearest_name(name, known)
            if nearest or name.upper().startswith(_own_prefixes(known)):
                yield name, _problem_with(name, nearest)


def unknown_in_process(found: Iterable[str], known: set[str]) -> Problems:
    """The names of a process's environment that were meant for us and that nothing reads."""
    for name in found:
        if _is_known(name, known) or DJANGO.fullmatch(name) or INJECTED.fullmatch(name):
            continue
        nearest = _nearest_name(name, known)
        if name.startswith(OWN_PREFIXES) or (nearest and name.startswith(_own_prefixes(known))):
            yield name, _problem_with(name, nearest)


def _own_prefixes(known: set[str]) -> tuple[str, ...]:
    """What known names begin with, up to the first underscore, without what others use too."""
    found = {f"{name.split('_')[0]}_" for name in known if "_" in name}
    return tuple(found - set(COMMON_PREFIXES))


def _is_known(name: str, known: set[str]) -> bool:
    return name in known or name.removesuffix("_FILE") in known


def _nearest_name(name: str, known: set[str]) -> str:
    return next(iter(get_close_matches(name.upper(), sorted(known), n=1, cutoff=LIKENESS)), "")


def _problem_with(name: str, nearest: str) -> str:
    return f"{name} is no variable of racepoll" + (f"; do you mean {nearest}?" if nearest else "; see .env.example")
