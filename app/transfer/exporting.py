"""The registry as files: those of a project, byte for byte the same each time, or another tool's."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from app.datasets.download import line_of
from app.datasets.sensitivity import above, highest
from app.datasets.service import Datasets
from app.formats import service as formats
from app.formats.schemas import Project
from app.kit.documents import dump
from app.kit.errors import BadRequestError, ForbiddenError
from app.registry.composition import expanded
from app.registry.contents import plain
from app.registry.environments import Environments, shown
from app.registry.kinds import kinds
from app.registry.kinds.base import Content, Kind
from app.registry.schemas import Artifact
from app.registry.service import Registry
from app.registry.sync.project_file import DECLARED, PROJECT_FILE, Folders
from app.transfer.schemas import ExportedFile, ExportResult, Loss

NATIVE = "promptward"
SECTIONS = {kind: section for section, kind in DECLARED.items()}
CARD_FIELDS = ("tags", "schema", "sensitivity", "fields", "retention_days")


class Exporting:
    """One project's latest versions as files, for a caller of some clearance."""

    def __init__(
        self,
        datasets: Datasets,
        environments: Environments,
        clearance: str,
        schedules: Mapping[str, dict[str, Any]] | None = None,
    ) -> None:
        """`schedules` are the definitions of those that were ever declared."""
        self._datasets, self._environments, self._clearance = datasets, environments, clearance
        self._schedules = schedules or {}
        self._registry: Registry = datasets.registry
        self._notes: list[str] = []

    async def native(self) -> ExportResult:
        """The files that `promptward sync` finds unchanged."""
        files: list[ExportedFile] = []
        sections: dict[str, dict[str, Any]] = {}
        declared: list[str] = []
        for row in await self._registry.repository.in_use():
            kind = kinds()[row.kind]
            artifact = await self._registry.resolve(kind.name, row.name)
            of = f"{kind.plural} {row.name}@{row.latest}"
            await self._note_moved(artifact)
            path = await self._path(row.name, kind)
            if kind.name == "dataset":
                files += self._dataset_files(artifact, path, of)
            elif path == PROJECT_FILE:
                sections.setdefault(SECTIONS[kind.name], {})[row.name] = ordered(artifact.content)
                declared.append(of)
            else:
                files.append(ExportedFile(path, dump(ordered(artifact.content)), None, [of]))
        if declared_rules := await self._environments.declared():
            sections["environments"] = {name: _said(shown(rules)) for name, rules in declared_rules.items()}
        if self._schedules:
            sections["schedules"] = dict(self._schedules)
        if sections:
            order = ("endpoints", "gate_policies", "environments", "schedules")
            text = dump({name: sections[name] for name in order if name in sections})
            files.insert(0, ExportedFile(PROJECT_FILE, text, None, declared))
        return ExportResult(NATIVE, files, self._notes, [])

    async def foreign(self, form: str, prompts: Sequence[str], suites: Sequence[str]) -> ExportResult:
        """The files of another tool, of all prompts and suites, or of those that are named."""
        if form not in formats.WRITERS:
            known = ", ".join([NATIVE, *sorted(formats.WRITERS)])
            raise BadRequestError.at("/format", f"{form!r} cannot be written; there is {known}")
        project = Project(prompts={}, suites={}, items={}, endpoints={})
        for name in prompts or await self._names("prompt"):
            artifact = await self._registry.resolve("prompt", name)
            project.prompts[name] = ordered(await expanded(artifact, self._registry.by_digest))
        for name in suites or ([] if prompts else await self._names("suite")):
            await self._add_suite(project, name)
        written = formats.write(form, project)
        files = [ExportedFile(path, data.decode(), None, []) for path, data in sorted(written.files.items())]
        return ExportResult(form, files, self._notes, [Loss(x.path, x.line, x.what) for x in written.losses])

    async def _add_suite(self, project: Project, name: str) -> None:
        suite = await self._registry.resolve("suite", name)
        project.suites[name] = content = ordered(suite.content)
        dataset = await self._registry.by_digest("dataset", suite.pins["/dataset"])
        if above(highest(dataset.content), self._clearance):
            raise ForbiddenError(
                f"the items of {content['dataset']} hold {highest(dataset.content)} values, and this key's clearance is "
                f"{self._clearance}"
            )
        items = await self._datasets.items(dataset)
        project.items[content["dataset"]] = [line_of(item) for item in items if not item.erased]
        for i, ref in enumerate(content.get("endpoints", [])):
            endpoint = await self._registry.by_digest("endpoint", suite.pins[f"/endpoints/{i}"])
            project.endpoints[ref] = ordered(endpoint.content)

    def _dataset_files(self, artifact: Artifact, path: str, of: str) -> list[ExportedFile]:
        if above(highest(artifact.content), self._clearance):
            self._notes.append(
                f"{of} is left out: it holds {highest(artifact.content)} values, and this key's clearance is "
                f"{self._clearance}"
            )
            return []
        items = f"/api/v1/datasets/{quote(str(artifact.name), safe='')}/versions/{artifact.number}/export?format=jsonl"
        files = [ExportedFile(path, None, items, [of])]
        content = ordered(artifact.content)
        says = {name: content[name] for name in CARD_FIELDS if name in content}
        if says or content.get("description"):
            front = f"---\n{dump(says)}---\n" if says else ""
            text = front + content.get("description", "") + "\n"
            files.append(ExportedFile(path.rpartition(".")[0] + ".md", text, None, [of]))
        return files

    async def _path(self, name: str, kind: Kind) -> str:
        """Where the file of an artifact lies: where it was when it was synced, else where its name says."""
        folders = Folders()
        if kind.name == "dataset":
            return f"{folders.datasets}/{name}.jsonl"
        known = await self._registry.repository.last_path(kind.name, name, "sync")
        # Other folders are a project file's own matter: these files are those of a project that names none.
        if known in (
            PROJECT_FILE,
            *(f"{folder}/{name}{kind.suffix}" for folder in (folders.prompts, folders.datasets)),
        ):
            return str(known)
        if kind.name in SECTIONS:
            return PROJECT_FILE
        folder = folders.datasets if kind.name == "suite" else folders.prompts
        return f"{folder}/{name}{kind.suffix}"

    async def _note_moved(self, artifact: Artifact) -> None:
        """What a sync of these files would change: references that stand for something newer by now."""
        for reference in kinds()[artifact.kind].references(artifact.content):
            now = await self._registry.resolve(reference.kind, reference.ref)
            if now.digest != artifact.pins[reference.pointer]:
                self._notes.append(
                    f"{artifact.kind} {artifact.ref}: {reference.ref} at {reference.pointer} is {now.ref} by now; a sync "
                    "makes a new version with that"
                )

    async def _names(self, kind: str) -> list[str]:
        return await self._registry.repository.names(kind)


def ordered(content: Content) -> dict[str, Any]:
    """A content as plain data without defaults, its fields in the order in which the kind declares them, `description` first."""
    data: dict[str, Any] = plain(content)
    if "description" in data:
        data = {"description": data.pop("description"), **data}
    return data


def _said(value: Any) -> Any:
    """Rules without what is not said in them."""
    if not isinstance(value, dict):
        return value
    return {name: _said(inner) for name, inner in value.items() if inner not in (None, {}, [], 0)}
