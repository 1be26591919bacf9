"""The one tree of errors that users can meet.

    DomainError
    ├── BadRequestError        400  bad-request          the request itself is malformed
    ├── UnauthorizedError      401  unauthorized         no key, or not a valid one
    ├── ForbiddenError         403  forbidden            the key's role may not do this
    │   └── LabelProtectedError 403 label-protected      an environment's label moves by a release alone
    ├── NotFoundError          404  not-found
    ├── ConflictError          409  conflict
    ├── GoneError              410  gone                 it was retired; `successor` comes after it
    ├── PreconditionFailedError 412 precondition-failed
    ├── TooLargeError          413  too-large
    ├── UnsupportedMediaError  415  unsupported-media-type
    ├── InvalidContentError    422  invalid-content      well-formed, but it cannot be stored or run
    ├── BudgetError            422  budget               a budget that does not allow a single call
    ├── RateLimitedError       429  rate-limited         too many in a time; it says when to come back
    ├── UpstreamError          502  upstream             a model endpoint failed
    └── UnavailableError       503  unavailable

Each class carries its slug and its status; `app/kit/problems.py` renders all of them as problem+json and the command line
maps the same slugs to exit codes.
"""

from collections.abc import Sequence
from typing import ClassVar
from urllib.parse import quote

import msgspec


class FieldError(msgspec.Struct, frozen=True):
    """One bad field: `pointer` is a JSON pointer (RFC 6901) into what was sent, `detail` a sentence with the fix."""

    pointer: str
    detail: str


class DomainError(Exception):
    """An expected failure. `detail` is a sentence for the user; `errors` point at the fields."""

    slug: ClassVar[str] = "error"
    status: ClassVar[int] = 500
    title: ClassVar[str] = "Error"

    def __init__(self, detail: str, errors: Sequence[FieldError] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = list(errors)
        self.headers: dict[str, str] = {}

    @classmethod
    def at(cls, pointer: str, detail: str) -> "DomainError":
        """The error of one field."""
        return cls(f"{pointer or '/'}: {detail}", [FieldError(pointer, detail)])


class BadRequestError(DomainError):
    slug, status, title = "bad-request", 400, "The request is malformed"


class UnauthorizedError(DomainError):
    slug, status, title = "unauthorized", 401, "A valid key is needed"


class ForbiddenError(DomainError):
    slug, status, title = "forbidden", 403, "This key may not do that"


class LabelProtectedError(ForbiddenError):
    slug, title = "label-protected", "An environment's label moves by a release alone"


class NotFoundError(DomainError):
    slug, status, title = "not-found", 404, "Not found"


class ConflictError(DomainError):
    slug, status, title = "conflict", 409, "Conflict"


class GoneError(DomainError):
    slug, status, title = "gone", 410, "Retired"

    def __init__(self, detail: str, successor: str | None) -> None:
        super().__init__(f"{detail}; use {successor!r} instead" if successor else detail)
        self.successor = successor
        if successor is not None:
            self.headers["Link"] = f'</api/v1/prompts/{quote(successor, safe="")}>; rel="successor-version"'


class PreconditionFailedError(DomainError):
    slug, status, title = "precondition-failed", 412, "It has changed in the meantime"


class TooLargeError(DomainError):
    slug, status, title = "too-large", 413, "Too large"


class UnsupportedMediaError(DomainError):
    slug, status, title = "unsupported-media-type", 415, "This media type is not understood here"


class InvalidContentError(DomainError):
    slug, status, title = "invalid-content", 422, "The content is not valid"


class BudgetError(DomainError):
    slug, status, title = "budget", 422, "The budget does not allow this"


class RateLimitedError(DomainError):
    slug, status, title = "rate-limited", 429, "Too many requests"

    def __init__(self, detail: str, retry_after_s: int) -> None:
        super().__init__(detail)
        self.headers = {"Retry-After": str(retry_after_s)}


class UpstreamError(DomainError):
    slug, status, title = "upstream", 502, "A model endpoint failed"


class UnavailableError(DomainError):
    slug, status, title = "unavailable", 503, "Not available now"
