"""Files are fetched from Twilio and from nowhere else, with our credentials for Twilio's API and for nobody else.

The servers are real; where a name leads is what the tests say.
"""

from __future__ import annotations

import gzip
import io
import socket
import ssl
import time
from base64 import b64encode
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from channels_twilio import media
from channels_twilio.client import Credentials
from conversations import pinned
from conversations.channels import FileLater, FileMissing, FileRefused
from tests.stand_ins.site import answer, endless, redirect, site, trickle

from .signed_requests import ACCOUNT_SID, AUTH_TOKEN

CREDENTIALS = Credentials(ACCOUNT_SID, ACCOUNT_SID, AUTH_TOKEN)
BASIC = "Basic " + b64encode(f"{ACCOUNT_SID}:{AUTH_TOKEN}".encode()).decode()
CDN = "mms.twiliocdn.com"
FILE = "/2010-04-01/Accounts/AC1/Messages/MM1/Media/ME1"


@pytest.fixture
def api(settings):
    with site({}) as api:
        settings.TWILIO_API_BASE_URL = api.url
        yield api


def fetch(url: str, *, limit: int = 1000, timeout: float = 5) -> bytes:
    into = io.BytesIO()
    media.fetch(url, CREDENTIALS, into, limit=limit, timeout=timeout)
    return into.getvalue()


# --- Who gets the credentials -----------------------------------------------------------------------------------------


def test_the_api_gets_the_credentials_and_what_it_redirects_to_does_not(api):
    api.pages = {FILE: redirect(f"{api.url}/mms/secret"), "/mms/secret": answer(b"photo")}
    assert fetch(api.url + FILE) == b"photo"
    assert [request.headers["Authorization"] for request in api.seen] == [BASIC, None]


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example.com/photo",
        "http://mms.twiliocdn.com/photo",
        "https://mms.twiliocdn.com.evil.example.com/photo",
        "https://mms.twiliocdn.com@evil.example.com/photo",
        "https://someone:secret@mms.twiliocdn.com/photo",
        "https://s3-external-1.amazonaws.com/another-bucket/photo",
        "http://169.254.169.254/latest/meta-data/",
        "file:///etc/passwd",
        "//[",
        "",
    ],
)
def test_nothing_is_fetched_from_elsewhere_neither_at_once_nor_by_a_redirect(api, url, monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: pytest.fail("a name was looked up"))
    api.pages = {FILE: redirect(url)}
    with pytest.raises(FileRefused):
        fetch(url)
    if url:  # an empty one leads back to where it came from
        with pytest.raises(FileRefused):
            fetch(api.url + FILE)


def test_a_ring_of_redirects_ends(api):
    api.pages = {FILE: redirect(api.url + FILE)}
    with pytest.raises(FileRefused, match="ring"):
        fetch(api.url + FILE)
    assert len(api.seen) == 1 + media.MAX_REDIRECTS


# --- Where a name leads -----------------------------------------------------------------------------------------------


def names(monkeypatch, *answers: list[str]) -> list[str]:
    """Each look-up of a name takes the next answer. Returns what was looked up."""
    looked_up, left = [], list(answers)
    ask = socket.getaddrinfo

    def getaddrinfo(host, port, *args, **kwargs):
        name = host.decode() if isinstance(host, bytes) else host
        if name != CDN:
            return ask(host, port, *args, **kwargs)
        looked_up.append(name)
        addresses = left.pop(0)
        return [entry for address in addresses for entry in ask(address, port, *args, **kwargs)]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return looked_up


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["10.0.0.8"],
        ["169.254.169.254"],
        ["::1"],
        ["fd00::1"],
        ["::ffff:10.0.0.8"],
        ["8.8.8.8", "10.0.0.8"],
    ],
)
def test_a_name_that_leads_into_a_private_network_is_refused(monkeypatch, addresses):
    names(monkeypatch, addresses)
    with pytest.raises(FileRefused, match="private"):
        fetch(f"https://{CDN}/photo")


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("fe80::1%eth0", False),
        ("2002:0a00:0008::1", False),  # 6to4 of 10.0.0.8
        ("64:ff9b::a9fe:a9fe", False),  # NAT64 of 169.254.169.254
    ],
)
def test_which_addresses_are_of_the_public_internet(address, public):
    assert pinned.is_public(address) is public


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """For the CDN's name alone. Returns the contexts of a server that has it and of a client that trusts it."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, CDN)])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(CDN)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = signed.public_bytes(serialization.Encoding.PEM)
    file = tmp_path_factory.mktemp("tls") / "certificate.pem"
    file.write_bytes(
        pem
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file)
    return server, ssl.create_default_context(cadata=pem.decode())


def test_a_name_that_changes_its_mind_is_asked_once_and_the_checked_address_is_called_by_its_name(
    monkeypatch, certificate
):
    """DNS rebinding: the second answer, after the check, is another address. 127.0.0.2 stands for a public one."""
    for_server, for_client = certificate
    monkeypatch.setattr(media, "_tls", lambda: for_client)
    monkeypatch.setattr(pinned, "is_public", lambda address: address == "127.0.0.2")
    looked_up = names(monkeypatch, ["127.0.0.2"], ["127.0.0.3"])
    with (
        site({"/photo": answer(b"photo")}, host="127.0.0.2", tls=for_server) as checked,
        site({"/photo": answer(b"stolen")}, host="127.0.0.3", port=checked.port, tls=for_server) as other,
    ):
        assert fetch(f"https://{CDN}:{checked.port}/photo") == b"photo"
    assert looked_up == [CDN]
    assert checked.seen[0].headers["Host"] == f"{CDN}:{checked.port}"
    assert checked.seen[0].headers["Authorization"] is None
    assert other.seen == []


# --- How much, how long, and what is said of it -----------------------------------------------------------------------


def test_a_file_may_have_the_limit_and_not_a_byte_more(api):
    api.pages = {FILE: answer(b"x" * 1000), "/more": answer(b"x" * 1001)}
    assert len(fetch(api.url + FILE)) == 1000
    with pytest.raises(FileRefused, match="large"):
        fetch(api.url + "/more")


def test_what_is_endless_is_cut_off(api):
    api.pages = {FILE: endless(b"x" * 500)}
    with pytest.raises(FileRefused, match="large"):
        fetch(api.url + FILE)


def test_a_bomb_is_not_unpacked(api):
    api.pages = {FILE: answer(gzip.compress(b"0" * 10_000_000)[:900], Content_Encoding="gzip")}
    with pytest.raises(FileRefused, match="compressed"):
        fetch(api.url + FILE)
    assert api.seen[0].headers["Accept-Encoding"] == "identity"


def test_a_length_that_promises_more_than_comes_is_no_file(api):
    def cut(handler):
        handler.close_connection = True
        answer(b"half", Content_Length="800")(handler)

    api.pages = {FILE: cut}
    with pytest.raises(FileLater):
        fetch(api.url + FILE)


def test_a_trickle_ends_with_the_time_that_it_may_take(api):
    api.pages = {FILE: trickle(b"x" * 900)}
    started = time.monotonic()
    with pytest.raises(FileLater, match="time"):
        fetch(api.url + FILE, timeout=0.5)
    assert time.monotonic() - started < 3


@pytest.mark.parametrize(
    ("status", "meaning"),
    [(404, FileMissing), (410, FileMissing), (401, FileLater), (429, FileLater), (503, FileLater), (400, FileRefused)],
)
def test_what_an_answer_means(api, status, meaning):
    api.pages = {FILE: answer(b"<html>", status)}
    with pytest.raises(meaning):
        fetch(api.url + FILE)


def test_a_server_that_is_away_may_come_back(settings):
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        settings.TWILIO_API_BASE_URL = f"http://127.0.0.1:{bound.getsockname()[1]}"
        with pytest.raises(FileLater):
            fetch(settings.TWILIO_API_BASE_URL + FILE)
