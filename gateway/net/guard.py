"""No connection but to where the operator's file says.

URLs come from the fleet file and its environment only; nothing in a request is ever fetched, and
no redirect is followed. What is left is a name that comes to stand for another address: a public
name that resolves to a private address, at start or later (DNS rebinding). So each address is
looked at again at the moment of connecting. Private addresses are open to names only where the file
says `private_network: true` or the name is localhost; an address that is written out in the file is
what the operator means. Where the cloud keeps its machines' secrets (link-local) nothing may go.
"""

import ipaddress
import socket
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
# Metadata services of clouds that are not link-local: AWS over IPv6, Alibaba.
_METADATA = frozenset(ipaddress.ip_address(text) for text in ("fd00:ec2::254", "100.100.100.200"))
_LOCALHOST = "localhost"


class AddressRefused(OSError):
    """The address is none that the fleet file opens. An OSError, as a connection that failed."""


def meant(address: Address) -> Address:
    """The address that is reached in the end: IPv4 inside IPv6 is IPv4."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        return inner or address
    return address


def never(address: Address) -> bool:
    """Nobody's provider is there, whatever a file says."""
    address = meant(address)
    return (
        address.is_link_local
        or address.is_multicast
        or address.is_unspecified
        or address in _METADATA
    )


def private(address: Address) -> bool:
    """Not on the public internet."""
    return not meant(address).is_global


def host_of(url: str) -> str:
    """The host a URL names, in lower case and without brackets."""
    return (urlsplit(url).hostname or "").rstrip(".").lower()


def literal(host: str) -> Address | None:
    """The address that a host is written as, if it is one."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


class AddressGuard(AbstractResolver):
    """Resolves names and hands out sockets, for one aiohttp session."""

    def __init__(self, resolver: AbstractResolver | None = None) -> None:
        """`resolver` asks the DNS. Default: the system's. Must be made in the running loop."""
        self._resolver = resolver or aiohttp.ThreadedResolver()
        self._private_hosts = {_LOCALHOST}
        # Written out in the file, or come from a name that may be private.
        self._private_addresses: set[Address] = set()

    def permit(self, url: str, *, private_network: bool) -> None:
        """Opens a URL of the file. Raises: AddressRefused for one that is never opened."""
        host = host_of(url)
        address = literal(host)
        if address is not None:
            if never(address):
                raise AddressRefused("is an address that nothing may go to")
            self._private_addresses.add(address)
        elif private_network:
            self._private_hosts.add(host)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Addresses of a name that may be connected to. Raises: AddressRefused; OSError."""
        name = host.rstrip(".").lower()
        found = await self._resolver.resolve(host, port, family)
        opened = []
        for each in found:
            address = ipaddress.ip_address(each["host"].partition("%")[0])
            if never(address) or (private(address) and name not in self._private_hosts):
                continue
            if private(address):
                self._private_addresses.add(address)
            opened.append(each)
        if not opened:
            raise AddressRefused("the name stands for an address that the fleet file does not open")
        return opened

    def socket(self, addr_info: tuple[Any, ...]) -> socket.socket:
        """A socket for an address, looked at once more. Raises: AddressRefused."""
        family, kind, protocol, _, where = addr_info
        address = ipaddress.ip_address(str(where[0]).partition("%")[0])
        if never(address) or (private(address) and address not in self._private_addresses):
            raise AddressRefused("the address is not opened by the fleet file")
        return socket.socket(family=family, type=kind, proto=protocol)

    async def close(self) -> None:
        """Ends the resolver."""
        await self._resolver.close()


def refused_urls(urls: Iterable[tuple[str, str]]) -> list[str]:
    """Problems of (where it stands, URL) pairs that no start should go on with."""
    problems = []
    for where, url in urls:
        address = literal(host_of(url))
        if address is not None and never(address):
            problems.append(f"{where}: is a link-local or metadata address; nothing may go there")
    return problems
