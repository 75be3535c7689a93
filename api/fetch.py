"""The one way out to addresses that somebody named: files fetched from URLs, webhooks called.

An address is checked and connected to in one step, so that a name that means something else a moment later changes
nothing: `_Pinned` resolves the host, refuses it unless *all* of its addresses are public, and dials one of those very
addresses; TLS and the Host header still go by the name. Redirects take the same way. No proxy, cookie or password from
the environment is used; a deadline holds for everything together, so that nobody keeps us by sending slowly.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
import socket
import ssl
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import httpcore2
import httpx2

from folioscope import __version__
from folioscope.errors import TooLarge, Unfetchable

MOST_REDIRECTS = 5
FETCH_S = 60.0
PIECE = 1 << 16  # bytes written or inflated at once
AGENT = f"folioscope/{__version__}"
ACCEPTED = {"accept": "application/pdf, image/*", "accept-encoding": "identity"}
REDIRECTS = (301, 302, 303, 307, 308)
NAT64 = ipaddress.ip_network("64:ff9b::/96")
GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
HOST = re.compile(rb"[\w.:-]+", re.ASCII)
FAULTS = (httpcore2.NetworkError, httpcore2.TimeoutException, httpcore2.ProtocolError)


def resolved(host: str, port: int) -> list[str]:
    """The addresses of a host, as the system knows them. Raises ``OSError``."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


def dialled(address: str, port: int, timeout: float) -> httpcore2.NetworkStream:
    """A connection to an address. Raises httpcore's errors."""
    return httpcore2.SyncBackend().connect_tcp(address, port, timeout)


@dataclass(frozen=True, slots=True)
class Network:
    """``private``: addresses that are not public may be asked, too. The others are seams for tests."""

    private: bool = False
    resolve: Callable[[str, int], list[str]] = resolved
    dial: Callable[[str, int, float], httpcore2.NetworkStream] = dialled
    tls: ssl.SSLContext | None = None


PUBLIC = Network()


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the public internet, also where it carries another one within it."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour
        if found in NAT64:
            inner = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
        if found not in GLOBAL_UNICAST:
            return False
    return found.is_global and not found.is_multicast


def fetch(
    url: str, into: BinaryIO, *, most_bytes: int, seconds: float = FETCH_S, network: Network = PUBLIC
) -> httpx2.URL:
    """Write what a URL names into a file; returns the URL that it came from in the end.

    Raises `Unfetchable`, and `TooLarge` for more than ``most_bytes``, counted after decompression.
    """
    ends, at = time.monotonic() + seconds, checked(url)
    for _ in range(MOST_REDIRECTS + 1):
        with _asked("GET", at, ACCEPTED, b"", ends, network) as reply:
            if reply.status in REDIRECTS:
                at = _next(at, _header(reply, b"location"))
                continue
            if reply.status != 200:
                raise Unfetchable(f"{at.host} answered with the status {reply.status}.")
            _copy(reply, into, most_bytes, ends)
            return at
    raise Unfetchable(f"{httpx2.URL(url).host} redirects more than {MOST_REDIRECTS} times.")


def post(url: str, headers: Mapping[str, str], body: bytes, *, seconds: float, network: Network = PUBLIC) -> int:
    """Send a body; returns the status. Redirects are not followed, the answer is not read. Raises `Unfetchable`."""
    with _asked("POST", checked(url), headers, body, time.monotonic() + seconds, network) as reply:
        return reply.status


def checked(url: str) -> httpx2.URL:
    """A URL that may be asked, as far as it says itself. Raises `Unfetchable`."""
    try:
        found = httpx2.URL(url)
    except (httpx2.InvalidURL, UnicodeError):
        raise Unfetchable("That is no URL.") from None
    if found.scheme not in ("http", "https") or not HOST.fullmatch(found.raw_host) or (found.port or 1) > 65535:
        raise Unfetchable("The URL does not begin with http:// or https:// and the name of a host.")
    if found.userinfo:
        raise Unfetchable("The URL carries a user or a password; none is sent.")
    return found.copy_with(fragment=None)


def demand_allowed(url: str, network: Network) -> None:
    """Say early what asking a URL would say: raises `Unfetchable` where it may not be asked now."""
    at = checked(url)
    with contextlib.suppress(httpcore2.ConnectError):  # a host that has no address yet may get one
        _allowed(at.host, at.port or 443, network)


def _allowed(host: str, port: int, network: Network) -> list[str]:
    """The addresses of a host, all of which may be asked. Raises `Unfetchable`, ``httpcore2.ConnectError``."""
    try:
        addresses = network.resolve(host, port)
    except (OSError, UnicodeError) as error:
        raise httpcore2.ConnectError(f"{host} has no address") from error
    if not network.private and not all(is_public(each) for each in addresses):
        raise Unfetchable(f"{host} is not on the public internet.")
    return addresses


def _next(at: httpx2.URL, location: str) -> httpx2.URL:
    try:
        found = checked(str(at.join(location)))
    except httpx2.InvalidURL:
        raise Unfetchable(f"{at.host} redirects to what is no URL.") from None
    if at.scheme == "https" and found.scheme == "http":
        raise Unfetchable(f"{at.host} redirects from https to http.")
    return found


@contextlib.contextmanager
def _asked(
    method: str, url: httpx2.URL, headers: Mapping[str, str], body: bytes, ends: float, network: Network
) -> Iterator[httpcore2.Response]:
    backend = _Pinned(network, ends)
    sent = {"user-agent": AGENT, **headers}
    try:
        with (
            httpcore2.ConnectionPool(ssl_context=network.tls, network_backend=backend, retries=0) as pool,
            pool.stream(method, str(url), headers=list(sent.items()), content=body or None) as reply,
        ):
            yield reply
    except FAULTS as error:
        late = isinstance(error, httpcore2.TimeoutException)
        raise Unfetchable(f"{url.host} {'took too long' if late else 'could not be asked'}.") from error


def _copy(reply: httpcore2.Response, into: BinaryIO, most_bytes: int, ends: float) -> None:
    total = 0
    too_large = TooLarge(f"The file has more than {most_bytes:,} bytes.")
    length = _header(reply, b"content-length")
    if length.isdecimal() and int(length) > most_bytes:
        raise too_large
    for piece in _inflated(reply):
        total += len(piece)
        if total > most_bytes:
            raise too_large
        if time.monotonic() > ends:
            raise Unfetchable("The file took too long.")
        into.write(piece)


def _inflated(reply: httpcore2.Response) -> Iterator[bytes]:
    """The body; gzip, which some servers send unasked, is undone in small pieces."""
    encoding = _header(reply, b"content-encoding").lower()
    if encoding in ("", "identity"):
        yield from reply.iter_stream()
        return
    if encoding not in ("gzip", "x-gzip"):
        raise Unfetchable(f"The file comes in the encoding {encoding[:20]!r}, which was not asked for.")
    inflater = zlib.decompressobj(wbits=31)
    try:
        for chunk in reply.iter_stream():
            while chunk:
                yield inflater.decompress(chunk, PIECE)
                chunk = inflater.unconsumed_tail
    except zlib.error:
        raise Unfetchable("The file's compression is broken.") from None
    if not inflater.eof:
        raise Unfetchable("The file ends too early.")


def _header(reply: httpcore2.Response, name: bytes) -> str:
    return next((value.decode("latin-1").strip() for key, value in reply.headers if key.lower() == name), "")


class _Pinned(httpcore2.NetworkBackend):
    """Connects to checked addresses alone, until a deadline (of ``time.monotonic``)."""

    def __init__(self, network: Network, ends: float) -> None:
        self._network = network
        self._ends = ends

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002
        local_address: str | None = None,  # noqa: ARG002
        socket_options: Iterable[Any] | None = None,  # noqa: ARG002
    ) -> httpcore2.NetworkStream:
        """Raises `Unfetchable` for a host that may not be asked, and httpcore's errors."""
        addresses = _allowed(host, port, self._network)
        fault: Exception = httpcore2.ConnectError(f"{host} has no address")
        for address in addresses:
            try:
                return _Timed(self._network.dial(address, port, _left(self._ends)), self._ends)
            except httpcore2.ConnectError as error:
                fault = error
        raise fault


class _Timed(httpcore2.NetworkStream):
    """A stream that ends at a deadline, however little it gets at a time."""

    def __init__(self, stream: httpcore2.NetworkStream, ends: float) -> None:
        self._stream = stream
        self._ends = ends

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        return self._stream.read(max_bytes, _left(self._ends))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        for start in range(0, len(buffer), PIECE):
            self._stream.write(buffer[start : start + PIECE], _left(self._ends))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002
    ) -> httpcore2.NetworkStream:
        return _Timed(self._stream.start_tls(ssl_context, server_hostname, _left(self._ends)), self._ends)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _left(ends: float) -> float:
    left = ends - time.monotonic()
    if left <= 0:
        raise httpcore2.ReadTimeout("the deadline has passed")
    return left
