"""What other tools left, as versions here: through the same door as a project's own files."""

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any

import anyio.to_thread

from app.access.roles import allows
from app.access.schemas import Caller
from app.datasets.files import DatasetFiles
from app.datasets.service import Datasets
from app.formats import service as formats
from app.formats.schemas import Imported, Version
from app.kit.documents import dump
from app.kit.errors import ConflictError, FieldError, InvalidContentError
from app.registry.environments import Environments
from app.registry.sync.project_file import PROJECT_FILE
from app.registry.sync.schemas import SyncFile, SyncRequest, SyncResult
from app.registry.sync.service import Sync
from app.transfer.schemas import ImportRequest, ImportResult, Loss

VIA = "import"
NATIVE = "promptward"
MAX_VERSIONS = 100_000
"""Of one prompt, that are looked through for what an earlier import made."""


class Importing:
    """One import, within the caller's transaction."""

    def __init__(self, datasets: Datasets, environments: Environments, caller: Caller) -> None:
        self._datasets, self._environments, self._caller = datasets, environments, caller
        self._registry = datasets.registry
        self._losses: list[Loss] = []

    async def run(self, asked: ImportRequest) -> ImportResult:
        """Raises `InvalidContentError` with file and line for what cannot be read."""
        sent = {file.path: _bytes(file, index) for index, file in enumerate(asked.files)}
        imported = await anyio.to_thread.run_sync(formats.read, asked.format, sent)
        self._losses += [Loss(loss.path, loss.line, loss.what) for loss in imported.losses]
        files = project_files(imported)
        if asked.mode == "files":
            return self._result(asked, imported, len(imported.history), files, None)
        if asked.mode == "apply":
            await self._registry.repository.lock()
        versions = await self._history(imported.history, asked)
        request = SyncRequest(asked.mode, files, force=asked.force, message=asked.message)
        sync = Sync(
            self._registry,
            DatasetFiles(self._datasets),
            self._environments,
            may_change_environments=False,
            may_label=allows(self._caller.role, "labels:write"),
            origin={"via": VIA, "format": asked.format},
        )
        return self._result(asked, imported, versions, [], await sync.run(request))

    async def _history(self, history: Sequence[Version], asked: ImportRequest) -> int:
        """Every version that the source kept and that is not here yet, oldest first, with whose it was and when it was made
        there; how many they are."""
        by_name: dict[str, list[Version]] = {}
        for version in history:
            by_name.setdefault(version.prompt, []).append(version)
        return sum([await self._history_of(name, versions, asked) for name, versions in by_name.items()])

    async def _history_of(self, name: str, history: Sequence[Version], asked: ImportRequest) -> int:
        rows = await self._registry.repository.version_rows("prompt", name, None, MAX_VERSIONS)
        before = [row for row in reversed(rows) if _is_of(row.source, asked.format)]
        known = await self._known(history, [row.digest for row in before])
        new = history[len(known) :]
        if new and before and not asked.force and rows[0].source.get("via") != VIA:
            detail = (
                f"prompt {name!r}: version {rows[0].number} was made here since the last import; force overwrites it"
            )
            raise ConflictError(detail, [FieldError("/files", detail)])
        if asked.mode == "plan":
            return len(new)
        made = 0
        for version, index in zip(history, known, strict=False):
            for label in await self._free(version):
                await self._registry.labels.put("prompt", name, label, before[index].number, asked.message)
        for version in new:
            told = {"author": version.author, "date": version.date}
            source = {"via": VIA, "format": asked.format, **{k: v for k, v in told.items() if v is not None}}
            labels, message = await self._free(version), version.message or asked.message
            _, created = await self._registry.create_version(
                "prompt", name, version.content, message, labels, source=source
            )
            made += created
        return made

    async def _known(self, history: Sequence[Version], digests: Sequence[str]) -> list[int]:
        """Where in `digests`, which an earlier import made, the first versions of `history` are, as far as they agree."""
        found: list[int] = []
        for version in history if digests else ():
            digest = (await self._registry.prepare("prompt", version.content)).digest
            following = found[-1] + 1 if found else 0
            if found and digests[found[-1]] == digest:  # the same text twice is one version
                found.append(found[-1])
            elif following < len(digests) and digests[following] == digest:
                found.append(following)
            else:
                break
        return found

    async def _free(self, version: Version) -> list[str]:
        """The labels of a version that an import may set; the others are losses."""
        protected = await self._registry.labels.protected("prompt")
        may_label = allows(self._caller.role, "labels:write")
        free = [label for label in version.labels if label not in protected and may_label]
        for label in version.labels:
            if label not in free:
                why = "a release alone moves it" if label in protected else "this key may not set labels"
                self._losses.append(Loss(version.prompt, None, f"the label {label!r} is not set: {why}"))
        return free

    def _result(
        self,
        asked: ImportRequest,
        imported: Imported,
        versions: int,
        files: list[SyncFile],
        synced: SyncResult | None,
    ) -> ImportResult:
        return ImportResult(
            mode=asked.mode,
            format=asked.format,
            items=[] if synced is None else synced.items,
            versions=versions,
            aliases=imported.aliases,
            losses=self._losses,
            files=files,
        )


def project_files(imported: Imported) -> list[SyncFile]:
    """An import as a project's files; endpoints stand in `promptward.yaml`."""
    files = dict(imported.files)
    if imported.endpoints:
        files[PROJECT_FILE] = dump({"endpoints": imported.endpoints})
    return [
        SyncFile(path, text=content)
        if isinstance(content, str)
        else SyncFile(path, base64=base64.b64encode(content).decode())
        for path, content in sorted(files.items())
    ]


def _is_of(source: Mapping[str, Any], form: str) -> bool:
    return (source.get("via"), source.get("format")) == (VIA, form)


def _bytes(file: SyncFile, index: int) -> bytes:
    if file.text is not None and file.base64 is None:
        return file.text.encode(errors="surrogatepass")
    try:
        return base64.b64decode(file.base64 or "", validate=True)
    except binascii.Error as error:
        detail = f"{file.path}: give the file as `text`, or as `base64` that is valid"
        raise InvalidContentError(detail, [FieldError(f"/files/{index}", detail)]) from error
