"""What the wire and the other rooms know of access."""

from datetime import datetime
from typing import Annotated

import msgspec

DEFAULT_PROJECT = "default"


class Caller(msgspec.Struct, frozen=True):
    """Who is asking: a key of one project with one role, or the local token of a running service.

    `clearance` (app/access/roles.py) is how much of the data it may see.
    """

    project_id: str
    key_id: str
    role: str
    name: str
    clearance: str = "public"

    @property
    def actor(self) -> str:
        """How histories name the caller."""
        return f"{self.name} ({self.key_id})" if self.name else self.key_id


class KeyCreate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    role: str
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=120)]
    expires_at: datetime | None = None
    clearance: str | None = None
    """The role's own when it is left out."""


class KeyCreated(msgspec.Struct, frozen=True):
    """The only time that the key itself is shown."""

    id: str
    key: str
    role: str
    clearance: str


class KeyRead(msgspec.Struct, frozen=True):
    id: str
    name: str
    role: str
    clearance: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


class ProjectCreate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`id` is made of the name when it is left out."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=120)]
    id: str | None = None


class ProjectUpdate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is left out stays as it is."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=120)] | None = None
    archived: bool | None = None


class ProjectRead(msgspec.Struct, frozen=True):
    """`default` has been there from the start: nobody made it."""

    id: str
    name: str
    created_at: datetime | None
    created_by: str | None
    archived_at: datetime | None


class ProjectCreated(msgspec.Struct, frozen=True):
    """A new project with its first admin key, which is shown this once."""

    id: str
    name: str
    created_at: datetime
    key: KeyCreated
