"""Storage of items: each once per project by its digest; a dataset's content names a manifest of them."""

from sqlalchemy import Integer, LargeBinary, String
from sqlmodel import Field

from app.kit.db import Table

PROJECT = String(40)
DIGEST = String(71).with_variant(String(71, collation="C"), "postgresql")


class ItemRow(Table, table=True):
    """The canonical bytes of one item, without its id. `body` is null once it was erased."""

    __tablename__ = "dataset_item"

    project_id: str = Field(sa_type=PROJECT, primary_key=True)
    digest: str = Field(sa_type=DIGEST, primary_key=True)
    body: bytes | None = Field(sa_type=LargeBinary)


class ManifestPartRow(Table, table=True):
    """A stretch of a manifest: `entries` is the MessagePack of `[[id, item digest, tags], …]` from position `start` on.

    The tags are kept here too, so that a filter need not read the items.
    """

    __tablename__ = "dataset_manifest_part"

    project_id: str = Field(sa_type=PROJECT, primary_key=True)
    digest: str = Field(sa_type=DIGEST, primary_key=True)
    start: int = Field(sa_type=Integer, primary_key=True)
    entries: bytes = Field(sa_type=LargeBinary)
