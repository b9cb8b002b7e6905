"""SOCKS as Tor wants it."""

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exitpin.shim import bindings

ports = st.integers(1, 65535)
labels = st.text(string.ascii_letters + string.digits + "-_", min_size=1, max_size=63)
names = st.lists(labels, min_size=1, max_size=4).map(".".join).filter(lambda name: len(name) <= 253)


@given(st.binary(min_size=1, max_size=255), st.binary(min_size=1, max_size=255))
def test_socks_user_and_password_stand_behind_their_lengths(user, password):
    assert bindings.socks_auth(user, password) == b"\1" + bytes([len(user)]) + user + bytes([len(password)]) + password


@pytest.mark.parametrize(("user", "password"), [(b"", b"x"), (b"x", b""), (b"x" * 256, b"x"), (b"x", b"x" * 256)])
def test_socks_refuses_what_has_no_length(user, password):
    with pytest.raises(ValueError):
        bindings.socks_auth(user, password)


@given(st.ip_addresses(), ports)
def test_socks_sends_literals_as_addresses(address, port):
    atyp = b"\1" if address.version == 4 else b"\4"
    expected = b"\5\1\0" + atyp + address.packed + port.to_bytes(2, "big")
    assert bindings.socks_request(bindings.SOCKS_CONNECT, address, port) == expected
    assert bindings.socks_request(bindings.SOCKS_CONNECT, str(address), port) == expected


@given(names.filter(lambda name: not re.fullmatch(r"[\d.]+", name)), ports)
def test_socks_sends_names_as_names(name, port):
    expected = b"\5\xf0\0\3" + bytes([len(name)]) + name.encode() + port.to_bytes(2, "big")
    assert bindings.socks_request(bindings.SOCKS_RESOLVE, name, port) == expected


def test_socks_needs_a_host():
    for host in ("", "x" * 256):
        with pytest.raises(ValueError):
            bindings.socks_request(1, host, 80)


@given(st.sampled_from([b"\1" + bytes(4), b"\4" + bytes(16), b"\3\5hello", b"\3\0"]), st.integers(0, 255))
def test_socks_replies_tell_their_size_in_five_bytes(address, code):
    reply = b"\5" + bytes([code]) + b"\0" + address + b"\0\x50"
    assert bindings.socks_reply_size(reply[:5]) == len(reply)
    assert bindings.socks_reply_size(reply[:3]) is None
    assert bindings.socks_reply_size(b"") is None


@pytest.mark.parametrize("reply", [b"\4\0\0\1", b"\5\0\1\1", b"\5\0\0\2", b"HTTP/1.1"])
def test_what_is_not_a_socks_reply_is_refused(reply):
    with pytest.raises(ValueError):
        bindings.socks_reply_size(reply)
