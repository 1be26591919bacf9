"""The section `schedules` of `promptward.yaml`: checked here like all that files declare, carried out by the room above."""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from app.kit.errors import FieldError, ForbiddenError
from app.kit.pointers import escape
from app.registry.kinds.base import Reference
from app.registry.sync.files import Project
from app.registry.sync.project_file import PROJECT_FILE, ProjectFile
from app.registry.sync.schemas import SectionChange, SyncRequest

CheckReference = Callable[[Project, str, str, str], Awaitable[None]]
"""`(project, pointer, kind, reference)`: notes a problem when there is no such thing."""


class Schedules(Protocol):
    """The section `schedules` of `promptward.yaml`, checked and carried out by the room above, within this transaction."""

    may_change: bool

    def problems(self, section: Any) -> list[FieldError]:
        """What is wrong with it, by pointers below it."""
        ...

    def references(self, section: dict[str, Any]) -> list[Reference]:
        """What it names, by pointers below it."""
        ...

    async def changes(self, section: dict[str, Any], *, prune: bool) -> list[SectionChange]:
        """What applying it would do."""
        ...

    async def apply(self, section: dict[str, Any], changes: list[SectionChange]) -> None:
        """Does it."""
        ...


class Scheduling:
    """Without `schedules` the section is left alone."""

    def __init__(self, schedules: Schedules | None) -> None:
        self._schedules = schedules

    async def check(self, project: Project, problems: list[FieldError], check_reference: CheckReference) -> None:
        """Adds what is wrong to `problems`, with its line."""
        section = project.settings.schedules
        if self._schedules is None or section is None:
            return
        found = self._schedules.problems(section)
        for problem in found:
            pointer = f"/schedules{problem.pointer}"
            line = project.document.line(pointer)
            problems.append(FieldError(f"{PROJECT_FILE}#{pointer}", f"line {line}: {problem.detail}"))
        if not found:
            for reference in self._schedules.references(section):
                await check_reference(project, f"/schedules{reference.pointer}", reference.kind, reference.ref)

    async def carry_out(self, settings: ProjectFile, request: SyncRequest) -> list[SectionChange]:
        """What happens to each schedule; it does happen in `apply`, after all that they name. Raises `ForbiddenError`."""
        if self._schedules is None:
            return []
        section: dict[str, Any] = settings.schedules or {}
        changes = await self._schedules.changes(section, prune=request.prune)
        wanted = [change for change in changes if change.action != "unchanged"]
        if request.mode == "apply" and wanted:
            if not self._schedules.may_change:
                where = f"{PROJECT_FILE}#/schedules/{escape(wanted[0].name)}"
                what = f"this would {wanted[0].action} the schedule {wanted[0].name}"
                detail = f"{what}, which needs the permission 'schedules:write'"
                raise ForbiddenError(f"{where}: {detail}; an engineer may sync it", [FieldError(where, detail)])
            await self._schedules.apply(section, changes)
        return changes
