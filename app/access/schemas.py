"""What the wire and the other rooms know of access."""

from datetime import datetime
from typing import Annotated

import msgspec

DEFAULT_PROJECT = "default"


class Caller(msgspec.Struct, frozen=True):
    """Who is asking: a key of one project with one role, or the local token of a running service."""

    project_id: str
    key_id: str
    role: str
    name: str
    clearance: str = "personal"

    @property
    def actor(self) -> str:
        """How histories name the caller."""
        return f"{self.name} ({self.key_id})" if self.name else self.key_id


class KeyCreate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    role: str
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=120)]
    expires_at: datetime | None = None


class KeyCreated(msgspec.Struct, frozen=True):
    """The only time that the key itself is shown."""

    id: str
    key: str
    role: str


class KeyRead(msgspec.Struct, frozen=True):
    id: str
    name: str
    role: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None
