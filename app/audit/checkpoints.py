"""Sealed checkpoints: where a chain ended, with a MAC that only this service can make."""

import hmac
from datetime import datetime
from hashlib import sha256

from app.audit.schemas import Checkpoint
from app.kit.clock import rfc3339
from app.kit.digests import canonical


class Sealer:
    """Makes and checks the MACs: HMAC-SHA256 over the canonical JSON (RFC 8785) of `{project, no, hash, at}`. Its key comes
    from the service's secret and serves nothing else."""

    def __init__(self, secret: bytes) -> None:
        self._key = hmac.digest(secret, b"promptward audit checkpoints", sha256)

    def seal(self, project: str, no: int, head: str, at: datetime) -> Checkpoint:
        """The checkpoint of a chain that ends with entry `no`, whose hash is `head`."""
        moment = rfc3339(at)
        return Checkpoint(project, no, head, moment, self._mac(project, no, head, moment))

    def made(self, checkpoint: Checkpoint) -> bool:
        """Whether a service with this secret made it."""
        mac = self._mac(checkpoint.project, checkpoint.no, checkpoint.hash, checkpoint.at)
        return hmac.compare_digest(mac.encode(), checkpoint.mac.encode())

    def _mac(self, project: str, no: int, head: str, at: str) -> str:
        return hmac.digest(self._key, canonical({"project": project, "no": no, "hash": head, "at": at}), sha256).hex()
