"""The registry's catalogue: projects, aliases, owners, what used which content, life cycles, erased items, clearances."""

import json
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

from app.kit.db import UTCDateTime, json_type

revision = "0009"
down_revision = "0008"

PROJECT = sa.String(40)
DIGEST = sa.String(71).with_variant(sa.String(71, collation="C"), "postgresql")
NAME = sa.String(120).with_variant(sa.String(120, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "project",
        sa.Column("id", PROJECT, nullable=False),
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("created_at", UTCDateTime, nullable=False),
        sa.Column("created_by", sa.String(200), nullable=False),
        sa.Column("archived_at", UTCDateTime, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_project"),
    )
    op.create_table(
        "artifact_alias",
        sa.Column("project_id", PROJECT, nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("alias", NAME, nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "kind", "alias", name="pk_artifact_alias"),
    )
    op.create_table(
        "content_use",
        sa.Column("project_id", PROJECT, nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("digest", DIGEST, nullable=False),
        sa.Column("by", sa.String(20), nullable=False),
        sa.Column("by_id", sa.String(40), nullable=False),
        sa.Column("at", UTCDateTime, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "kind", "digest", "by", "by_id", name="pk_content_use"),
        sa.ForeignKeyConstraint(
            ["project_id", "kind", "digest"],
            ["content.project_id", "content.kind", "content.digest"],
            name="fk_content_use_project_id_kind_digest_content",
        ),
    )
    op.create_table(
        "life_cycle",
        sa.Column("project_id", PROJECT, nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("owner", sa.String(120), nullable=True),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("sunset_on", sa.Date, nullable=True),
        sa.Column("successor", NAME, nullable=True),
        sa.Column("retired_at", UTCDateTime, nullable=True),
        sa.Column("updated_at", UTCDateTime, nullable=False),
        sa.Column("updated_by", sa.String(200), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "name", name="pk_life_cycle"),
    )
    op.create_table(
        "dataset_erasure",
        sa.Column("project_id", PROJECT, nullable=False),
        sa.Column("manifest", DIGEST, nullable=False),
        sa.Column("erased", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "manifest", name="pk_dataset_erasure"),
    )
    op.add_column("artifact", sa.Column("owner", sa.String(120), nullable=True))
    op.add_column("api_key", sa.Column("clearance", sa.String(20), nullable=True))
    for column in ("created_at", "updated_at"):
        index = f"ix_artifact_project_id_kind_{column}_name"
        op.create_index(index, "artifact", ["project_id", "kind", column, "name"])
    _name_owners()
    _note_uses()


def downgrade() -> None:
    for column in ("created_at", "updated_at"):
        op.drop_index(f"ix_artifact_project_id_kind_{column}_name", "artifact")
    op.drop_column("api_key", "clearance")
    op.drop_column("artifact", "owner")
    for table in ("dataset_erasure", "life_cycle", "content_use", "artifact_alias", "project"):
        op.drop_table(table)


def _name_owners() -> None:
    """The owners that the latest versions of prompts name."""
    connection = op.get_bind()
    named = (
        "SELECT a.project_id, a.name, c.body FROM artifact a JOIN content c "
        "ON c.project_id = a.project_id AND c.kind = a.kind AND c.digest = a.digest WHERE a.kind = 'prompt'"
    )
    update = sa.text(
        "UPDATE artifact SET owner = :owner WHERE project_id = :project AND kind = 'prompt' AND name = :name"
    )
    for project, name, body in connection.execute(sa.text(named)).all():
        if owner := json.loads(bytes(body)).get("owner"):
            connection.execute(update, {"owner": owner[:120], "project": project, "name": name})


def _note_uses() -> None:
    """What the runs and releases that are there already used, with all that it refers to."""
    connection = op.get_bind()
    rows = {
        name: sa.table(name, *columns)
        for name, columns in {
            "run": _columns(project_id=PROJECT, id=PROJECT, spec=json_type, created_at=UTCDateTime),
            "release": _columns(
                project_id=PROJECT, id=PROJECT, pins=json_type, evidence=json_type, created_at=UTCDateTime
            ),
            "gate_verdict": _columns(project_id=PROJECT, policy=sa.String, record=json_type, created_at=UTCDateTime),
            "reference": _columns(
                project_id=PROJECT, kind=sa.String, digest=sa.String, to_kind=sa.String, to_digest=sa.String
            ),
        }.items()
    }
    known = {tuple(row) for row in connection.execute(sa.text("SELECT project_id, kind, digest FROM content"))}
    below: dict[Any, list[Any]] = {}
    for project, kind, digest, to_kind, to_digest in connection.execute(sa.select(rows["reference"])):
        below.setdefault((project, kind, digest), []).append((project, to_kind, to_digest))
    uses: dict[Any, Any] = {}
    for by, table, roots in (("run", rows["run"], _of_run), ("release", rows["release"], _of_release)):
        for project, identifier, *held, at in connection.execute(sa.select(table)):
            waiting = [(project, *root) for root in roots(*held)]
            seen = set()
            while waiting:
                content = waiting.pop()
                if content in known and content not in seen:
                    seen.add(content)
                    waiting += below.get(content, [])
                    uses[(*content, by, identifier)] = at
    for project, policy, record, at in connection.execute(sa.select(rows["gate_verdict"])):
        run = str(record.get("candidate", "")).partition("/")[0]
        if (project, "gate_policy", policy) in known and run.startswith("run_"):
            uses[(project, "gate_policy", policy, "run", run)] = at
    columns = ("project_id", "kind", "digest", "by", "by_id", "at")
    target = sa.table("content_use", *(sa.column(c, UTCDateTime() if c == "at" else None) for c in columns))
    if uses:
        found = [dict(zip(columns, (*key, at), strict=True)) for key, at in uses.items()]
        connection.execute(sa.insert(target), found)


def _columns(**types: Any) -> list[Any]:
    return [sa.column(name, kind) for name, kind in types.items()]


def _of_run(spec: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "suite", spec["suite_digest"]
    yield "dataset", spec["dataset_digest"]
    for variant in spec["variants"]:
        yield "prompt", variant["prompt_digest"]
        yield "endpoint", variant["endpoint_digest"]
        yield "rag_config", variant.get("rag_digest") or ""
        yield "tool_config", variant.get("tools_digest") or ""
    for metric in spec["metrics"]:
        yield "rubric", metric.get("rubric") or ""
        yield "endpoint", metric.get("judge") or ""


def _of_release(pins: dict[str, str], evidence: dict[str, str]) -> Iterator[tuple[str, str]]:
    yield from pins.items()
    for part, digest in evidence.items():  # suite/<name> and policy/<name of the suite>
        yield ("suite" if part.startswith("suite/") else "gate_policy"), digest
