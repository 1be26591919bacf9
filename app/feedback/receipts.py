"""Signed receipts, and the keyed hashes that stand for people. All keys come from one secret, each for one purpose."""

import base64
import hmac
from datetime import datetime, timedelta
from hashlib import sha256
from typing import NamedTuple

import msgspec

from app.feedback.errors import ReceiptExpiredError, ReceiptForeignError, ReceiptForgedError
from app.kit.errors import InvalidContentError

RECEIPT_LIFE = timedelta(days=30)
MAX_LENGTH = 1_000
_PREFIX = "rcpt_"


class Claims(NamedTuple):
    """What a receipt says: whose, for which answer, until when (Unix seconds)."""

    project_id: str
    inference_id: str
    expires: int


class Signer:
    def __init__(self, secret: bytes) -> None:
        self._receipts = hmac.digest(secret, b"promptward receipts", sha256)
        self._people = hmac.digest(secret, b"promptward people", sha256)

    def receipt(self, project_id: str, inference_id: str, expires_at: datetime) -> str:
        """`rcpt_<claims>.<HMAC-SHA256>`, both in URL-safe base64."""
        claims = msgspec.json.encode(Claims(project_id, inference_id, int(expires_at.timestamp())))
        return f"{_PREFIX}{_text(claims)}.{_text(hmac.digest(self._receipts, claims, sha256))}"

    def inference_of(self, receipt: str, project_id: str, now: datetime, pointer: str) -> str:
        """The answer that a receipt is for. Raises for one that is malformed, forged, foreign or expired."""
        head, dot, tail = receipt.removeprefix(_PREFIX).partition(".")
        try:
            if not receipt.startswith(_PREFIX) or not dot or len(receipt) > MAX_LENGTH:
                raise ValueError(receipt)
            signed, mac = _bytes(head), _bytes(tail)
        except ValueError as error:
            raise InvalidContentError.at(pointer, "this is not a receipt; one begins with rcpt_") from error
        if not hmac.compare_digest(hmac.digest(self._receipts, signed, sha256), mac):
            raise ReceiptForgedError.at(pointer, "its signature is not ours, or the signing key was changed since")
        claims = msgspec.json.decode(signed, type=Claims)
        if claims.project_id != project_id:
            raise ReceiptForeignError.at(pointer, "it is for an answer of another project than this key's")
        if claims.expires <= now.timestamp():
            raise ReceiptExpiredError.at(pointer, f"receipts can be used for {RECEIPT_LIFE.days} days")
        return claims.inference_id

    def person(self, project_id: str, name: str) -> str:
        """32 hex digits that stand for a rater or a unit; without the secret nobody can tell whom, or try names."""
        return hmac.digest(self._people, f"{project_id}\0{name}".encode(), sha256).hex()[:32]


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
