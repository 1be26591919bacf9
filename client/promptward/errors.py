"""What can go wrong when the service is asked for something.

PromptwardError               the service refused or failed: `slug`, `status`, `detail`, `errors`
└── ConnectionFailedError     no answer came at all (slug `connection-failed`, status 0)
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import httpx2
import msgspec

_PREFIX = "urn:promptward:"


class FieldProblem(NamedTuple):
    """One bad field of a request: a JSON pointer (RFC 6901) into what was sent, and what is wrong with it."""

    pointer: str
    detail: str


class PromptwardError(Exception):
    """The service answered with an error.

    `slug` is stable and meant for programs (`not-found`, `invalid-content`, …); `detail` is a sentence for people;
    `status` the HTTP status; `errors` the bad fields.
    """

    def __init__(
        self, detail: str, *, slug: str = "error", status: int = 0, errors: Iterable[FieldProblem] = ()
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.slug = slug
        self.status = status
        self.errors = list(errors)


class ConnectionFailedError(PromptwardError):
    """The service could not be reached, broke the connection, or did not answer in time."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail, slug="connection-failed")


class _Problem(msgspec.Struct):
    """RFC 9457, as far as we need it."""

    type: str = ""
    title: str = ""
    status: int = 0
    detail: str = ""
    errors: list[dict[str, Any]] = []


def error_of(response: httpx2.Response) -> PromptwardError:
    """The error in a response whose body has been read.

    An answer that is not problem+json did not come from the service but from something before it (a proxy, another
    program on that port); the error then says what was received.
    """
    media_type = response.headers.get("content-type", "").partition(";")[0].strip()
    if media_type == "application/problem+json":
        return problem_error(response.content, response.status_code)
    where = f"{response.request.method} {response.request.url}"
    received = f"HTTP {response.status_code} with {media_type or 'no content type'}"
    return PromptwardError(
        f"{where} answered {received}, which is not an answer of Promptward; is the address right?",
        slug="bad-response",
        status=response.status_code,
    )


def problem_error(data: bytes, status: int | None = None) -> PromptwardError:
    """The error of a problem document."""
    try:
        problem = msgspec.json.decode(data, type=_Problem)
    except msgspec.MsgspecError:
        return PromptwardError("the answer is not a problem document", slug="bad-response", status=status or 0)
    fields = [FieldProblem(str(e.get("pointer", "")), str(e.get("detail", ""))) for e in problem.errors]
    return PromptwardError(
        problem.detail or problem.title,
        slug=problem.type.removeprefix(_PREFIX) or "error",
        status=problem.status if status is None else status,
        errors=fields,
    )
