"""Invented tracks, horses and people."""

from typing import NamedTuple


class Track(NamedTuple):
    """`code` is T, H or G; a track off the tote shows no tote fields, as small overseas meetings do."""

    name: str
    code: str
    country: str
    state: str
    distances: tuple[int, ...]
    on_tote: bool = True


TRACKS = (
    Track("Karewa Downs", "T", "NZ", "NZ", (1200, 1400, 1600, 2100)),
    Track("Gumnut Creek", "G", "AUS", "WA", (302, 405, 490)),
    Track("Port Ashby", "H", "AUS", "QLD", (1660, 2138)),
    Track("Wirrabee Park", "T", "AUS", "NSW", (1000, 1200, 1400, 1800)),
    Track("Larkhampton", "T", "UK", "UK", (1006, 1207, 1609, 2414), on_tote=False),
    Track("Ruru Lane", "G", "NZ", "NZ", (295, 375, 457)),
    Track("Mount Halloran", "T", "AUS", "VIC", (1100, 1300, 1600, 2040)),
    Track("Tui Flat", "H", "NZ", "NZ", (1980, 2200, 2600)),
    Track("Sable Ridge", "T", "USA", "KY", (1006, 1307, 1710)),
)
# Whole days have more tracks than these nine, named by pairs of words; both counts are prime, so that 551 differ.
PLACES = (
    *("Alder", "Bellbird", "Cobden", "Dunlea", "Eastmere", "Fernhill", "Glenroy", "Hawea", "Ivory", "Jindara"),
    *("Kowhai", "Linden", "Marlow", "Nirran", "Oakura", "Patea", "Quoll", "Rimu", "Saltbush", "Totara"),
    *("Ulverton", "Valley", "Wattle", "Yarran", "Ashcombe", "Brindle", "Cardrona", "Dovedale", "Ellesmere"),
)
GROUNDS = (
    *("Park", "Downs", "Creek", "Flat", "Lane", "Heath", "Meadows", "Bay", "Ridge", "Vale", "Lodge", "Green"),
    *("Point", "Bridge", "Gardens", "Plains", "Hill", "Common", "Straight"),
)
CODES = "TGHTG"  # two in five gallop, as recorded
DISTANCES = {"T": (1000, 1200, 1400, 1600, 2100), "H": (1660, 1980, 2138), "G": (302, 375, 457, 520)}
CATEGORIES = {"T": "Thoroughbred Horse Racing", "H": "Harness Horse Racing", "G": "Greyhound Racing"}
CONDITIONS = ("Good", "Good4", "Soft5", "Soft6", "Heavy8", "Synthetic", "Fast")
WEATHER = ("FINE", "OCAST", "SHWRY")

SPONSORS = ("Bracken & Sons", "Harbour Feeds", "Old Mill Cider", "Pinecrest Homes", "Redgate Tyres", "Stonefruit")
CLASSES = ("Maiden", "Handicap", "Plate", "Sprint", "Cup", "Novice", "Stakes")
PROTESTS = ("Interference in the straight", "Weighed in light", "Crossed without clearance")
# Both counts are prime, so that stepping through the pairs repeats no word within a race.
FIRST_WORDS = (
    *("Amber", "Bold", "Copper", "Dusty", "Electric", "Fancy", "Gentle", "Hidden", "Iron", "Jolly", "Kindly"),
    *("Lucky", "Midnight", "Northern", "Olive", "Paper", "Quiet", "Rapid", "Silver", "Tidal", "Velvet", "Wild"),
    "Zesty",
)
LAST_WORDS = (
    *("Anchor", "Biscuit", "Comet", "Drummer", "Ember", "Falcon", "Gazette", "Harvest", "Island", "Jester"),
    *("Kettle", "Lantern", "Meadow", "Notion", "Orchard", "Parade", "Quarry", "Ribbon", "Sonnet"),
)
GIVEN_NAMES = ("Aria", "Ben", "Cleo", "Dane", "Esme", "Finn", "Greta", "Hugo", "Isla", "Jonas", "Kiri", "Leif")
FAMILY_NAMES = ("Abbotsway", "Brightwell", "Corrigan", "Dunmarsh", "Eastlake", "Fairholm", "Gillane", "Hartnoll")


def track(index: int) -> Track:
    """A track of a whole day."""
    code, home = CODES[index % len(CODES)], TRACKS[index % len(TRACKS)]
    name = f"{PLACES[index % len(PLACES)]} {GROUNDS[index % len(GROUNDS)]}"
    return Track(name, code, home.country, home.state, DISTANCES[code], home.on_tote)
