"""Countries by tor's GeoIP file, of a tor that is played."""

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from exitpin.wrappers.countries import AT_ONCE, countries_of
from exitpin.wrappers.tor import ControlError

from .scripted_tor import Peer, played


def asked(addresses: Sequence[str], known: Mapping[str, str], available: str = "1") -> tuple[dict[str, str], list[int]]:
    """What is found, and how many addresses each question had."""
    found: dict[str, str] = {}
    sizes: list[int] = []

    async def script(peer: Peer) -> None:
        asking = asyncio.create_task(countries_of(peer.channel, addresses))
        while not asking.done():
            told = asyncio.create_task(peer.reads())
            await asyncio.wait({asking, told}, return_when=asyncio.FIRST_COMPLETED)
            if not told.done():
                told.cancel()
                break
            keys = told.result().split()[1:]
            if keys == ["ip-to-country/ipv4-available"]:
                await peer.says(f"250-{keys[0]}={available}", "250 OK")
                continue
            sizes.append(len(keys))
            await peer.says(*(f"250-{key}={known.get(key.partition('/')[2], '??')}" for key in keys), "250 OK")
        found.update(await asking)

    played(script)
    return found, sizes


def test_each_address_is_asked_for_once_and_the_unknown_are_left_out() -> None:
    known = {"192.0.2.1": "de", "192.0.2.2": "US"}
    found, sizes = asked(["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.1"], known)
    assert (found, sizes) == ({"192.0.2.1": "de", "192.0.2.2": "us"}, [3])


def test_thousands_are_asked_for_in_few_questions() -> None:
    addresses = [f"198.51.{n // 256}.{n % 256}" for n in range(2 * AT_ONCE + 1)]
    found, sizes = asked(addresses, dict.fromkeys(addresses, "nl"))
    assert (len(found), sizes) == (len(addresses), [AT_ONCE, AT_ONCE, 1])


@pytest.mark.parametrize(("available", "words"), [("0", "has no GeoIP file"), ("1", "has no country of any relay")])
def test_a_tor_that_knows_no_country_is_told_how_to_get_some(available: str, words: str) -> None:
    with pytest.raises(ControlError, match=words) as caught:
        asked(["192.0.2.1"], {}, available)
    assert "tor-geoipdb" in caught.value.hint
