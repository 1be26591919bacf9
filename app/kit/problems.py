"""The single renderer of errors: everything that fails answers `application/problem+json`."""

import logging
import re
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.types import ExceptionHandlersMap

from app.kit.errors import DomainError, FieldError, GoneError

logger = logging.getLogger("promptward")

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = "5"
"""Where nothing better is known."""
_NAMED_FIELD = re.compile(r"(?:unknown|required) field `(?P<name>[^`]+)`")
_HTTP_SLUGS = {
    400: "bad-request",
    401: "unauthorized",
    403: "forbidden",
    404: "not-found",
    405: "method-not-allowed",
    413: "too-large",
    415: "unsupported-media-type",
    429: "rate-limited",
    503: "unavailable",
}


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """RFC 9457. `type` is stable: `urn:promptward:<slug>`. `successor` comes after what is gone."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[FieldError] = []
    instance: str | None = None
    successor: str | None = None


def pointer_of(path: str) -> str:
    """msgspec's path (`$.a[0].b`, `$[...]`, `key` in ``$.a``) as a JSON pointer."""
    parts = re.findall(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]", path)
    return "".join(
        "/" + (name or index).replace("~", "~0").replace("/", "~1") for name, index in parts if (name or index) != "..."
    )


def field_error(error: Exception, pointer: str = "") -> FieldError:
    """The field that msgspec's message names, and what is wrong with it."""
    message, _, at = str(error).partition(" - at `")
    path = pointer + pointer_of(at.rstrip("`") or "$")
    if named := _NAMED_FIELD.search(message):
        path = f"{path}/{named['name']}"
    return FieldError(path, message)


def render(request: Request[Any, Any, Any], problem: Problem, headers: dict[str, str] | None = None) -> Response[bytes]:
    del request
    return Response(msgspec.json.encode(problem), status_code=problem.status, media_type=MEDIA_TYPE, headers=headers)


def with_retry_after(status: int, headers: dict[str, str]) -> dict[str, str]:
    """Whoever is told to come back later is told when."""
    return {"Retry-After": RETRY_AFTER_S, **headers} if status in (429, 503) else headers


def on_domain_error(request: Request[Any, Any, Any], error: DomainError) -> Response[bytes]:
    headers = {"WWW-Authenticate": 'Bearer realm="promptward"'} if error.status == 401 else error.headers
    headers = with_retry_after(error.status, headers)
    successor = error.successor if isinstance(error, GoneError) else None
    kind = f"urn:promptward:{error.slug}"
    problem = Problem(kind, error.title, error.status, error.detail, error.errors, successor=successor)
    return render(request, problem, headers)


def on_http_error(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    slug = _HTTP_SLUGS.get(error.status_code, "error")
    detail, errors = error.detail or slug, []
    cause = error.__cause__
    if isinstance(cause, msgspec.MsgspecError):
        errors = [_in_the_body(field_error(cause))]
        detail = f"{errors[0].pointer or '/'}: {errors[0].detail}"
    elif isinstance(error, ValidationException) and isinstance(error.extra, list):
        errors = [
            _without_data_key(str(e.get("key", "")), str(e.get("message", "")))
            for e in error.extra
            if isinstance(e, dict)
        ]
        detail = "; ".join(f"{e.pointer or '/'}: {e.detail}" for e in errors) or detail
    title = {404: "Not found", 405: "Method not allowed", 400: "The request is malformed"}.get(
        error.status_code, slug.replace("-", " ").capitalize()
    )
    headers = with_retry_after(error.status_code, dict(error.headers or {}))
    return render(request, Problem(f"urn:promptward:{slug}", title, error.status_code, detail, errors), headers)


def _in_the_body(error: FieldError) -> FieldError:
    """Litestar decodes a body as the handler's argument `data`; users know only what they sent."""
    return FieldError(error.pointer.removeprefix("/data"), error.detail)


def _without_data_key(key: str, message: str) -> FieldError:
    """The first error of a body as Litestar files it (`data.<path>`); an unknown field's name is in the message."""
    parts = [part for part in re.split(r"[.\[\]]+", key) if part]
    return _in_the_body(field_error(ValueError(message), "".join(f"/{part}" for part in parts)))


def on_recursion(request: Request[Any, Any, Any], error: RecursionError) -> Response[bytes]:
    """JSON nested so deep that decoding gave up."""
    del error
    problem = Problem("urn:promptward:bad-request", "The request is malformed", 400, "the body is nested too deeply")
    return render(request, problem)


def on_bug(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    logger.error("unhandled error on %s %s", request.method, request.url.path, exc_info=error)
    problem = Problem(
        "urn:promptward:internal", "Our own fault", 500, f"{type(error).__name__}: it was logged; please report it"
    )
    return render(request, problem)


exception_handlers: ExceptionHandlersMap = {
    RecursionError: on_recursion,
    DomainError: on_domain_error,
    HTTPException: on_http_error,
    Exception: on_bug,
}
