"""Where nothing may be sent: every address that is not one host on the public internet."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.webhooks.addresses import Target, UrlRefusedError, is_public, parse_url

#: The registries' special purposes, written down apart from what is tested.
SPECIAL = (
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.31.196.0/24",
    "192.52.193.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "192.175.48.0/24",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "255.255.255.255/32",
    "::/128",
    "::1/128",
    "::/96",
    "::ffff:0:0/96",
    "::ffff:0:0:0/96",
    "64:ff9b::/96",
    "64:ff9b:1::/48",
    "100::/64",
    "100:0:0:1::/64",
    "2001::/32",
    "2001:2::/48",
    "2001:10::/28",
    "2001:20::/28",
    "2001:db8::/32",
    "2002::/16",
    "2620:4f:8000::/48",
    "3fff::/20",
    "5f00::/16",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
)


@st.composite
def special_addresses(draw: st.DrawFn) -> str:
    network = ip_network(draw(st.sampled_from(SPECIAL)))
    first, last = int(network[0]), int(network[-1])
    number = draw(st.sampled_from([first, last]) | st.integers(first, last))
    return str((IPv4Address if network.version == 4 else IPv6Address)(number))


@given(special_addresses())
def test_no_address_of_a_special_range_is_public(address: str) -> None:
    assert not is_public(address)


@given(st.integers(0, 2**32 - 1))
def test_no_ipv4_address_is_reached_inside_an_ipv6_address(number: int) -> None:
    plain = IPv4Address(number)
    for wrapped in (
        f"::ffff:{plain}",
        f"::{plain}",
        f"::ffff:0:{plain}",
        f"64:ff9b::{plain}",
        str(IPv6Address((0x2002 << 112) | (number << 80) | 1)),
        str(IPv6Address((0x20010000 << 96) | (number ^ 0xFFFFFFFF))),
    ):
        assert not is_public(wrapped), wrapped


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "8.8.8.8", "223.5.5.5", "101.6.6.6", "2400:3200::1", "2606:4700::1111"]
)
def test_hosts_of_the_internet_are_public(address: str) -> None:
    assert is_public(address)


def test_the_library_alone_would_let_some_through() -> None:
    """The control arm: what `ipaddress` calls global is not what may be connected to."""
    trusted = {one for one in SPECIAL if ip_address(one.split("/")[0]).is_global}

    assert {"224.0.0.0/4", "64:ff9b::/96", "fec0::/10"} <= trusted


@pytest.mark.parametrize(
    "address", ["", "localhost", "127.1", "0x7f.1", "1.1.1.1%eth0", "fe80::1%1"]
)
def test_what_is_no_address_is_not_public(address: str) -> None:
    assert not is_public(address)


REFUSED = [
    "http://hooks.example.com/",
    "https://hooks.example.com:8443/",
    "https://user:pass@hooks.example.com/",
    "https://user@hooks.example.com/",
    "https://hooks.example.com@127.0.0.1/",
    "https://hooks.example.com/#part",
    "https://hooks.example.com\\@127.0.0.1/",
    "https://hooks.example.com /",
    "https://hooks.example.com/\r\nX-Evil: 1",
    "https://hooks.example.com/a\tb",
    "https://hooks.example.com/日",
    "https://127.0.0.1/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0177.0.0.1/",
    "https://127.1/",
    "https://hooks.127.0.0.1/",
    "https://1.1.1.1/",
    "https://[::1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://localhost/",
    "https://metadata.google.internal/computeMetadata/v1/",
    "https://printer.LOCAL/",
    "https://router.home.arpa/",
    "https://wiki.corp/",
    "https://intranet/",
    "https://hooks.example.com./",
    "https://-a.example.com/",
    "https://hooks..example.com/",
    "https://ｈooks.example.com/",
    "https:hooks.example.com/",
    "//hooks.example.com/",
    "file:///etc/passwd",
    "gopher://hooks.example.com/",
    "http://127.0.0.1:0/",
    "http://127.0.0.1:65536/",
    "http://127.0.0.1/",
    "http://127.0.0.2:8000/",
    "http://localhost:8000/",
    "http://127.0.0.1:8000@elsewhere.example/",
    "https://" + "a." * 130 + "com/",
    "https://hooks.example.com/" + "a" * 1_000,
    "",
]


@pytest.mark.parametrize("url", REFUSED)
@pytest.mark.parametrize("allow_loopback", [False, True])
def test_other_urls_are_refused(url: str, *, allow_loopback: bool) -> None:
    with pytest.raises(UrlRefusedError):
        parse_url(url, allow_loopback=allow_loopback)


def test_names_that_only_look_like_inner_ones_are_taken() -> None:
    """Control: the last label tells, and no part of another."""
    for host in ("internal.example.com", "local.example.com", "a.locals", "corp.example"):
        assert parse_url(f"https://{host}/", allow_loopback=False).host == host


def test_this_machine_is_allowed_only_where_that_is_set() -> None:
    url = "http://127.0.0.1:8123/hook?a=1"

    assert parse_url(url, allow_loopback=True) == Target("http", "127.0.0.1", 8123, "/hook?a=1")
    with pytest.raises(UrlRefusedError):
        parse_url(url, allow_loopback=False)


@given(st.text("aZ09.-_:/?#@%[]\\ x", max_size=30).map("https://{}".format))
def test_whatever_is_accepted_is_a_name_on_port_443(url: str) -> None:
    try:
        target = parse_url(url, allow_loopback=False)
    except UrlRefusedError:
        return

    assert (target.scheme, target.port) == ("https", 443)
    assert target.path.startswith("/")
    assert target.host.split(".")[-1][0].isalpha()
    assert not set(target.host) - set("abcdefghijklmnopqrstuvwxyz0123456789-.")


@pytest.mark.parametrize(
    ("host", "is_listed"),
    [
        ("example.com", True),
        ("Hooks.Example.com", True),
        ("notexample.com", False),
        ("example.com.evil.example", False),
        ("example.org", False),
    ],
)
def test_where_names_are_listed_no_other_is_sent_to(host: str, *, is_listed: bool) -> None:
    url = f"https://{host}/hook"
    listed = ["Example.com", "other.test"]
    if is_listed:
        assert parse_url(url, allow_loopback=False, hosts=listed).host == host.lower()
    else:
        with pytest.raises(UrlRefusedError):
            parse_url(url, allow_loopback=False, hosts=listed)
    # Control: where none is, any is.
    assert parse_url(url, allow_loopback=False).host == host.lower()
