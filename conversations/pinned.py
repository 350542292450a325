"""A connection goes to the very address that was checked: no name leads into our own network, or changes its mind."""

from __future__ import annotations

import ipaddress
import socket

import anyio
import httpx

NAT64 = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052: the last four bytes are an IPv4 address


class Forbidden(Exception):
    """The name leads, also or only, to an address that is not of the public internet."""


class PinnedTransport(httpx.AsyncHTTPTransport):
    """Looks a host up once, checks every answer, and connects to the first; Host and TLS still speak of the name.

    A check before the request would not do: httpx would look the name up again, and may be told another address.
    """

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Raises Forbidden, or httpx.ConnectError when the name leads nowhere."""
        host = request.url.host
        address = await _public_address(host)
        request.extensions = {**request.extensions, "sni_hostname": host}
        request.url = request.url.copy_with(host=address)
        return await super().handle_async_request(request)


async def _public_address(host: str) -> str:
    try:
        found = await anyio.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise httpx.ConnectError(f"unknown host: {type(error).__name__}") from None
    addresses = [str(entry[4][0]) for entry in found]
    if not all(map(is_public, addresses)):
        raise Forbidden(host)
    return addresses[0]


def is_public(text: str) -> bool:
    """Whether an address is one of the public internet, also where IPv6 carries one of IPv4 inside."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is not None:
            address = inner
        elif address in NAT64:
            address = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.is_global and not address.is_multicast
