"""What differs between the versions of Appwrite."""

import pytest

from polling.appwrite.api import capabilities
from polling.appwrite.api.capabilities import Version


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("1.9.6", (1, 9, 6)),
        ("1.10", (1, 10)),
        ("2.0.1", (2, 0, 1)),
        ("1", None),
        ("", None),
        ("latest", None),
        ("1.9.6-rc1", None),
    ],
)
def test_a_version_is_numbers_with_dots(text: str, version: Version | None) -> None:
    assert capabilities.parse_version(text) == version
    assert version is None or capabilities.version_text(version) == text


@pytest.mark.parametrize(
    ("version", "expected"), [((1, 8, 0), True), ((1, 8, 9), True), ((1, 9, 0), False), ((1, 10), False), ((2,), False)]
)
def test_writes_are_read_back_before_1_9(version: Version, expected: bool) -> None:
    assert capabilities.must_read_back(version) is expected


def test_sequences_are_text_in_a_row_and_in_a_list_of_rows() -> None:
    body = {"$sequence": 3, "rows": [{"$sequence": 1}, {"$sequence": "2"}, {}, "no row"]}
    expected = {"$sequence": "3", "rows": [{"$sequence": "1"}, {"$sequence": "2"}, {}, "no row"]}
    assert capabilities.with_text_sequences(body) == expected
    assert capabilities.with_text_sequences({"rows": None}) == {"rows": None}


def test_a_webhook_may_be_signed_with_its_url_as_registered_or_unescaped() -> None:
    assert capabilities.signed_urls("https://x/a%20b") == ("https://x/a%20b", "https://x/a b")
