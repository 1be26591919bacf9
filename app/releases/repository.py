"""Named queries over one project's releases."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.kit.db import insert_rows, writing
from app.kit.errors import NotFoundError
from app.kit.pages import decode_cursor
from app.releases.tables import ApprovalRow, DeploymentRow, ReleaseEventRow, ReleaseRow


class Repository:
    def __init__(self, session: AsyncSession, project_id: str) -> None:
        self.session, self.project_id = session, project_id

    async def release(self, release_id: str) -> ReleaseRow:
        row = await self.session.get(ReleaseRow, (self.project_id, release_id), populate_existing=True)
        if row is None:
            raise NotFoundError(f"there is no release {release_id!r}")
        return row

    async def locked(self, release_id: str) -> tuple[ReleaseRow, DeploymentRow]:
        """A release and its place in the environment, which nobody else changes until this transaction ends."""
        await writing(self.session)
        row = await self.release(release_id)
        deployment = await self.place(row.environment, row.name)
        return await self.release(release_id), deployment

    async def place(self, environment: str, name: str) -> DeploymentRow:
        """The row of a prompt in an environment, locked; made when there is none."""
        await writing(self.session)
        query = self._deployments().where(
            col(DeploymentRow.environment) == environment, col(DeploymentRow.name) == name
        )
        query = query.with_for_update().execution_options(populate_existing=True)
        row = (await self.session.scalars(query)).first()
        return row or await self._made(environment, name)

    async def _made(self, environment: str, name: str) -> DeploymentRow:
        from app.kit.clock import utc_now

        empty = {"revision": 0, "live": None, "active": None, "updated_at": utc_now()}
        identity = {"project_id": self.project_id, "environment": environment, "name": name}
        await insert_rows(self.session, DeploymentRow, [identity | empty], ignore_existing=True)
        return await self.place(environment, name)

    async def deployment(self, environment: str, name: str) -> DeploymentRow | None:
        identity = (self.project_id, environment, name)
        return await self.session.get(DeploymentRow, identity, populate_existing=True)

    async def live(self) -> list[DeploymentRow]:
        query = self._deployments().where(col(DeploymentRow.live).is_not(None))
        return list(await self.session.scalars(query.order_by(col(DeploymentRow.name), col(DeploymentRow.environment))))

    async def events(self, release_id: str) -> list[ReleaseEventRow]:
        query = select(ReleaseEventRow).where(*self._of(ReleaseEventRow, release_id))
        return list(await self.session.scalars(query.order_by(col(ReleaseEventRow.no))))

    async def approvals(self, release_id: str, evaluation: int) -> list[ApprovalRow]:
        query = select(ApprovalRow).where(*self._of(ApprovalRow, release_id), col(ApprovalRow.evaluation) == evaluation)
        return list(await self.session.scalars(query.order_by(col(ApprovalRow.at))))

    async def page(
        self, limit: int, cursor: str | None, environment: str | None, prompt: str | None, states: Sequence[str]
    ) -> list[ReleaseRow]:
        """Newest first; one more than `limit` when there are more."""
        query = select(ReleaseRow).where(col(ReleaseRow.project_id) == self.project_id)
        if environment is not None:
            query = query.where(col(ReleaseRow.environment) == environment)
        if prompt is not None:
            query = query.where(col(ReleaseRow.name) == prompt)
        if states:
            query = query.where(col(ReleaseRow.state).in_(list(states)))
        if cursor is not None:
            query = query.where(col(ReleaseRow.id) < decode_cursor(cursor, (str,))[0])
        return list(await self.session.scalars(query.order_by(col(ReleaseRow.id).desc()).limit(limit + 1)))

    async def was_live(self, environment: str, bundle: str) -> bool:
        """Whether exactly this content was ever live there."""
        query = select(col(ReleaseRow.id)).where(
            col(ReleaseRow.project_id) == self.project_id,
            col(ReleaseRow.environment) == environment,
            col(ReleaseRow.bundle) == bundle,
            col(ReleaseRow.state).in_(["live", "superseded"]),
        )
        return await self.session.scalar(query.limit(1)) is not None

    def _deployments(self) -> Any:
        return select(DeploymentRow).where(col(DeploymentRow.project_id) == self.project_id)

    def _of(self, table: Any, release_id: str) -> tuple[Any, Any]:
        return col(table.project_id) == self.project_id, col(table.release_id) == release_id
