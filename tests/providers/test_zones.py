"""Time zones of tracks."""

from zoneinfo import ZoneInfo

import pytest

from polling.providers.zones import COUNTRY_ZONES, STATE_ZONES, zone


@pytest.mark.parametrize("name", sorted({*COUNTRY_ZONES.values(), *STATE_ZONES.values()}))
def test_every_zone_of_the_table_exists(name: str) -> None:
    assert ZoneInfo(name).key == name


@pytest.mark.parametrize(
    ("country", "state", "expected"),
    [
        ("NZ", "NZ", "Pacific/Auckland"),
        ("nz", "", "Pacific/Auckland"),
        ("AUS", "NSW", "Australia/Sydney"),
        ("AUS", "VIC", "Australia/Melbourne"),
        ("AUS", "QLD", "Australia/Brisbane"),
        ("AUS", "SA", "Australia/Adelaide"),
        ("AUS", "WA", "Australia/Perth"),
        ("AUS", "TAS", "Australia/Hobart"),
        ("AUS", "NT", "Australia/Darwin"),
        ("AUS", "ACT", "Australia/Sydney"),
        ("SAF", "ZAF", "Africa/Johannesburg"),
        ("UK", "UK", "Europe/London"),
        ("USA", "KY", "America/New_York"),
        ("USA", "CA", "America/Los_Angeles"),
        ("CA", "ON", "America/Toronto"),
        ("AUS", "", "UTC"),
        ("USA", "??", "UTC"),
        ("ATL", "ATL", "UTC"),
    ],
)
def test_a_track_has_the_zone_of_its_state_or_country(country: str, state: str, expected: str) -> None:
    assert zone(country, state) == expected


LISTED = "ARG CHI DEU FR HK IND IRE JPN KOR NOR NZ PER SAF SGP SWE UK URY"  # beside AUS, CA and USA with states


def test_every_country_that_the_provider_lists_has_a_zone() -> None:
    assert [country for country in LISTED.split() if zone(country, country) == "UTC"] == []
