"""OpenAI's Files and Batches, kept in memory: a batch is answered after it was looked at so many times."""

import itertools
import time
from collections.abc import Callable
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any

import msgspec

from app.devmodel.errors import RequestError
from app.devmodel.wire import encode

Reply = Callable[[bytes], bytes]
"""A chat request's body to a completion; raises RequestError."""

FAULTS = ("failed", "expired", "missing", "lines")
"""`failed` and `expired` batches (the latter answered by half), every second line `missing`, or refused with 500 (`lines`)."""
_LIVE = frozenset(("validating", "in_progress", "finalizing"))
_PAGE = 20


class Batches:
    """`polls`: how often a batch is looked at before it has ended. `fault` is one of `FAULTS`."""

    def __init__(self, polls: int, fault: str | None, reply: Reply) -> None:
        self._polls, self._fault, self._reply = polls, fault, reply
        self._numbers = itertools.count(1)
        self._files: dict[str, bytes] = {}
        self._batches: dict[str, dict[str, Any]] = {}
        self._looks: dict[str, int] = {}

    def count(self) -> int:
        """Batches that were ever made."""
        return len(self._batches)

    def page(self, method: str, path: str, query: dict[str, str], content_type: str, body: bytes) -> bytes:
        """What a request below `/v1/files` or `/v1/batches` is answered with. Raises RequestError."""
        match method, *path.removeprefix("/v1/").split("/"):
            case "POST", "files":
                return encode(self._upload(content_type, body))
            case "GET", "files", str(name), "content" if name in self._files:
                return self._files[name]
            case "POST", "batches":
                return encode(self._create(body))
            case "GET", "batches":
                return encode(self._list(query))
            case "GET", "batches", str(name) if name in self._batches:
                return encode(self._looked_at(name))
            case "POST", "batches", str(name), "cancel" if name in self._batches:
                batch = self._batches[name]
                if batch["status"] in _LIVE:
                    batch["status"] = "cancelled"
                return encode(batch)
        raise RequestError(f"there is no {method} {path} here", status=404, code="not_found")

    def _upload(self, content_type: str, body: bytes) -> dict[str, Any]:
        message = BytesParser(policy=HTTP).parsebytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
        parts = {str(part.get_param("name", header="content-disposition")): part for part in message.iter_parts()}
        if "file" not in parts or "purpose" not in parts or parts["purpose"].get_payload(decode=True) != b"batch":
            raise RequestError("a form with a `file` and the `purpose` batch is needed", param="purpose")
        name = f"file-dev{next(self._numbers)}"
        content = parts["file"].get_payload(decode=True)
        self._files[name] = content if isinstance(content, bytes) else b""
        return {"id": name, "object": "file", "bytes": len(self._files[name]), "purpose": "batch"}

    def _create(self, body: bytes) -> dict[str, Any]:
        asked = msgspec.json.decode(body, type=dict[str, Any])
        if asked.get("input_file_id") not in self._files or asked.get("endpoint") != "/v1/chat/completions":
            raise RequestError("input_file_id names no file, or endpoint is not /v1/chat/completions")
        name = f"batch_dev{next(self._numbers)}"
        made = {
            "id": name,
            "object": "batch",
            "endpoint": asked["endpoint"],
            "input_file_id": asked["input_file_id"],
            "completion_window": asked.get("completion_window"),
            "metadata": asked.get("metadata"),
            "status": "validating",
            "created_at": int(time.time()),
            "output_file_id": None,
            "error_file_id": None,
            "errors": None,
        }
        self._batches[name], self._looks[name] = made, 0
        return made

    def _list(self, query: dict[str, str]) -> dict[str, Any]:
        """Newest first."""
        names = list(reversed(self._batches))
        begin = names.index(query["after"]) + 1 if query.get("after") in self._batches else 0
        size = int(query.get("limit", _PAGE))
        found = [self._batches[name] for name in names[begin : begin + size]]
        return {"object": "list", "data": found, "has_more": len(names) > begin + size}

    def _looked_at(self, name: str) -> dict[str, Any]:
        batch = self._batches[name]
        self._looks[name] += 1
        if batch["status"] in _LIVE:
            batch["status"] = "in_progress"
            if self._looks[name] > self._polls:
                self._end(batch)
        return batch

    def _end(self, batch: dict[str, Any]) -> None:
        if self._fault == "failed":
            batch["status"] = "failed"
            batch["errors"] = {"object": "list", "data": [{"code": "invalid", "message": "told to fail", "line": 1}]}
            return
        lines = [msgspec.json.decode(line) for line in self._files[batch["input_file_id"]].splitlines()]
        answered: list[bytes] = []
        refused: list[bytes] = []
        for number, line in enumerate(lines):
            odd = number % 2 == 1
            if odd and self._fault == "missing":
                continue
            if odd and self._fault == "expired":
                error = {"code": "batch_expired", "message": "This request could not be executed in time."}
                refused.append(self._line(line, None, error))
                continue
            status, body = self._answer(msgspec.json.encode(line["body"]), odd and self._fault == "lines")
            response = {"status_code": status, "request_id": f"req{number}", "body": msgspec.Raw(body)}
            (answered if status == 200 else refused).append(self._line(line, response, None))
        batch["status"] = "expired" if self._fault == "expired" else "completed"
        for field, content in (("output_file_id", answered), ("error_file_id", refused)):
            if content:
                batch[field] = f"file-dev{next(self._numbers)}"
                self._files[batch[field]] = b"\n".join(reversed(content)) + b"\n"  # the order is nobody's promise

    def _answer(self, body: bytes, fails: bool) -> tuple[int, bytes]:
        if fails:
            return 500, encode({"error": {"message": "told to fail", "type": "server_error"}})
        try:
            return 200, self._reply(body)
        except RequestError as error:
            return error.status, encode(error.body)

    def _line(self, line: dict[str, Any], response: Any, error: Any) -> bytes:
        return msgspec.json.encode(
            {
                "id": f"batch_req_{next(self._numbers)}",
                "custom_id": line["custom_id"],
                "response": response,
                "error": error,
            }
        )
