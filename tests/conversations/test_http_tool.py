"""A workspace's own tool asks one address of the public internet, and tells the model nothing but its answer.

The servers are real; 127.0.0.2 stands for a public address, to which the tool's name leads.
"""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from conversations import pinned
from conversations.assistants import Effects, http_tool
from conversations.models import HttpTool
from tests.stand_ins.site import Site, answer, endless, redirect, site

HOST = "stock.example"
SECRET = "Bearer canary-of-the-shop"
SCHEMA = {
    "type": "object",
    "properties": {"item": {"type": "string", "maxLength": 20}},
    "required": ["item"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The contexts of a server that has a certificate for HOST, and of a client that trusts it."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = signed.public_bytes(serialization.Encoding.PEM)
    file: Path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    file.write_bytes(
        pem
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file)
    return server, ssl.create_default_context(cadata=pem.decode())


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch, certificate: tuple[ssl.SSLContext, ssl.SSLContext]) -> Iterator[Site]:
    ask = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *args, **kwargs: ask("127.0.0.2" if host in (HOST, HOST.encode()) else host, *args, **kwargs),
    )
    monkeypatch.setattr(pinned, "is_public", lambda address: address == "127.0.0.2")
    monkeypatch.setattr(http_tool, "_tls", lambda: certificate[1])
    with site({}, host="127.0.0.2", tls=certificate[0]) as shop:
        yield shop


def tool(shop: Site | None = None, **fields: Any) -> HttpTool:
    url = f"https://{HOST}:{shop.port if shop else 443}/stock?shop=7"
    return HttpTool(**{"name": "stock", "url": url, "authorization": SECRET, "schema": SCHEMA, **fields})


def ask(row: HttpTool, **arguments: Any) -> str:
    return http_tool.ask(row, arguments, Effects())


def test_the_arguments_go_into_the_query_of_the_declared_address(shop: Site) -> None:
    shop.pages = {"/stock?shop=7&item=rye+%26+oats": answer(b'{"left": 3}')}
    assert ask(tool(shop), item="rye & oats") == '{"left": 3}'
    assert shop.seen[0].headers["Authorization"] == SECRET


def test_or_into_the_body(shop: Site) -> None:
    shop.pages = {"/stock?shop=7": answer(b"ok")}
    assert ask(tool(shop, method="POST"), item="rye") == "ok"
    assert json.loads(shop.seen[0].body) == {"item": "rye"}


@pytest.mark.parametrize(
    "arguments", [{}, {"item": 5}, {"item": "x" * 21}, {"item": "rye", "url": "https://evil.example"}, {"shop": "8"}]
)
def test_arguments_that_the_schema_does_not_allow_go_nowhere(shop: Site, arguments: dict[str, Any]) -> None:
    assert "do not fit" in ask(tool(shop), **arguments)
    assert shop.seen == []


def test_a_redirect_is_not_followed(shop: Site) -> None:
    shop.pages = {"/stock?shop=7&item=rye": redirect(f"https://{HOST}:{shop.port}/secret"), "/secret": answer(b"told")}
    assert ask(tool(shop), item="rye").startswith("The tool answers with an error")
    assert len(shop.seen) == 1


def test_an_error_tells_its_number_alone(shop: Site) -> None:
    shop.pages = {"/stock?shop=7&item=rye": answer(SECRET.encode(), status=500)}
    assert ask(tool(shop), item="rye") == "The tool answers with an error: 500."


def test_what_is_endless_is_cut_off(shop: Site) -> None:
    shop.pages = {"/stock?shop=7&item=rye": endless(b"x" * 500)}
    assert ask(tool(shop), item="rye") == "The tool answers with too much."


@pytest.mark.parametrize("host", ["127.0.0.1", "10.0.0.8", "169.254.169.254", "[::1]", "localhost"])
def test_no_private_network_is_entered(host: str, caplog: pytest.LogCaptureFixture) -> None:
    assert ask(tool(url=f"https://{host}/"), item="rye") == "The tool does not answer."
    assert "Forbidden" in caplog.text
    assert SECRET not in caplog.text


@pytest.mark.parametrize("url", ["http://stock.example/", "https://user:word@stock.example/", "ftp://stock.example/"])
def test_only_https_without_a_password_in_it_is_asked(url: str) -> None:
    assert http_tool.problem(tool(url=url)) == http_tool.NOT_HTTPS
    assert ask(tool(url=url), item="rye") == "The tool is not set up."


@pytest.mark.parametrize("schema", [{}, [], {"type": "string"}, {"type": "object", "properties": 5}])
def test_a_schema_that_is_none_is_refused(schema: Any) -> None:
    assert http_tool.problem(tool(schema=schema))


def test_a_schema_fetches_nothing(shop: Site) -> None:
    schema = {"type": "object", "properties": {"item": {"$ref": f"https://{HOST}:{shop.port}/schema"}}}
    assert ask(tool(shop, schema=schema), item="rye") == "The tool does not answer."
    assert shop.seen == []
