"""Rows as they are answered."""

from typing import Any

import msgspec

from app.gates.rollout.schemas import RolloutVerdict
from app.releases.repository import Repository
from app.releases.schemas import Approval, BaselineRead, Event, ReleaseRead, ReleaseSummary, SuiteVerdict
from app.releases.tables import ReleaseRow


def summary(row: ReleaseRow) -> ReleaseSummary:
    return ReleaseSummary(**_common(row))


async def whole(repository: Repository, row: ReleaseRow) -> ReleaseRead:
    """With everything that happened."""
    events = await repository.events(row.id)
    approvals = await repository.approvals(row.id, row.evaluation)
    baseline = None if row.baseline is None else await repository.release(row.baseline)
    return ReleaseRead(
        **_common(row),
        pins={**row.pins, **row.evidence},
        params=row.spec["params"],
        baseline=None if baseline is None else BaselineRead(baseline.id, baseline.bundle, baseline.refs["prompt"]),
        predecessor=row.predecessor,
        steps=row.steps,
        step=row.step,
        verdicts=[msgspec.convert(verdict, SuiteVerdict) for verdict in row.verdicts],
        approvals_needed=row.approvals_needed,
        approvals=[Approval(a.by, a.role, a.at, a.reason, a.accepted_risk) for a in approvals],
        rollout_verdict=None if row.rollout_verdict is None else msgspec.convert(row.rollout_verdict, RolloutVerdict),
        timeline=[
            Event(e.no, e.at, e.by, e.action, e.from_state, e.to_state, e.share, e.reason, e.details) for e in events
        ],
    )


def _common(row: ReleaseRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "environment": row.environment,
        "name": row.name,
        "prompt": row.refs["prompt"],
        "version": row.version,
        "rag_config": row.refs["rag_config"],
        "tool_config": row.refs["tool_config"],
        "endpoint": row.refs["endpoint"],
        "bundle": row.bundle,
        "state": row.state,
        "verdict": row.verdict,
        "exit_code": row.exit_code,
        "share": row.share,
        "revision": row.revision,
        "reason": row.reason,
        "notes": row.notes,
        "created_by": row.author,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }
