"""Where we may post to: what a URL must look like, and which addresses are public.

Whoever may add a webhook must not be able to make this machine speak to what only this machine reaches.  So a URL is
plain enough that every program reads the same host in it, and an address that is not public is refused unless the
settings allow its network; the address is asked about again when it is connected to.
"""

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from engine.errors import Invalid, InvalidParam

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

URL_LONGEST: Final = 2048  # characters
PORT_MOST: Final = 65535

_URL: Final = re.compile(
    r"https?://"
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)"
    r"(?::(?P<port>[0-9]{1,5}))?"
    r"(?:[/?][!-~]*)?"
)
# What a C library takes for an IPv4 address, and then some: 127.1, 0x7f.1, 017700000001.
_NUMERIC: Final = re.compile(r"(?:.*\.)?(?:[0-9]+|0[xX][0-9A-Fa-f]*)")

# RFC 4291 §2.4: all of the public IPv6 addresses that were ever given out.
_UNICAST: Final = IPv6Network("2000::/3")
_TRANSLATED: Final = IPv6Network("64:ff9b::/96")  # RFC 6052: an IPv4 address in the last 32 bits


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """The networks in `texts`, as 10.0.0.0/8.  Raises ValueError for one that is none."""
    return tuple(ip_network(text) for text in texts)


def is_allowed(address: Address, allowed: Iterable[Network] = ()) -> bool:
    """Whether we may connect to `address`: it is public, or in one of the networks that are allowed.

    An IPv6 address that stands for an IPv4 address is judged as that.
    """
    if isinstance(address, IPv6Address):
        inner = _inside(address)
        if inner is not None:
            return is_allowed(inner, allowed)
        public = address in _UNICAST and address.is_global
    else:
        public = address.is_global and not (address.is_multicast or address.is_reserved)
    return public or any(address in network for network in allowed)


def _inside(address: IPv6Address) -> IPv4Address | None:
    if address in _TRANSLATED:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)


def literal_of(url: str) -> Address | None:
    """The address that stands in a URL in place of a name, or None.  Raises Invalid where it is no URL to post to."""
    found = _URL.fullmatch(url)
    host = "" if found is None else found["host"]
    try:
        if host.startswith("["):
            return IPv6Address(host[1:-1])
        if _NUMERIC.fullmatch(host):
            return IPv4Address(host)
    except ValueError:
        raise Invalid(InvalidParam("url", f"{host} is no address")) from None
    return None


def checked_url(url: str, allowed: Iterable[Network] = ()) -> str:
    """`url`, if we may post to it as far as can be told without asking for its name.

    http or https, a host, any port, no user, no fragment, ASCII only.  Raises Invalid, of code `private_address` where
    an address in it is not public.
    """
    found = _URL.fullmatch(url)
    if found is None or len(url) > URL_LONGEST or "#" in url or "\\" in url:
        reason = f"is not http:// or https:// and a host, in at most {URL_LONGEST} ASCII characters, without user or #"
        raise Invalid(InvalidParam("url", reason))
    if found["port"] is not None and not 1 <= int(found["port"]) <= PORT_MOST:
        raise Invalid(InvalidParam("url", f"{found['port']} is no port"))
    address = literal_of(url)
    if address is not None and not is_allowed(address, allowed):
        reason = f"{address} is not public: allow its network in webhooks.allow_private"
        raise Invalid(InvalidParam("url", reason), code="private_address")
    return url


def parse(text: str) -> Address:
    """An address as a resolver gives it.  Raises ValueError."""
    return ip_address(text)
