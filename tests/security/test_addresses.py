"""No connection to where the fleet file does not say (CVE-2024-6587 and its like)."""

import asyncio
import ipaddress
import socket

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver

from catalog.config import parse_config
from catalog.fleet import Fleet
from gateway.net.guard import AddressGuard, AddressRefused, meant, never, private
from gateway.providers.http import open_session
from gateway.providers.making import SetupProblem, make_providers


class Names(AbstractResolver):
    """A DNS that says what it is told; each answer in turn, the last from then on."""

    def __init__(self, **answers):
        self.answers = {name.replace("_", "."): list(found) for name, found in answers.items()}

    async def resolve(self, host, port=0, family=socket.AF_INET):
        found = self.answers[host]
        address = found.pop(0) if len(found) > 1 else found[0]
        kind = socket.AF_INET6 if ":" in address else socket.AF_INET
        return [
            {
                "hostname": host,
                "host": address,
                "port": port,
                "family": kind,
                "proto": 0,
                "flags": socket.AI_NUMERICHOST,
            }
        ]

    async def close(self):
        pass


class Listener:
    """Something inside the network that must not be reached: it keeps what is sent to it."""

    def __init__(self, answer=b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"):
        self.heard = []
        self._answer = answer

    async def __aenter__(self):
        async def took(reader, writer):
            self.heard.append(await reader.read(4096))
            writer.write(self._answer)
            await writer.drain()
            writer.close()

        self._server = await asyncio.start_server(took, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self._server.close()


async def get(session, url):
    async with session.get(url, allow_redirects=False) as response:
        return response.status


async def test_a_name_that_stands_for_a_private_address_is_refused():
    """Unless the file says that it may; nothing is even connected."""
    async with Listener() as inside:
        url = f"http://api.example.com:{inside.port}/"
        for opened in (False, True):
            guard = AddressGuard(Names(api_example_com=["127.0.0.1"]))
            guard.permit(url, private_network=opened)
            async with open_session(guard) as session:
                if opened:
                    assert await get(session, url) == 200
                else:
                    with pytest.raises(aiohttp.ClientConnectorError):
                        await get(session, url)
                    assert not inside.heard


async def test_a_name_that_changes_its_mind_is_refused():
    """DNS rebinding: public when it was looked at, private when it is connected to."""
    async with Listener() as inside:
        url = f"http://api.example.com:{inside.port}/"
        guard = AddressGuard(Names(api_example_com=["93.184.216.34", "127.0.0.1"]))
        guard.permit(url, private_network=False)
        assert await guard.resolve("api.example.com", inside.port)
        async with open_session(guard) as session:
            with pytest.raises(aiohttp.ClientConnectorError):
                await get(session, url)
        assert not inside.heard


async def test_an_address_that_nobody_wrote_down_gets_no_socket():
    """Whatever the resolver let through: the socket itself is the last look."""
    guard = AddressGuard()
    guard.permit("http://127.0.0.1:9/", private_network=False)
    for address, opened in (("127.0.0.1", True), ("127.0.0.2", False), ("10.0.0.1", False)):
        info = (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 9))
        if opened:
            guard.socket(info).close()
        else:
            with pytest.raises(AddressRefused):
                guard.socket(info)


METADATA = (
    "169.254.169.254",
    "fe80::1",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
    "fd00:ec2::254",
    "100.100.100.200",
    "0.0.0.0",
    "224.0.0.1",
)


@pytest.mark.parametrize("address", METADATA)
async def test_nothing_goes_to_where_clouds_keep_secrets(address):
    """Not by name and not written out, in no notation, whatever the file opens."""
    assert never(ipaddress.ip_address(address))
    guard = AddressGuard(Names(api_example_com=[address]))
    guard.permit("http://api.example.com/", private_network=True)
    with pytest.raises(AddressRefused):
        await guard.resolve("api.example.com", 80)
    host = f"[{address}]" if ":" in address else address
    with pytest.raises(AddressRefused):
        guard.permit(f"http://{host}/", private_network=True)


@pytest.mark.parametrize(
    "address", ["10.1.2.3", "192.168.0.1", "127.0.0.1", "::1", "::ffff:10.0.0.1", "fd12::1"]
)
def test_what_is_private(address):
    """In IPv4, in IPv6, and the one inside the other."""
    assert private(ipaddress.ip_address(address))
    assert not never(ipaddress.ip_address(address))
    assert not private(meant(ipaddress.ip_address("::ffff:8.8.8.8")))


async def test_a_fleet_file_that_names_such_an_address_does_not_start():
    """The provider is named, the address is not repeated."""
    text = (
        'providers: {p: {base_url: "http://169.254.169.254/v1"}}\n'
        'models: {m: {provider: p, price: {input_usd_per_million: "1",'
        ' output_usd_per_million: "1"}}}\n'
    )
    guard = AddressGuard()
    async with open_session(guard) as session:
        with pytest.raises(SetupProblem) as caught:
            make_providers(Fleet.of(parse_config(text)), session, {}, guard)
    assert "provider p" in caught.value.problems[0]
    assert "169.254" not in caught.value.problems[0]


async def test_a_redirect_takes_no_key_anywhere():
    """A provider that points inside is not followed: nobody there hears of the key."""
    async with Listener() as inside:
        location = f"http://127.0.0.1:{inside.port}/steal".encode()
        answer = b"HTTP/1.1 302 Found\r\nLocation: " + location + b"\r\nContent-Length: 0\r\n\r\n"
        async with Listener(answer) as outside:
            from pydantic import SecretStr
            from spendgate.chat.v1 import chat_pb2

            from chassis.deadline import Deadline
            from gateway.providers.http import HttpLimits
            from gateway.providers.openai import OpenAIProvider
            from gateway.providers.port import ProviderCall, ProviderUnavailable, Unavailability
            from gateway.providers.wire import Line

            url = f"http://127.0.0.1:{outside.port}/v1"
            guard = AddressGuard()
            guard.permit(url, private_network=False)
            async with open_session(guard) as session:
                line = Line("p", session, HttpLimits(), lambda: 0.0)
                key = SecretStr("sk-canary")
                provider = OpenAIProvider(line, base_url=url, api_key=key)
                message = chat_pb2.Message(role=chat_pb2.ROLE_USER, content="hi")
                call = ProviderCall("m", chat_pb2.Prompt(messages=[message]), 10)
                with pytest.raises(ProviderUnavailable) as caught:
                    await provider.complete(call, Deadline.after(5))
            assert caught.value.reason == Unavailability.REDIRECT
            assert b"sk-canary" in outside.heard[0]
        assert not inside.heard
