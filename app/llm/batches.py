"""OpenAI's Batch API: many questions in one file, answered within a day for less."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

import msgspec

from app.llm.errors import EndpointError
from app.llm.schemas import ChatRequest, EndpointSpec, Reply
from app.llm.service import LLM, body_of

if TYPE_CHECKING:
    from app.llm.client import Client

T = TypeVar("T")

MAX_REQUESTS = 50_000
MAX_BYTES = 200 * 1000 * 1000
"""What OpenAI takes in one file."""
ENDPOINT = "/v1/chat/completions"
WINDOW = "24h"
MARK = "promptward"
"""The field of a batch's metadata that says whose it is."""
ENDED = frozenset({"completed", "failed", "expired", "cancelled"})
_PAGE = 100
_MOST_PAGES = 50


class _Problem(msgspec.Struct):
    message: str | None = None
    code: str | None = None


class _Problems(msgspec.Struct):
    data: list[_Problem] | None = None


class Remote(msgspec.Struct):
    """A batch as the endpoint tells of it."""

    id: str
    status: str
    output_file_id: str | None = None
    error_file_id: str | None = None
    errors: _Problems | None = None
    metadata: dict[str, Any] | None = None

    @property
    def ended(self) -> bool:
        return self.status in ENDED

    @property
    def said(self) -> str:
        """What the endpoint gives as the reason of a failure."""
        messages = [p.message or p.code or "" for p in (self.errors.data if self.errors else None) or ()]
        return "; ".join(message for message in messages[:3] if message)


class _File(msgspec.Struct):
    id: str


class _Page(msgspec.Struct):
    data: list[Remote] = []
    has_more: bool = False


class _Response(msgspec.Struct):
    status_code: int = 0
    body: msgspec.Raw = msgspec.Raw(b"null")


class _Line(msgspec.Struct):
    custom_id: str
    response: _Response | None = None
    error: _Problem | None = None


class Line(msgspec.Struct, frozen=True):
    """What came of one question: an HTTP status and body, or why none was made."""

    status: int
    body: bytes
    error: str | None = None


_lines = msgspec.json.Decoder(_Line)


def line_of(spec: EndpointSpec, custom_id: str, request: ChatRequest) -> bytes:
    """A question as a line of a file: what a call would send, word for word."""
    line = {"custom_id": custom_id, "method": "POST", "url": ENDPOINT, "body": body_of(spec, request)}
    return msgspec.json.encode(line) + b"\n"


class BatchAPI:
    """The batches of one endpoint. Every method raises `EndpointError` when the endpoint does not do its part."""

    def __init__(self, llm: LLM, spec: EndpointSpec) -> None:
        self._llm, self._spec = llm, spec

    async def upload(self, lines: Iterable[bytes]) -> str:
        """The id of a new file of these lines."""
        data = b"".join(lines)
        sent = await self._sent("POST /files", lambda client: client.upload("questions.jsonl", data))
        return self._decoded(sent, _File).id

    async def create(self, file_id: str, mark: str) -> Remote:
        """A new batch. It is sent once: after an error the caller looks with `find` whether it was made."""
        asked = {
            "input_file_id": file_id,
            "endpoint": ENDPOINT,
            "completion_window": WINDOW,
            "metadata": {MARK: mark},
        }
        made = await self._exchange("POST", "/batches", msgspec.json.encode(asked), once=True)
        return self._decoded(made, Remote)

    async def find(self, mark: str) -> Remote | None:
        """The batch that was made with this mark, among the newest 5,000."""
        after = ""
        for _ in range(_MOST_PAGES):
            page = self._decoded(await self._exchange("GET", f"/batches?limit={_PAGE}{after}"), _Page)
            for batch in page.data:
                if (batch.metadata or {}).get(MARK) == mark:
                    return batch
            if not page.has_more or not page.data:
                return None
            after = f"&after={quote(page.data[-1].id, safe='')}"
        return None

    async def state(self, batch_id: str) -> Remote:
        return self._decoded(await self._exchange("GET", f"/batches/{quote(batch_id, safe='')}"), Remote)

    async def cancel(self, batch_id: str) -> Remote:
        return self._decoded(await self._exchange("POST", f"/batches/{quote(batch_id, safe='')}/cancel"), Remote)

    async def answers(self, batch: Remote) -> Mapping[str, Line]:
        """What came of each question, by its custom id; questions that nothing is said of are not in it."""
        found: dict[str, Line] = {}
        for file_id in (batch.error_file_id, batch.output_file_id):
            if file_id is None:
                continue
            content = await self._exchange("GET", f"/files/{quote(file_id, safe='')}/content")
            for raw in content.splitlines():
                if raw.strip() and (line := self._line(raw)) is not None:
                    found[line[0]] = line[1]
        return found

    async def read(self, line: Line) -> Reply:
        """The reply that a line holds, as a call would give or raise it (`ModelFaultError`, `EndpointError`)."""
        if line.error is not None:
            raise EndpointError("server", f"endpoint {self._spec.name!r}: {line.error}", retryable=True)
        return await self._llm.read(self._spec, line.status, line.body)

    def _line(self, raw: bytes) -> tuple[str, Line] | None:
        try:
            line = _lines.decode(raw)
        except msgspec.MsgspecError:
            return None  # its question counts as one that nothing is said of
        if line.response is None or not line.response.status_code:
            why = line.error.message or line.error.code if line.error is not None else None
            return line.custom_id, Line(0, b"", f"the batch did not answer: {why or 'no reason given'}")
        return line.custom_id, Line(line.response.status_code, bytes(line.response.body))

    async def _exchange(self, method: str, path: str, body: bytes = b"", *, once: bool = False) -> bytes:
        what = f"{method} {path.partition('?')[0]}"
        return await self._sent(what, lambda client: client.exchange(method, path, body), once=once)

    async def _sent(self, what: str, send: Callable[["Client"], Awaitable[bytes]], *, once: bool = False) -> bytes:
        try:
            return await self._llm.exchange(self._spec, send, once=once)
        except EndpointError as error:
            if error.upstream_status not in (404, 405):
                raise
            fix = "if it has no Batch API, take `batch` out of it"
            detail = f"endpoint {self._spec.name!r} answered {error.upstream_status} to {what}: {fix}"
            raise EndpointError("not_found", detail, status=error.upstream_status) from error

    def _decoded(self, data: bytes, kind: type[T]) -> T:
        try:
            return msgspec.json.decode(data, type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            detail = f"endpoint {self._spec.name!r} answered with something else than a Batch API's ({error})"
            raise EndpointError("bad_response", detail, retryable=False, status=200) from error
