"""Which process asks for an answer: of several that need the same one, only one pays for it."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.kit.db import Sessions, batched_by_variables, core
from app.runs.processes import Processes, alive
from app.runs.tables import AnswerClaimRow

AGAIN_S = 0.3
"""How often a process looks whether an answer that another one asks for is there."""


class Claims(Protocol):
    @property
    def lapsed(self) -> bool:
        """Whether what was taken may be another process's by now."""
        ...

    async def take(self, project_id: str, keys: Sequence[str]) -> set[str]:
        """Those that this process may ask for now. They are its own until they are released, or it dies."""
        ...

    async def release(self, session: AsyncSession, project_id: str, keys: Iterable[str]) -> None:
        """Within the caller's transaction, so that whoever claims a key next finds its answer."""
        ...


class NoClaims:
    """Of a process that has its database for itself."""

    lapsed = False

    async def take(self, project_id: str, keys: Sequence[str]) -> set[str]:
        return set(keys)

    async def release(self, session: AsyncSession, project_id: str, keys: Iterable[str]) -> None:
        """There is nothing to release."""


class SharedClaims:
    """Rows that the first process to insert them owns, as long as it gives signs of life."""

    def __init__(self, sessions: Sessions, processes: Processes) -> None:
        self._sessions, self._processes, self._process = sessions, processes, processes.id

    @property
    def lapsed(self) -> bool:
        return self._processes.lapsed

    async def take(self, project_id: str, keys: Sequence[str]) -> set[str]:
        claims = core(AnswerClaimRow)
        taken: set[str] = set()
        if self.lapsed:  # others would take them at once
            return taken
        for some in batched_by_variables(sorted(keys), 3):
            claimed = insert(claims).values(
                [{"project_id": project_id, "cell_key": key, "process": self._process} for key in some]
            )
            free = (claims.c.process == self._process) | claims.c.process.not_in(alive())
            statement = claimed.on_conflict_do_update(
                index_elements=["project_id", "cell_key"], set_={"process": self._process}, where=free
            )
            async with self._sessions.begin() as session:
                taken |= {*await session.scalars(statement.returning(claims.c.cell_key))}
        return taken

    async def release(self, session: AsyncSession, project_id: str, keys: Iterable[str]) -> None:
        claims = core(AnswerClaimRow)
        for some in batched_by_variables(sorted(set(keys)), 2):
            mine = (claims.c.project_id == project_id, claims.c.process == self._process, claims.c.cell_key.in_(some))
            await session.execute(delete(claims).where(*mine))
