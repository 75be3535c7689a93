"""The way out: which addresses are refused, how a fetch is bounded; real connections to a server on this machine."""

from __future__ import annotations

import gzip
import io
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpcore2
import pytest

from api.fetch import Network, checked, fetch, is_public, post, resolved
from folioscope.errors import TooLarge, Unfetchable

PUBLIC_ADDRESS = "93.184.216.34"
Answer = Callable[[socket.socket, str], None]


@contextmanager
def listening(answer: Answer, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """A server that hands each connection with its request's head to ``answer``; yields its port."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=talk, args=(connection,), daemon=True).start()

    def talk(connection: socket.socket) -> None:
        try:
            spoken = tls.wrap_socket(connection, server_side=True) if tls else connection
            with spoken:
                head = b""
                while b"\r\n\r\n" not in head and (more := spoken.recv(4096)):
                    head += more
                answer(spoken, head.decode())
        except OSError:
            pass  # the other side has left, as it should

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield server.getsockname()[1]
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()


def replying(status: str, body: bytes = b"", *headers: str) -> Answer:
    head = "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]).encode()
    return lambda connection, _: connection.sendall(head + body)


def network(port: int, names: dict[str, list[str]] | None = None, **more: object) -> Network:
    """Names are resolved as ``names`` says, else as public; public addresses are reached at ``port`` of this machine,
    others not at all: what is dialled was checked.
    """

    def dial(address: str, _: int, timeout: float) -> httpcore2.NetworkStream:
        assert is_public(address)
        return httpcore2.SyncBackend().connect_tcp("127.0.0.1", port, timeout)

    return Network(resolve=lambda host, _: (names or {}).get(host, [PUBLIC_ADDRESS]), dial=dial, **more)  # type: ignore[arg-type]


def got(url: str, port: int, *, most: int = 1000, seconds: float = 20, **more: object) -> bytes:
    into = io.BytesIO()
    fetch(url, into, most_bytes=most, seconds=seconds, network=network(port, **more))  # type: ignore[arg-type]
    return into.getvalue()


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
        "192.0.2.1", "198.18.0.1", "224.0.1.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "::", "::1",
        "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
        "::ffff:0:127.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::",
        "2002:a00:1::1", "2001::1", "2001:db8::1", "100::1",
    ],
)  # fmt: skip
def test_addresses_that_are_not_public(address) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    [PUBLIC_ADDRESS, "8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"],
)
def test_addresses_that_are(address) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/", "http://2130706433/", "http://0177.0.0.1/", "http://0x7f.1/", "http://127.1/",
        "http://0/", "http://[::1]/", "http://[::ffff:127.0.0.1]/", "http://[::ffff:7f00:1]/", "http://localhost/",
        "http://[64:ff9b::7f00:1]/", "http://169.254.169.254/latest/meta-data/", "https://127.0.0.1/",
        "http://127.0.0.1.:80/", f"http://{'a' * 70}.example/", "http://①②⑦.⓪.⓪.①/",
    ],
)  # fmt: skip
def test_however_an_address_is_written_it_is_refused(url) -> None:
    """By the system's own resolver: those that it knows are refused, those that it does not are not reached either."""

    def dial(address: str, port: int, timeout: float) -> httpcore2.NetworkStream:
        raise AssertionError(f"{address} was dialled")

    with pytest.raises(Unfetchable):
        fetch(url, io.BytesIO(), most_bytes=10, network=Network(dial=dial))


def test_the_system_reads_a_decimal_address() -> None:
    assert resolved("2130706433", 80) == ["127.0.0.1"]


@pytest.mark.parametrize(
    "url",
    ["", "x", "ftp://host/a", "file:///etc/passwd", "http://", "http:///a", "//host/a", "gopher://host", "http://a b/",
     "http://user:secret@host/", "http://user@host/", "http://[::1", "http://host:99999/", "javascript:alert(1)"],
)  # fmt: skip
def test_what_is_no_url_to_ask(url) -> None:
    with pytest.raises(Unfetchable) as refused:
        checked(url)
    assert "secret" not in str(refused.value)


def test_a_file_is_fetched_under_its_name_and_without_anything_of_ours(monkeypatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    seen: list[str] = []

    def answer(connection: socket.socket, head: str) -> None:
        seen.append(head)
        replying("200 OK", b"%PDF-1.7 and so on")(connection, head)

    with listening(answer) as port:
        assert got("http://files.example:81/a%20b.pdf?x=1#page=2", port) == b"%PDF-1.7 and so on"
    (head,) = seen
    lines = head.lower().splitlines()
    assert lines[0] == "get /a%20b.pdf?x=1 http/1.1"
    assert "host: files.example:81" in lines
    assert not [line for line in lines if line.startswith(("cookie", "authorization", "proxy"))]


@pytest.mark.parametrize("addresses", [["127.0.0.1"], [PUBLIC_ADDRESS, "10.0.0.1"], ["::1", PUBLIC_ADDRESS], []])
def test_a_name_is_refused_unless_all_of_its_addresses_are_public(addresses) -> None:
    with listening(replying("200 OK", b"secret")) as port, pytest.raises(Unfetchable):
        got("http://inside.example/", port, names={"inside.example": addresses})


def test_a_name_that_means_something_else_a_moment_later_changes_nothing() -> None:
    answers = iter([[PUBLIC_ADDRESS], ["127.0.0.1"]])
    asked: list[str] = []
    dialled: list[str] = []

    with listening(replying("200 OK", b"fine")) as port:

        def resolve(host: str, _: int) -> list[str]:
            asked.append(host)
            return next(answers)

        def dial(address: str, _: int, timeout: float) -> httpcore2.NetworkStream:
            dialled.append(address)
            return httpcore2.SyncBackend().connect_tcp("127.0.0.1", port, timeout)

        rebinding = Network(resolve=resolve, dial=dial)
        fetch("http://rebind.example/", io.BytesIO(), most_bytes=10, network=rebinding)
        with pytest.raises(Unfetchable):
            fetch("http://rebind.example/", io.BytesIO(), most_bytes=10, network=rebinding)
    assert asked == ["rebind.example"] * 2  # once for each connection
    assert dialled == [PUBLIC_ADDRESS]


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.1/",
        "http://inside.example/",
        "file:///etc/passwd",
        "http://me:it@host/",
        "http://[",
        "//10.0.0.1/",
    ],
)
def test_a_redirect_leads_nowhere_else(location) -> None:
    names = {"127.0.0.1": ["127.0.0.1"], "inside.example": ["192.168.0.1"], "10.0.0.1": ["10.0.0.1"]}
    redirect = replying("302 Found", b"", f"Location: {location}")
    with listening(redirect) as port, pytest.raises(Unfetchable):
        got("http://outside.example/", port, names=names)


def test_redirects_are_followed_five_times() -> None:
    def answer(connection: socket.socket, head: str) -> None:
        number = int(head.split()[1].strip("/"))
        if number == 0:
            replying("200 OK", b"there")(connection, head)
        else:
            replying("307 Temporary Redirect", b"", f"Location: /{number - 1}")(connection, head)

    with listening(answer) as port:
        assert got("http://far.example/5", port) == b"there"
        with pytest.raises(Unfetchable, match="5 times"):
            got("http://far.example/6", port)


def test_more_bytes_than_allowed_are_not_taken() -> None:
    def endless(connection: socket.socket, _: str) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            connection.sendall(b"400\r\n" + bytes(1024) + b"\r\n")

    for answer in (endless, replying("200 OK", bytes(1001))):
        with listening(answer) as port, pytest.raises(TooLarge):
            got("http://big.example/", port)


def test_a_bomb_is_inflated_no_further_than_allowed() -> None:
    bomb = gzip.compress(bytes(50 << 20))
    with listening(replying("200 OK", bomb, "Content-Encoding: gzip")) as port, pytest.raises(TooLarge):
        got("http://bomb.example/", port, most=1 << 20)


def test_what_comes_compressed_is_undone_or_refused() -> None:
    packed = gzip.compress(b"%PDF-1.7 " * 50)
    with listening(replying("200 OK", packed, "Content-Encoding: gzip")) as port:
        assert got("http://packed.example/", port) == b"%PDF-1.7 " * 50
    for body, encoding in [(packed[:-9], "gzip"), (b"nonsense", "gzip"), (b"x", "br"), (packed, "gzip, gzip")]:
        answer = replying("200 OK", body, f"Content-Encoding: {encoding}")
        with listening(answer) as port, pytest.raises(Unfetchable):
            got("http://packed.example/", port)


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n"])
def test_who_sends_slowly_is_left(head) -> None:
    gone = threading.Event()

    def drip(connection: socket.socket, _: str) -> None:
        try:
            connection.sendall(head)
            while not gone.wait(0.02):
                connection.sendall(b"x" if head else b"")
        finally:
            gone.set()

    with listening(drip) as port:
        begun = time.monotonic()
        with pytest.raises(Unfetchable, match="too long"):
            got("http://slow.example/", port, seconds=0.3)
        assert time.monotonic() - begun < 10  # each byte comes well within any timeout of its own
        gone.set()


@pytest.mark.parametrize(
    "answer",
    [
        replying("404 Not Found"),
        replying("401 Unauthorized", b"", 'WWW-Authenticate: Basic realm="x"'),
        replying("206 Partial Content", b"x"),
        lambda connection, _: connection.sendall(b"no http at all\r\n\r\n"),
        lambda connection, _: connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nshort"),
        lambda connection, _: connection.close(),
    ],
)
def test_what_a_server_does_not_give_is_an_error_of_ours(answer) -> None:
    with listening(answer) as port, pytest.raises(Unfetchable) as failed:
        got("http://odd.example/", port)
    assert "127.0.0.1" not in str(failed.value)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of ``files.example``, signed by itself: certificate and key in one file."""
    from datetime import UTC, datetime, timedelta

    x509 = pytest.importorskip("cryptography.x509", reason="needs the extra: pip install 'folioscope[mcp]'")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "files.example")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("files.example")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    encoding = serialization.Encoding.PEM
    plain = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(plain + made.public_bytes(encoding))
    return path


def test_over_tls_the_name_is_what_counts_not_the_address(certificate) -> None:
    names: list[str | None] = []
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate)
    server.sni_callback = lambda _socket, name, _context: names.append(name)
    trusting = ssl.create_default_context(cafile=str(certificate))
    with listening(replying("200 OK", b"sealed"), server) as port:
        assert got("https://files.example/", port, tls=trusting) == b"sealed"
        for wrong in ("https://other.example/", f"https://{PUBLIC_ADDRESS}/"):
            with pytest.raises(Unfetchable):
                got(wrong, port, tls=trusting)
        with pytest.raises(Unfetchable):
            got("https://files.example/", port, tls=ssl.create_default_context())
    assert names[0] == "files.example"


def test_https_does_not_fall_back_to_http(certificate) -> None:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate)
    redirect = replying("302 Found", b"", "Location: http://files.example/")
    with listening(redirect, server) as port, pytest.raises(Unfetchable, match="https to http"):
        got("https://files.example/", port, tls=ssl.create_default_context(cafile=str(certificate)))


def test_a_post_follows_no_redirect_and_tells_the_status() -> None:
    seen: list[str] = []

    def answer(connection: socket.socket, head: str) -> None:
        seen.append(head)
        replying("302 Found", b"", "Location: http://elsewhere.example/")(connection, head)

    with listening(answer) as port:
        assert post("http://hook.example/in", {"x-a": "b"}, b"{}", seconds=10, network=network(port)) == 302
    assert "x-a: b" in seen[0]
    assert len(seen) == 1
