"""Why a call gave no answer.

EndpointError     infrastructure: an errored cell, never a score
ModelFaultError   the model's own fault: a failed cell, scored 0
"""

from typing import Literal

from app.kit.errors import UpstreamError

EndpointErrorKind = Literal[
    "connection",
    "timeout",
    "auth",
    "rate_limit",
    "server",
    "bad_request",
    "bad_response",
    "not_configured",
    "not_found",
    "not_recorded",
]
ModelFaultKind = Literal["content_filter", "context_length"]


class EndpointError(UpstreamError):
    """The endpoint did not give an answer that can be used. `status` is its HTTP status, if it sent one.

    `retryable` says whether the same call may succeed later; by the time that callers see the error, the retries are over.
    `detail` names the endpoint, the place and the fix, and never a key.
    """

    def __init__(
        self,
        kind: EndpointErrorKind,
        detail: str,
        *,
        retryable: bool = False,
        status: int | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.retryable = retryable
        self.upstream_status = status
        self.retry_after_s = retry_after_s


class ModelFaultError(Exception):
    """The endpoint works and the model did not answer: its filter cut in, or the prompt does not fit its window."""

    def __init__(self, kind: ModelFaultKind, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
