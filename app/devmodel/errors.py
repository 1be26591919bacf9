"""Refusals of the development model, in the shape of OpenAI's error bodies."""

from math import ceil
from typing import Any

_KINDS = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}
_CODES = {401: "invalid_api_key", 429: "rate_limit_exceeded"}


class RequestError(Exception):
    """A request that is refused with a status and an error body as OpenAI's API sends it."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        code: str | None = None,
        param: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        kind = _KINDS.get(status, "server_error" if status >= 500 else "invalid_request_error")
        self.body: dict[str, Any] = {
            "error": {"message": message, "type": kind, "param": param, "code": code or _CODES.get(status)}
        }
        # Whole seconds, as RFC 9110 wants them, and the exact wait beside it, as OpenAI sends it.
        self.headers: list[tuple[bytes, bytes]] = (
            []
            if retry_after_s is None
            else [
                (b"retry-after", b"%d" % ceil(retry_after_s)),
                (b"retry-after-ms", b"%d" % ceil(retry_after_s * 1000)),
            ]
        )
