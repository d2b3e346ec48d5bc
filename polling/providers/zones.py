"""In which IANA time zone a track lies, by the country and state codes of racing data."""

_BY_COUNTRY = {
    "Pacific/Auckland": "NZ NZL",
    "Europe/London": "GB GBR UK ENG SCO WAL",
    "Europe/Dublin": "IRE IRL IE",
    "Europe/Paris": "FR FRA",
    "Europe/Berlin": "DEU GER DE",
    "Europe/Stockholm": "SWE SE",
    "Europe/Oslo": "NOR NO",
    "Europe/Copenhagen": "DEN DNK DK",
    "Europe/Helsinki": "FIN FI",
    "Europe/Brussels": "BEL BE",
    "Europe/Amsterdam": "NED NLD NL",
    "Europe/Rome": "ITA ITY IT",
    "Europe/Madrid": "ESP SPA ES",
    "Europe/Zurich": "SUI CHE SWI",
    "Europe/Istanbul": "TUR TR",
    "Asia/Hong_Kong": "HK HKG",
    "Asia/Macau": "MAC MO",
    "Asia/Singapore": "SGP SIN SG",
    "Asia/Kuala_Lumpur": "MYS MAL",
    "Asia/Tokyo": "JPN JP",
    "Asia/Seoul": "KOR KR",
    "Asia/Kolkata": "IND",
    "Asia/Dubai": "UAE ARE",
    "Asia/Riyadh": "KSA SAU",
    "Asia/Qatar": "QAT",
    "Asia/Bahrain": "BHR BAH",
    "Africa/Johannesburg": "SAF ZAF RSA",
    "Indian/Mauritius": "MUS MRI",
    "America/Argentina/Buenos_Aires": "ARG",
    "America/Santiago": "CHI CHL",
    "America/Sao_Paulo": "BRA BRZ",
    "America/Montevideo": "URY URU",
    "America/Lima": "PER",
}
_BY_STATE = {
    "AUS AU": {
        "Australia/Sydney": "NSW ACT",
        "Australia/Melbourne": "VIC",
        "Australia/Brisbane": "QLD",
        "Australia/Adelaide": "SA",
        "Australia/Perth": "WA",
        "Australia/Hobart": "TAS",
        "Australia/Darwin": "NT",
    },
    "USA US": {
        "America/New_York": "CT DC DE FL GA IN KY MA MD ME MI NC NH NJ NY OH PA RI SC VA VT WV",
        "America/Chicago": "AL AR IA IL KS LA MN MO MS ND NE OK SD TN TX WI",
        "America/Denver": "CO ID MT NM UT WY",
        "America/Phoenix": "AZ",
        "America/Los_Angeles": "CA NV OR WA",
    },
    "CAN CA": {
        "America/Toronto": "ON QC",
        "America/Winnipeg": "MB",
        "America/Regina": "SK",
        "America/Edmonton": "AB",
        "America/Vancouver": "BC",
        "America/Halifax": "NB NS PE",
    },
}
COUNTRY_ZONES = {country: zone for zone, countries in _BY_COUNTRY.items() for country in countries.split()}
STATE_ZONES = {
    (country, state): zone
    for countries, zones in _BY_STATE.items()
    for country in countries.split()
    for zone, states in zones.items()
    for state in states.split()
}

UNKNOWN_ZONE = "UTC"


def zone(country: str, state: str) -> str:
    """The zone's name; UTC for a country not listed, and for a state that might lie in any of several."""
    country, state = country.upper(), state.upper()
    return STATE_ZONES.get((country, state)) or COUNTRY_ZONES.get(country, UNKNOWN_ZONE)
