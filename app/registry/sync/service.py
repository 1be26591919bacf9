"""Bringing a folder of files into the registry: all of it or nothing, what others refer to first."""

from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any, Protocol

import anyio.to_thread
import msgspec

from app.kit.errors import ConflictError, FieldError, ForbiddenError, InvalidContentError, NotFoundError
from app.kit.pointers import escape
from app.kit.texts import require_text
from app.registry import contents
from app.registry.contents import Prepared
from app.registry.environments import Environments
from app.registry.kinds import by_plural, kinds
from app.registry.kinds.base import Reference
from app.registry.names import LATEST, parse_ref
from app.registry.schemas import Artifact
from app.registry.service import Registry
from app.registry.sync.files import Project, Source, read, several
from app.registry.sync.project_file import PROJECT_FILE, ProjectFile, plain_environments
from app.registry.sync.scheduling import Schedules, Scheduling
from app.registry.sync.schemas import Action, EnvironmentChange, SyncItem, SyncRequest, SyncResult
from app.registry.tables import ArtifactRow, ContentRow, VersionRow

VIA = "sync"
FROM_FILES = {"via": VIA}
Key = tuple[str, str]


class ItemFiles(Protocol):
    """Datasets' files, read and kept by the room above. `suffixes` maps a file's suffix to its media type."""

    suffixes: Mapping[str, str]

    def parse(self, data: bytes, media_type: str) -> Sequence[Any]:
        """The items; raises `InvalidContentError`."""
        ...

    def content(self, items: Sequence[Any], card: Mapping[str, Any]) -> dict[str, Any]:
        """The dataset kind's content, with what the card beside the file says; raises `InvalidContentError`."""
        ...

    async def store(self, items: Sequence[Any], content: Any) -> list[FieldError]:
        """Keeps the items of a content; returns what looks personal or secret in them, or raises `InvalidContentError`."""
        ...


class Step(msgspec.Struct, frozen=True):
    """What is to be done for one file; `number` is the version that it has afterwards."""

    source: Source
    prepared: Prepared
    action: Action
    reason: str
    from_version: int | None
    number: int


class Sync:
    """One sync, within the caller's transaction."""

    def __init__(
        self,
        registry: Registry,
        item_files: ItemFiles,
        environments: Environments,
        *,
        may_change_environments: bool,
        may_label: bool = True,
        origin: Mapping[str, str] = FROM_FILES,
        schedules: Schedules | None = None,
    ) -> None:
        """Files may set labels when `may_label`, and rules of environments when `may_change_environments`.
        `origin` is kept with each version that is made, as where it came from. Without `schedules` that section
        is left alone."""
        self._scheduling = Scheduling(schedules)
        self._origin, self._may_label = dict(origin), may_label
        self._registry, self._files = registry, item_files
        self._environments, self._may_change_environments = environments, may_change_environments
        self._repository = registry.repository
        self._prepared: dict[Key, Prepared] = {}
        self._failed: set[Key] = set()
        self._items: dict[Key, Sequence[Any]] = {}
        self._contents: dict[Key, Any] = {}
        self._problems: list[FieldError] = []

    async def run(self, request: SyncRequest) -> SyncResult:
        """Raises `InvalidContentError` with every fault, `LabelProtectedError`, and `ConflictError` for `apply`."""
        require_text(request.message, "/message")
        require_text(request.commit or "", "/commit")
        project = read(request.files, self._files.suffixes)
        self._problems += project.problems
        await self._read_datasets(project.sources)
        if request.mode != "plan":
            await self._repository.lock()  # before the first read: what was read must still hold when it is written
        await self._require_labels(project, request)
        steps = [await self._step(source, request) for source in self._ordered(project.sources)]
        await self._check_environments(project)
        await self._scheduling.check(project, self._problems, self._check_reference)
        if self._problems:
            raise several(self._problems)
        done = [step for step in steps if step is not None]
        pruned = await self._pruned(project, request)
        if request.mode == "apply":
            _refuse_conflicts(done, pruned)
        results = [await self._carry_out(step, request) for step in done]
        for item in pruned:
            if request.mode == "apply" and item.action == "archive":
                await self._registry.archive(by_plural(item.kind).name, item.name)
        if request.mode == "apply" and self._origin.get("via") == VIA:
            same = {step.source.key: step.source.path for step in done if step.action == "unchanged"}
            await self._repository.keep(same, VIA)
        changes = [] if request.mode == "draft" else await self._declare(project.settings, request.mode == "apply")
        scheduled = [] if request.mode == "draft" else await self._scheduling.carry_out(project.settings, request)
        environments = plain_environments(project.settings)
        return SyncResult(
            request.mode, results + pruned, environments, project.settings.project, project.ignored, changes, scheduled
        )

    async def _declare(self, settings: ProjectFile, apply: bool) -> list[EnvironmentChange]:
        """Brings the environments' rules along. Changing them needs more than changing what they are about."""
        found = []
        for name, environment in settings.environments.items():
            change = EnvironmentChange(name, await self._environments.action(name, environment))
            found.append(change)
            if not apply or change.action == "unchanged":
                continue
            if not self._may_change_environments:
                where = f"{PROJECT_FILE}#/environments/{escape(name)}"
                detail = (
                    f"this would {change.action} the rules of {name}, which needs the permission 'environments:write'"
                )
                raise ForbiddenError(f"{where}: {detail}; an administrator may sync it", [FieldError(where, detail)])
            await self._environments.put(name, environment, others=settings.environments, reason="sync")
        return found

    async def _read_datasets(self, sources: Sequence[Source]) -> None:
        for source in sources:
            if source.data is None:
                self._contents[source.key] = source.content
                continue
            media_type = next(m for suffix, m in self._files.suffixes.items() if source.path.endswith(suffix))
            try:
                items = await anyio.to_thread.run_sync(self._files.parse, source.data, media_type)
                says = {} if source.card is None else source.card.says
                self._contents[source.key] = await anyio.to_thread.run_sync(self._files.content, items, says)
            except InvalidContentError as error:
                self._fail(source, error)
            else:
                self._items[source.key] = items

    async def _require_labels(self, project: Project, request: SyncRequest) -> None:
        """The labels of environments that these files declare are refused too, before they are protected."""
        declared = plain_environments(project.settings)
        for source in project.sources:
            if source.labels:
                if request.mode == "apply" and not self._may_label:
                    where = f"{source.path}#/labels"
                    detail = "setting labels needs the permission 'labels:write'; leave `labels` out"
                    raise ForbiddenError(f"{where}: {detail}", [FieldError(where, detail)])
                labels, pointer = self._registry.labels, f"{source.path}#/labels"
                await labels.require_free(source.kind.name, source.name, source.labels, pointer, declared)

    def _ordered(self, sources: Sequence[Source]) -> list[Source]:
        """Every source after those that it refers to by bare name; parsing faults and cycles are noted."""
        by_key = {source.key: source for source in sources}
        graph: dict[Key, set[Key]] = {}
        for source in by_key.values():
            if source.key in self._failed:
                continue
            try:
                parsed = contents.parse(source.kind, self._contents[source.key])
            except InvalidContentError as error:
                self._fail(source, error)
                continue
            wanted = {_file_key(reference) for reference in source.kind.references(parsed)}
            graph[source.key] = {key for key in wanted if key in by_key}
        order, cycle = dependencies_first(graph)
        if cycle:
            where = by_key[cycle[0]]
            words = " -> ".join(f"{kinds()[kind].words} {name}" for kind, name in cycle)
            self._problems.append(FieldError(f"{where.path}#{where.pointer}", f"these refer to each other: {words}"))
        return [by_key[key] for key in order]

    async def _step(self, source: Source, request: SyncRequest) -> Step | None:
        kind = source.kind.name
        try:
            prepared = await self._registry.prepare(
                kind, self._contents[source.key], lookup=self._lookup, by_digest=self._by_digest
            )
        except InvalidContentError as error:
            self._fail(source, error)
            return None
        except _FailedAlreadyError:
            self._failed.add(source.key)
            return None
        self._prepared[source.key] = prepared
        row = await self._repository.artifact(kind, source.name)
        if row is None:
            if taken := await self._repository.same_folded(kind, source.name):
                detail = f"the registry has {taken!r}; names that differ only by case are refused"
                self._problems.append(FieldError(f"{source.path}#{source.pointer}", detail))
            return Step(source, prepared, "create", "new", None, 1)
        action, reason = await self._compared(source, prepared, row, request)
        number = row.latest if row.digest == prepared.digest or action == "conflict" else row.latest + 1
        return Step(source, prepared, action, reason, row.latest, number)

    async def _lookup(self, kind: str, ref: str) -> Artifact:
        """What a reference in a file stands for: a bare name is the file of that name, if there is one."""
        key = _file_key(Reference("", kind, ref))
        if key in self._failed:
            raise _FailedAlreadyError
        if key in self._prepared:
            return self._prepared[key].artifact(key[1])
        return await self._registry.resolve(kind, ref)

    async def _by_digest(self, kind: str, digest: str) -> Artifact:
        """A content that these files hold, though it is not stored yet; else the registry's."""
        for prepared in self._prepared.values():
            if (prepared.kind.name, prepared.digest) == (kind, digest):
                return prepared.artifact()
        return await self._registry.by_digest(kind, digest)

    async def _compared(
        self, source: Source, prepared: Prepared, row: ArtifactRow, request: SyncRequest
    ) -> tuple[Action, str]:
        if row.digest == prepared.digest:
            if row.archived_at is not None:
                return "update", "it was archived and is in use again"
            labels = await self._repository.labels(row.kind, row.name)
            moved = [label for label in source.labels if labels.get(label) != row.latest]
            return ("update", f"label {', '.join(moved)} moves here") if moved else ("unchanged", "")
        found = await self._repository.version(row.kind, row.name)
        if found is None:
            raise NotFoundError(f"{row.kind} {row.name!r} has no version {row.latest}")
        latest, content = found
        if content.body == prepared.body:
            return "update", "; ".join(self._moved_pins(source, prepared, content))
        if request.mode != "draft" and not request.force and await self._changed_elsewhere(latest):
            who = f" by {latest.author}" if latest.author else ""
            return (
                "conflict",
                f"version {latest.number} was made outside of the files{who}; take it into the file, or force",
            )
        return "update", "; ".join([*_changed_fields(prepared, content), *self._moved_pins(source, prepared, content)])

    async def _changed_elsewhere(self, latest: VersionRow) -> bool:
        """Whether a name that was synced before has been changed in another way since the files last said the same."""
        last = {latest.source.get("via"), latest.source.get("kept_by")}
        for via in dict.fromkeys((self._origin["via"], VIA)):
            if via in last:
                return False
            if await self._repository.was_made_via(latest.kind, latest.name, via):
                return True
        return False

    def _moved_pins(self, source: Source, prepared: Prepared, before: ContentRow) -> list[str]:
        references = {r.pointer: r for r in source.kind.references(prepared.content)}
        return [
            f"{kinds()[references[pointer].kind].words} {references[pointer].ref} changed"
            for pointer, digest in prepared.pins.items()
            if before.pins.get(pointer, digest) != digest
        ]

    async def _carry_out(self, step: Step, request: SyncRequest) -> SyncItem:
        source = step.source
        version: int | None = step.number
        warnings: list[FieldError] = []
        if step.action != "unchanged" and request.mode != "plan":
            if source.key in self._items:
                warnings = await self._files.store(self._items[source.key], step.prepared.content)
            if request.mode == "draft":
                await self._registry.store(step.prepared)
                version = None
            else:
                origin = self._origin | {"path": source.path} | ({"commit": request.commit} if request.commit else {})
                made, _ = await self._registry.add_version(
                    source.name, step.prepared, request.message, source.labels, source=origin
                )
                version = made.version
                warnings = warnings or list(made.warnings or [])
        return SyncItem(
            kind=source.kind.plural,
            name=source.name,
            path=source.path,
            action=step.action,
            reason=step.reason,
            from_version=step.from_version,
            version=version,
            digest=step.prepared.digest,
            content=msgspec.Raw(step.prepared.body),
            warnings=[source.located(warning) for warning in warnings],
        )

    async def _pruned(self, project: Project, request: SyncRequest) -> list[SyncItem]:
        """Names that an earlier sync made and that no file declares any more."""
        if not request.prune or request.mode == "draft":
            return []
        declared = {source.key for source in project.sources}
        found = []
        for row in await self._repository.made_via(VIA):
            if (row.kind, row.name) in declared:
                continue
            labels = await self._repository.labels(row.kind, row.name)
            held = sorted(set(labels) & await self._registry.labels.protected(row.kind))
            action: Action = "conflict" if held else "archive"
            reason = f"it carries {', '.join(held)}, which a release alone moves" if held else "its file is gone"
            latest = await self._registry.version(row.kind, row.name, LATEST)
            found.append(
                SyncItem(
                    kind=latest.kind,
                    name=row.name,
                    path=None,
                    action=action,
                    reason=reason,
                    from_version=row.latest,
                    version=row.latest,
                    digest=row.digest,
                    content=latest.content,
                )
            )
        return found

    async def _check_environments(self, project: Project) -> None:
        for environment, rules in project.settings.environments.items():
            for name, needs in rules.prompts.items():
                where = f"/environments/{escape(environment)}/prompts/{escape(name)}"
                wanted = [(where, "prompt", name)]
                wanted += [(f"{where}/suites/{i}", "suite", suite) for i, suite in enumerate(needs.suites)]
                wanted += [(f"{where}/policy", "gate_policy", needs.policy)] if needs.policy else []
                for pointer, kind, ref in wanted:
                    await self._check_reference(project, pointer, kind, ref)

    async def _check_reference(self, project: Project, pointer: str, kind: str, ref: str) -> None:
        try:
            await self._lookup(kind, ref)
        except _FailedAlreadyError:
            return
        except NotFoundError as error:
            line = project.document.line(pointer)
            self._problems.append(FieldError(f"{PROJECT_FILE}#{pointer}", f"line {line}: {error.detail}"))

    def _fail(self, source: Source, error: InvalidContentError) -> None:
        self._failed.add(source.key)
        self._problems += [source.located(e) for e in error.errors or [FieldError("", error.detail)]]


class _FailedAlreadyError(Exception):
    """A reference to a file whose own fault is reported; its dependents are not reported too."""


def dependencies_first(graph: Mapping[Key, set[Key]]) -> tuple[list[Key], list[Key]]:
    """Every key of `graph` after those that it needs; and no order but a cycle, first and last key the same, if there is one."""
    try:
        return [key for key in TopologicalSorter(graph).static_order() if key in graph], []
    except CycleError as error:
        return [], list(error.args[1])


def _file_key(reference: Reference) -> Key:
    """The file that a reference by bare name means; other references are the registry's."""
    try:
        parsed = parse_ref(reference.ref)
    except ValueError:
        return reference.kind, ""
    return reference.kind, parsed.name if parsed.is_latest else ""


def _changed_fields(prepared: Prepared, before: ContentRow) -> list[str]:
    old: dict[str, Any] = msgspec.json.decode(before.body)
    new: dict[str, Any] = msgspec.json.decode(prepared.body)
    names = [name for name in prepared.kind.content.__struct_fields__ if old.get(name) != new.get(name)]
    return [f"{', '.join(names)} changed"] if names else []


def _refuse_conflicts(steps: Sequence[Step], pruned: Sequence[SyncItem]) -> None:
    found = [(s.source.path, s.source.kind.words, s.source.name, s.reason) for s in steps if s.action == "conflict"]
    found += [("", by_plural(item.kind).words, item.name, item.reason) for item in pruned if item.action == "conflict"]
    if found:
        errors = [FieldError(path, f"{kind} {name!r}: {reason}") for path, kind, name, reason in found]
        raise ConflictError("; ".join(e.detail for e in errors[:3]), errors)
