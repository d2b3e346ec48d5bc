"""Errors as records keep them: storable in any database, and no longer than a column."""

import pytest

from polling.errors import Malformed, Unavailable, error_text
from tests.factories import make_log, make_race


def test_an_error_is_recorded_by_its_class_and_message_in_500_characters() -> None:
    assert error_text(Unavailable("no answer", 503)) == "Unavailable: no answer"
    assert error_text(ValueError("x" * 600)) == "ValueError: " + "x" * 488


@pytest.mark.django_db
def test_a_sample_holds_nothing_that_a_database_refuses() -> None:
    error = Malformed("caf\ud800\0", sample="\0<html>\udfff" + "x" * 3000)
    log = make_log(make_race(), sample=error.sample, message=str(error))
    log.refresh_from_db()
    assert len(log.sample.encode()) <= 2000
    assert "\0" not in log.sample + log.message
