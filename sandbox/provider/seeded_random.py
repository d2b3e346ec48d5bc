"""Repeatable chance: the same key always draws the same, in every process and on every Python."""

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import TypeVar
from uuid import UUID, uuid5

T = TypeVar("T")

NAMESPACE = UUID("6a1f4c9e-52a7-5d0b-9a63-0f2d5c1e7b84")


def chance(*key: object) -> float:
    """A number in [0, 1)."""
    digest = blake2b("/".join(map(str, key)).encode(), digest_size=8).digest()
    return (int.from_bytes(digest) >> 11) / 2**53


def between(low: float, high: float, *key: object) -> float:
    return low + (high - low) * chance(*key)


def pick(options: Sequence[T], *key: object) -> T:
    return options[int(len(options) * chance(*key))]


def shuffled(numbers: Iterable[int], *key: object) -> list[int]:
    return sorted(numbers, key=lambda number: chance(*key, number))


def uid(*key: object) -> str:
    return str(uuid5(NAMESPACE, "/".join(map(str, key))))
