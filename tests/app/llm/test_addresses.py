"""No endpoint reaches an address that its operator did not allow."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from app.llm.addresses import AddressError, AddressRule
from app.llm.errors import EndpointError
from app.llm.service import LLM
from tests.app.llm.canned import canned, completion, http
from tests.app.llm.conftest import QUICK, ask, spec


@pytest.fixture
async def strict() -> AsyncIterator[LLM]:
    """Calls as on a server: nothing private is allowed."""
    made = LLM({}, retries=QUICK)
    yield made
    await made.close()


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.0.0.1", "172.16.3.4", "192.168.1.1", "169.254.1.1", "100.64.0.1",
        "192.0.2.1", "198.18.0.1", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1%eth0", "fc00::1", "ff02::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2001:db8::1",
    ],
)  # fmt: skip
def test_an_address_that_is_not_public_needs_the_operators_leave(address):
    with pytest.raises(AddressError, match="PROMPTWARD_ALLOW_HOSTS=host"):
        AddressRule().check("host", address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_a_public_address_needs_none(address):
    AddressRule().check("host", address)


@pytest.mark.parametrize(
    ("allowed", "address"),
    [
        (["10.0.0.5"], "10.0.0.5"),
        (["10.0.0.0/8"], "10.1.2.3"),
        (["ollama.lan"], "192.168.1.9"),
        (["[::1]"], "::1"),
        (["localhost"], "127.0.0.1"),
        (["10.0.0.0/8"], "::ffff:10.0.0.1"),
    ],
)
def test_hosts_addresses_and_networks_can_be_allowed(allowed, address):
    AddressRule(allowed).check("Ollama.LAN", address)


@pytest.mark.parametrize("address", ["169.254.169.254", "::ffff:169.254.169.254", "fd00:ec2::254", "100.100.100.200"])
def test_metadata_services_are_never_allowed(address):
    rule = AddressRule(["0.0.0.0/0", "::/0", "host", address], allow_loopback=True)
    with pytest.raises(AddressError, match="never called"):
        rule.check("host", address)


def test_loopback_alone_can_be_allowed():
    rule = AddressRule(allow_loopback=True)
    rule.check("localhost", "127.0.0.1")
    rule.check("localhost", "::1")
    with pytest.raises(AddressError):
        rule.check("localhost", "10.0.0.1")


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "127.1", "0x7f000001"]
)
async def test_no_packet_reaches_a_forbidden_address_however_it_is_written(strict, host):
    async with canned(http(200, completion())) as server:
        port = server.base_url.rpartition(":")[2]
        with pytest.raises(EndpointError) as caught:
            await strict.call(spec(f"http://{host}:{port}"), ask())
    assert server.requests == []
    assert caught.value.kind == "not_configured"


async def test_a_name_that_points_inward_is_refused_at_connect(strict):
    async with canned(http(200, completion())) as server:
        with pytest.raises(EndpointError, match="'localhost' is at the private address") as caught:
            await strict.call(spec(server.base_url.replace("127.0.0.1", "localhost")), ask())
    assert (caught.value.kind, server.requests) == ("not_configured", [])


async def test_a_redirect_is_not_followed_not_even_within(llm):
    async with canned(http(200, completion())) as inner, canned(http(307, "", location=inner.base_url)) as outer:
        with pytest.raises(EndpointError, match="redirects are not followed"):
            await llm.call(spec(outer.base_url), ask())
    assert inner.requests == []


async def test_an_allowed_host_is_called():
    llm = LLM({}, ["127.0.0.1"])
    async with canned(http(200, completion())) as server:
        assert (await llm.call(spec(server.base_url), ask())).text == "hello"
    await llm.close()


async def test_a_name_with_several_forbidden_addresses_is_refused(strict, monkeypatch):
    """Two addresses start a race of connections; both must be refused by the same rule."""
    loop = asyncio.get_running_loop()

    async def two(host, port, **_kwargs):
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.1", port)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.2", port)),
        ]

    monkeypatch.setattr(loop, "getaddrinfo", two)
    with pytest.raises(EndpointError, match="private address"):
        await strict.call(spec("http://rebinding.example/v1"), ask())
