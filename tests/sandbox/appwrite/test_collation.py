"""Which texts the database holds equal, and how it sorts them."""

import pytest

from sandbox.appwrite.collation import fold


@pytest.mark.parametrize(
    ("one", "other"), [("Race", "race"), ("Race ", "race"), ("Ráce", "RACE"), ("Straße", "strase"), ("🏇", "🏁")]
)
def test_texts_are_one_without_case_accents_and_trailing_spaces(one: str, other: str) -> None:
    assert fold(one) == fold(other)


@pytest.mark.parametrize(("one", "other"), [(" Race", "Race"), ("e\u0301", "é"), ("競馬", "東京"), ("a-1", "a1")])
def test_other_differences_keep_texts_apart(one: str, other: str) -> None:
    assert fold(one) != fold(other)


def test_ids_sort_as_the_server_sorts_them() -> None:
    assert sorted(["b10", "B2", "a", "b1", "0a", "A.1", "a-1", "a_1"], key=fold) == [
        *("0a", "a", "a-1", "A.1", "a_1", "b1", "b10", "B2")
    ]
