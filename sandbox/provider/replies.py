"""What the server sends back."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sandbox.provider.formats import Json


@dataclass(frozen=True)
class Reply:
    """A text body is a page of HTML, unless the headers say otherwise."""

    status: int
    body: Json | str
    headers: Mapping[str, str] = field(default_factory=dict)


class Refused(Exception):
    """The request gets this status, with the message as `header.error`."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
