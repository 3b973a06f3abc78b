"""engine/access/addresses.py: plain URLs only, and no way into what is not public."""

from ipaddress import ip_address

import pytest

from engine.access.addresses import checked_url, is_allowed, networks
from engine.errors import Invalid


@pytest.mark.parametrize(
    "text",
    ["8.8.8.8", "1.1.1.1", "203.0.114.1", "2606:4700:4700::1111", "2a00:1450::1", "::ffff:8.8.8.8", "64:ff9b::808:808"],
)
def test_what_is_public_may_be_posted_to(text: str) -> None:
    assert is_allowed(ip_address(text))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("0.0.0.0", id="this host"),  # noqa: S104
        pytest.param("0.1.2.3", id="this network"),
        pytest.param("10.0.0.1", id="private"),
        pytest.param("172.16.0.1", id="private, the second"),
        pytest.param("192.168.1.1", id="private, the third"),
        pytest.param("100.64.0.1", id="behind a carrier's translation"),
        pytest.param("127.0.0.1", id="loopback"),
        pytest.param("127.255.255.254", id="the other end of loopback"),
        pytest.param("169.254.169.254", id="link local"),
        pytest.param("192.0.0.1", id="protocol assignments"),
        pytest.param("192.0.2.1", id="documentation"),
        pytest.param("198.18.0.1", id="benchmarks"),
        pytest.param("224.0.0.1", id="multicast"),
        pytest.param("240.0.0.1", id="reserved"),
        pytest.param("255.255.255.255", id="broadcast"),
        pytest.param("::", id="no address"),
        pytest.param("::1", id="loopback of IPv6"),
        pytest.param("fe80::1", id="link local of IPv6"),
        pytest.param("fe80::1%eth0", id="with its zone"),
        pytest.param("fc00::1", id="unique local"),
        pytest.param("fd12:3456::1", id="unique local, the usual half"),
        pytest.param("fec0::1", id="site local"),
        pytest.param("ff02::1", id="multicast of IPv6"),
        pytest.param("2001:db8::1", id="documentation of IPv6"),
        pytest.param("::ffff:127.0.0.1", id="mapped loopback"),
        pytest.param("::ffff:10.0.0.1", id="mapped private"),
        pytest.param("::127.0.0.1", id="compatible loopback"),
        pytest.param("64:ff9b::7f00:1", id="translated loopback"),
        pytest.param("2002:7f00:1::", id="6to4 of loopback"),
        pytest.param("2002:a00:1::", id="6to4 of private"),
        pytest.param("2001:0:808:808::80ff:fffe", id="Teredo of loopback"),
    ],
)
def test_what_is_not_public_may_not(text: str) -> None:
    assert not is_allowed(ip_address(text))


def test_a_network_can_be_allowed_and_only_that() -> None:
    allowed = networks(["10.1.0.0/16", "fd00::/8"])
    assert is_allowed(ip_address("10.1.2.3"), allowed)
    assert is_allowed(ip_address("::ffff:10.1.2.3"), allowed)
    assert is_allowed(ip_address("fd00::1"), allowed)
    assert not is_allowed(ip_address("10.2.0.1"), allowed)
    assert not is_allowed(ip_address("::1"), allowed)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com",
        "https://example.com/",
        "https://hooks.example.com:8443/a/b?c=d&e=%20f",
        "https://example.com?x",
        "https://a_b.example.com/~x",
        "http://8.8.8.8/hook",
        "http://[2606:4700:4700::1111]:8080/hook",
        "https://xn--bcher-kva.example/",
        "https://example.com:1/",
        "https://example.com:65535/",
    ],
)
def test_a_plain_url_is_taken_as_it_is(url: str) -> None:
    assert checked_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("", id="nothing"),
        pytest.param("example.com", id="no scheme"),
        pytest.param("ftp://example.com/", id="another scheme"),
        pytest.param("file:///etc/passwd", id="a file"),
        pytest.param("//example.com/", id="any scheme"),
        pytest.param("http://", id="no host"),
        pytest.param("http:///x", id="an empty host"),
        pytest.param("http://user@example.com/", id="a user"),
        pytest.param("http://user:word@example.com/", id="a password"),
        pytest.param("http://example.com\\@10.0.0.1/", id="a backslash"),
        pytest.param("http://example.com/a\\b", id="a backslash in the path"),
        pytest.param("http://example.com/#x", id="a fragment"),
        pytest.param("http://example.com#@10.0.0.1/", id="a fragment for a host"),
        pytest.param("http://exa mple.com/", id="a blank"),
        pytest.param("http://example.com/a b", id="a blank in the path"),
        pytest.param("http://example.com/\r\nHost: x", id="a line of its own"),
        pytest.param("http://example.com/\n", id="a line end"),
        pytest.param(" http://example.com/", id="a blank before"),
        pytest.param("http://bücher.example/", id="not ASCII"),
        pytest.param("http://１２７.0.0.1/", id="digits of another width"),
        pytest.param("http://example.com:/", id="no port behind the colon"),
        pytest.param("http://example.com:0/", id="port 0"),
        pytest.param("http://example.com:65536/", id="a port beyond the last"),
        pytest.param("http://example.com:+80/", id="a port with a sign"),
        pytest.param("http://127.1/", id="a short address"),
        pytest.param("http://2130706433/", id="an address as one number"),
        pytest.param("http://0x7f000001/", id="an address in hexadecimal"),
        pytest.param("http://0177.0.0.1/", id="an address in octal"),
        pytest.param("http://127.0.0.0x1/", id="a hexadecimal end"),
        pytest.param("http://1.2.3.4.5/", id="five numbers"),
        pytest.param("http://256.1.1.1/", id="a number too large"),
        pytest.param("http://[::1/", id="half a bracket"),
        pytest.param("http://[12345::]/", id="no address in brackets"),
        pytest.param("http://[fe80::1%25eth0]/", id="a zone"),
        pytest.param("http://" + "a" * 2048 + ".com/", id="too long"),
    ],
)
def test_what_may_be_read_in_two_ways_is_refused(url: str) -> None:
    with pytest.raises(Invalid) as refused:
        checked_url(url)
    assert [param.name for param in refused.value.params] == ["url"]


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1/", "https://10.0.0.1:8443/x", "http://[::1]/", "http://[::ffff:127.0.0.1]/", "http://0.0.0.0/"],
)
def test_an_address_that_is_not_public_is_refused_by_its_code(url: str) -> None:
    with pytest.raises(Invalid) as refused:
        checked_url(url)
    assert refused.value.code == "private_address"
    allowed = networks(["127.0.0.0/8", "10.0.0.0/8", "::1/128", "0.0.0.0/32"])
    assert checked_url(url, allowed) == url
