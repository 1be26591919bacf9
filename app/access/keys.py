"""The form of a key: `pw_<id>_<secret>`; the last six characters of a secret that we make are a checksum for scanners."""

import hmac
import re
import secrets
import string
import zlib
from hashlib import sha256
from typing import NamedTuple

ALPHABET = string.ascii_letters + string.digits
ID_LENGTH, SECRET_LENGTH, CHECKSUM_LENGTH = 12, 34, 6
MIN_SECRET = 32
_FORM = re.compile(r"pw_(?P<id>[A-Za-z0-9]{1,36})_(?P<secret>[A-Za-z0-9_-]{32,256})")


class Key(NamedTuple):
    id: str
    secret: str

    def __str__(self) -> str:
        return f"pw_{self.id}_{self.secret}"


def make() -> Key:
    """A new key from the system's randomness (about 200 bits)."""
    identifier = "".join(secrets.choice(ALPHABET) for _ in range(ID_LENGTH))
    body = "".join(secrets.choice(ALPHABET) for _ in range(SECRET_LENGTH))
    return Key(identifier, body + checksum(identifier + body))


def parse(text: str) -> Key | None:
    """The key in `text`, or None when it does not have the form."""
    match = _FORM.fullmatch(text)
    return Key(match["id"], match["secret"]) if match else None


def checksum(text: str) -> str:
    """Six characters over CRC-32, so that a scanner can tell a real key from a look-alike without asking us."""
    number, digits = zlib.crc32(text.encode()), ""
    for _ in range(CHECKSUM_LENGTH):
        number, rest = divmod(number, len(ALPHABET))
        digits += ALPHABET[rest]
    return digits


def mac_of(salt: bytes, secret: str) -> bytes:
    """HMAC-SHA256 of a secret under its own salt; a slow hash is for passwords, not for 200 random bits."""
    return hmac.digest(salt, secret.encode(), sha256)
