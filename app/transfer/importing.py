"""What other tools left, as versions here: through the same door as a project's own files."""

import base64
import binascii
from collections.abc import Sequence

import anyio.to_thread

from app.access.roles import allows
from app.access.schemas import Caller
from app.datasets.files import DatasetFiles
from app.datasets.service import Datasets
from app.formats import service as formats
from app.formats.schemas import Imported, Version
from app.kit.documents import dump
from app.kit.errors import FieldError, InvalidContentError
from app.registry.environments import Environments
from app.registry.sync.project_file import PROJECT_FILE
from app.registry.sync.schemas import SyncFile, SyncRequest, SyncResult
from app.registry.sync.service import Sync
from app.transfer.schemas import ImportRequest, ImportResult, Loss

VIA = "import"
NATIVE = "promptward"


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
            return self._result(asked, imported, [], files, None)
        versions = await self._history(imported.history, asked) if asked.mode == "apply" else []
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

    async def _history(self, history: Sequence[Version], asked: ImportRequest) -> list[int]:
        """Every version that the source kept, oldest first, with whose it was and when it was made there."""
        await self._registry.repository.lock()
        protected = await self._registry.labels.protected("prompt")
        may_label = allows(self._caller.role, "labels:write")
        made = []
        for version in history:
            free = [label for label in version.labels if label not in protected and may_label]
            for label in version.labels:
                if label not in free:
                    why = "a release alone moves it" if label in protected else "this key may not set labels"
                    self._losses.append(Loss(version.prompt, None, f"the label {label!r} is not set: {why}"))
            told = {"author": version.author, "date": version.date}
            source = {"via": VIA, "format": asked.format, **{k: v for k, v in told.items() if v is not None}}
            done, created = await self._registry.create_version(
                "prompt", version.prompt, version.content, version.message or asked.message, free, source=source
            )
            if created:
                made.append(done.version)
        return made

    def _result(
        self,
        asked: ImportRequest,
        imported: Imported,
        versions: Sequence[int],
        files: list[SyncFile],
        synced: SyncResult | None,
    ) -> ImportResult:
        return ImportResult(
            mode=asked.mode,
            format=asked.format,
            items=[] if synced is None else synced.items,
            versions=len(versions) if asked.mode == "apply" else len(imported.history),
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


def _bytes(file: SyncFile, index: int) -> bytes:
    if file.text is not None and file.base64 is None:
        return file.text.encode(errors="surrogatepass")
    try:
        return base64.b64decode(file.base64 or "", validate=True)
    except binascii.Error as error:
        detail = f"{file.path}: give the file as `text`, or as `base64` that is valid"
        raise InvalidContentError(detail, [FieldError(f"/files/{index}", detail)]) from error
