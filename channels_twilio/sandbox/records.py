"""What the journal holds."""

from __future__ import annotations

from dataclasses import dataclass

SCHEMA_VERSION = 2  # a journal of another version is begun anew

SCHEMA = """
CREATE TABLE IF NOT EXISTS message (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,  -- order of acceptance; pages of the list are anchored to it
    sid TEXT NOT NULL UNIQUE,
    direction TEXT NOT NULL,                -- inbound, outbound-api, outbound-reply
    sender TEXT NOT NULL,
    recipient TEXT NOT NULL,
    body TEXT NOT NULL,
    status TEXT NOT NULL,
    error_code INTEGER,
    messaging_service_sid TEXT,
    status_callback TEXT,
    validity REAL,                          -- seconds that it may wait to be sent
    free INTEGER NOT NULL,                  -- outbound: words of our own, and no template
    media_urls TEXT NOT NULL,               -- outbound: a JSON list of where the media lies
    num_media INTEGER NOT NULL,
    created_at REAL NOT NULL,
    updated_at REAL NOT NULL,
    sent_at REAL,
    ticks TEXT NOT NULL,                    -- inbound: what the contact sees of it (sent, delivered, read)
    change INTEGER NOT NULL UNIQUE          -- grows with every write, so that a reader can ask for what is new
);
CREATE INDEX IF NOT EXISTS message_by_recipient ON message (recipient, seq);
CREATE INDEX IF NOT EXISTS message_by_sender ON message (sender, seq);
CREATE TABLE IF NOT EXISTS media (
    sid TEXT PRIMARY KEY,
    message_sid TEXT NOT NULL REFERENCES message (sid),
    content_type TEXT NOT NULL,
    content BLOB NOT NULL,
    created_at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS media_by_message ON media (message_sid);
CREATE TABLE IF NOT EXISTS contact (number TEXT PRIMARY KEY, name TEXT NOT NULL, created_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS opt_out (contact TEXT, sender TEXT, PRIMARY KEY (contact, sender));
CREATE TABLE IF NOT EXISTS typing (contact TEXT PRIMARY KEY, until REAL NOT NULL);
CREATE TABLE IF NOT EXISTS exchange (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at REAL NOT NULL,
    kind TEXT NOT NULL,                     -- api (asked of Twilio), inbound, status (asked by Twilio)
    method TEXT NOT NULL,
    url TEXT NOT NULL,
    params TEXT NOT NULL,                   -- a JSON list of pairs
    headers TEXT NOT NULL,                  -- a JSON object; credentials are masked
    idempotency_token TEXT,
    status INTEGER,                         -- NULL: no response was given or came
    response TEXT NOT NULL,
    error TEXT NOT NULL,                    -- why there is no response, or Twilio's code for a bad one
    fault TEXT,
    seconds REAL NOT NULL
);
"""


@dataclass(frozen=True, slots=True)
class Message:
    """A row of the journal. Times are seconds since 1970."""

    seq: int
    sid: str
    direction: str
    sender: str
    recipient: str
    body: str
    status: str
    error_code: int | None
    messaging_service_sid: str | None
    status_callback: str | None
    validity: float | None
    free: int
    media_urls: str
    num_media: int
    created_at: float
    updated_at: float
    sent_at: float | None
    ticks: str
    change: int

    @property
    def inbound(self) -> bool:
        return self.direction == "inbound"

    @property
    def contact(self) -> str:
        return self.sender if self.inbound else self.recipient


@dataclass(frozen=True, slots=True)
class Media:
    sid: str
    message_sid: str
    content_type: str
    content: bytes
    created_at: float


@dataclass(frozen=True, slots=True)
class Contact:
    number: str
    name: str
    created_at: float
