"""Secrets at rest: encrypted with a key that is derived from `SECRET_KEY`.

`SECRET_KEY_FALLBACKS` decrypt too, so a new `SECRET_KEY` does not lose the tokens.
"""

from __future__ import annotations

import base64
from functools import cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.db import models


def _fernet() -> MultiFernet:
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return MultiFernet([Fernet(base64.urlsafe_b64encode(_derive(key))) for key in keys])


@cache  # both tokens of an account are decrypted for every webhook
def _derive(key: str) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=b"recado secrets at rest").derive(key.encode())


def encrypt(text: str) -> str:
    return _fernet().encrypt(text.encode()).decode()


def decrypt(token: str) -> str:
    """Raises cryptography.fernet.InvalidToken when no key fits."""
    return _fernet().decrypt(token.encode()).decode()


class Sealed(str):
    """An empty text in place of one that no key opens, after a change of `SECRET_KEY`. Stored, it stays as it was."""

    __slots__ = ("ciphertext",)
    ciphertext: str

    def __new__(cls, ciphertext: str) -> Sealed:
        sealed = super().__new__(cls)
        sealed.ciphertext = ciphertext
        return sealed


class EncryptedTextField(models.TextField):  # type: ignore[type-arg]
    """Text that the database, its dumps and its backups hold only encrypted. It cannot be searched."""

    def get_prep_value(self, value: Any) -> Any:
        if isinstance(value, Sealed):
            return value.ciphertext
        return encrypt(value) if value else value

    def from_db_value(self, value: Any, expression: object, connection: object) -> Any:
        try:
            return decrypt(value) if value else value
        except InvalidToken:
            return Sealed(value)
