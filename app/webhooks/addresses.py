"""Which addresses a webhook may be sent to: those of the public internet and no others. Pure.

Whoever registers an endpoint chooses where this service connects to, from inside the park's
network. So the text is taken apart once, by a pattern that knows only what we send to, and what the
name resolves to is judged again at every delivery.

Sources: RFC 6761, RFC 6762 appendix G and RFC 8375 (names of inner networks), ICANN's resolution of
July 2024 (.internal); IANA IPv4 and IPv6 Special-Purpose Address Registries; RFC 6890, 6052
(NAT64), 3056 (6to4).
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

#: Longest URL of an endpoint.
URL_LENGTH_MAX = 1_000

#: What the registry gives a special purpose, and what is no single host on the internet.
_SPECIAL_V4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # shared by carriers; some clouds answer for their hosts here
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # a cloud's own service to its hosts, though the address is public
        "169.254.0.0/16",  # link-local, and where clouds keep their hosts' credentials
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # automatic multicast tunnels
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)
#: Where the internet's hosts are. Mapped, translated (NAT64), local and site-local addresses and
#: multicast all lie outside; ``ipaddress`` calls several of those global.
_GLOBAL_V6 = IPv6Network("2000::/3")
_SPECIAL_V6 = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments: Teredo, ORCHID, benchmarks
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: holds any IPv4 address
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
    )
)

_LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
#: A name whose last label begins with a letter, so that it is no number in any spelling.
_NAME = rf"(?:{_LABEL}\.)+[a-z](?:[a-z0-9-]{{0,61}}[a-z0-9])"
_PATH = r"(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*)"
_QUERY = r"(?:\?(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*)"
_PUBLIC = re.compile(
    rf"https://(?P<host>{_NAME})(?::443)?(?P<target>{_PATH}?{_QUERY}?)", re.ASCII | re.IGNORECASE
)
_LOOPBACK = re.compile(
    rf"http://(?P<host>127\.0\.0\.1):(?P<port>[1-9][0-9]{{0,4}})(?P<target>{_PATH}?{_QUERY}?)",
    re.ASCII,
)
_PORT_MAX = 65_535
#: Last labels of names that no host on the internet has.
_INNER = frozenset(
    (
        *("arpa", "corp", "home", "internal", "intranet", "lan", "local", "localdomain"),
        *("localhost", "private"),
    )
)
_NAME_LENGTH_MAX = 253


class UrlRefusedError(Exception):
    """Nothing is sent to such a URL."""


@dataclass(frozen=True, slots=True)
class Target:
    """A URL taken apart: what is connected to, and what is asked for."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def is_loopback(self) -> bool:
        """Whether it is this very machine, which only a demonstration allows."""
        return self.scheme == "http"

    @property
    def host_header(self) -> str:
        """The ``Host`` of a request."""
        return f"{self.host}:{self.port}" if self.is_loopback else self.host


def parse_url(url: str, *, allow_loopback: bool, hosts: Collection[str] = ()) -> Target:
    """Take an endpoint's URL apart.

    ``https://`` and a host's name, no other port than 443, no user, no fragment. With
    ``allow_loopback`` also ``http://127.0.0.1:PORT``, for a first look on one machine. ``hosts``:
    only these names and what is below them; any where there are none.

    Raises:
        UrlRefusedError: it is anything else.

    >>> parse_url("https://Hooks.Example.com/space?relay=1", allow_loopback=False)
    Target(scheme='https', host='hooks.example.com', port=443, path='/space?relay=1')
    """
    if len(url) > URL_LENGTH_MAX:
        raise UrlRefusedError(f"longer than {URL_LENGTH_MAX} characters")
    found = _PUBLIC.fullmatch(url)
    if found is not None and len(found["host"]) <= _NAME_LENGTH_MAX:
        host = found["host"].lower()
        if host.rpartition(".")[2] in _INNER:
            raise UrlRefusedError("a name of an inner network")
        if hosts and not any(f".{host}".endswith(f".{one.lower()}") for one in hosts):
            raise UrlRefusedError("its host is not among those that are sent to here")
        return Target("https", host, 443, _path(found["target"]))
    local = _LOOPBACK.fullmatch(url) if allow_loopback else None
    if local is not None and int(local["port"]) <= _PORT_MAX:
        return Target("http", local["host"], int(local["port"]), _path(local["target"]))
    raise UrlRefusedError("not https:// with a host's name, port 443, no user and no fragment")


def _path(target: str) -> str:
    return target if target.startswith("/") else f"/{target}"


def is_public(address: str) -> bool:
    """Whether an address, as a resolver gave it, is one host on the public internet.

    >>> is_public("1.1.1.1"), is_public("::ffff:1.1.1.1"), is_public("64:ff9b::7f00:1")
    (True, False, False)
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, IPv6Address):
        inside = parsed in _GLOBAL_V6 and parsed.scope_id is None
        return inside and not any(parsed in network for network in _SPECIAL_V6)
    return _is_public_v4(parsed)


def _is_public_v4(address: IPv4Address) -> bool:
    # The library's word too: it learns of new assignments before this list does.
    return address.is_global and not any(address in network for network in _SPECIAL_V4)
