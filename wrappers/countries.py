"""Which country an address is in, by the GeoIP file of the tor in use (`GETINFO ip-to-country`): offline, and the same
answer that tor itself goes by. 2,500 relays take 40 ms (docs/notes/0024)."""

from collections.abc import Iterable

from ..orchestrator.criteria import UNKNOWN_COUNTRY
from .tor import ControlChannel, ControlError

KEY = "ip-to-country/"
AT_ONCE = 500  # addresses in one command
HINT = (
    "Debian and Ubuntu: `apt-get install tor-geoipdb`; exitpin's own tor reads it when it starts anew, ten minutes"
    " after its last use. Another tor: GeoIPFile in its torrc. The relays of a lab are in no country."
)


async def countries_of(channel: ControlChannel, addresses: Iterable[str]) -> dict[str, str]:
    """The country (two letters, lower case) of each address; those that it does not know are left out.

    Raises ControlError when this tor knows none: nobody could be chosen by what nobody knows.
    """
    asked = list(dict.fromkeys(addresses))
    if (await channel.ask(f"GETINFO {KEY}ipv4-available"))[0] != f"{KEY}ipv4-available=1":
        raise ControlError("this tor has no GeoIP file, and knows no country.", HINT)
    found: dict[str, str] = {}
    for at in range(0, len(asked), AT_ONCE):
        keys = " ".join(KEY + address for address in asked[at : at + AT_ONCE])
        for line in (await channel.ask(f"GETINFO {keys}"))[:-1]:
            address, _, country = line.removeprefix(KEY).partition("=")
            if country.lower() != UNKNOWN_COUNTRY:
                found[address] = country.lower()
    if asked and not found:
        raise ControlError("the GeoIP file of this tor has no country of any relay.", HINT)
    return found
