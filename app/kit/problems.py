"""The single renderer of errors: everything that fails answers `application/problem+json`."""

import logging
import re
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.types import ExceptionHandlersMap

from app.kit.errors import DomainError, FieldError

logger = logging.getLogger("promptward")

MEDIA_TYPE = "application/problem+json"
_PATH = re.compile(r"^(?P<message>.*?)(?: - at `(?P<path>[^`]*)`)?$", re.DOTALL)
_NAMED_FIELD = re.compile(r"(?:unknown|required) field `(?P<name>[^`]+)`")
_HTTP_SLUGS = {400: "bad-request", 401: "unauthorized", 403: "forbidden", 404: "not-found", 405: "method-not-allowed", 413: "too-large", 415: "unsupported-media-type", 429: "rate-limited", 503: "unavailable"}


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """RFC 9457. `type` is stable: `urn:promptward:<slug>`."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[FieldError] = []
    instance: str | None = None


def pointer_of(path: str) -> str:
    """msgspec's path (`$.a[0].b`, `$[...]`, `key` in ``$.a``) as a JSON pointer."""
    parts = re.findall(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]", path)
    return "".join("/" + (name or index).replace("~", "~0").replace("/", "~1") for name, index in parts if (name or index) != "...")


def field_error(error: Exception, pointer: str = "") -> FieldError:
    """The field that msgspec's message names, and what is wrong with it."""
    match = _PATH.match(str(error))
    assert match is not None  # the pattern matches every string
    message, path = match["message"], pointer + pointer_of(match["path"] or "$")
    if named := _NAMED_FIELD.search(message):
        path = f"{path}/{named['name']}"
    return FieldError(path, message)


def render(request: Request[Any, Any, Any], problem: Problem, headers: dict[str, str] | None = None) -> Response[bytes]:
    del request
    return Response(msgspec.json.encode(problem), status_code=problem.status, media_type=MEDIA_TYPE, headers=headers)


def on_domain_error(request: Request[Any, Any, Any], error: DomainError) -> Response[bytes]:
    headers = {"WWW-Authenticate": 'Bearer realm="promptward"'} if error.status == 401 else None
    return render(request, Problem(f"urn:promptward:{error.slug}", error.title, error.status, error.detail, error.errors), headers)


def on_http_error(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    slug = _HTTP_SLUGS.get(error.status_code, "error")
    detail, errors = error.detail or slug, []
    cause = error.__cause__
    if isinstance(cause, msgspec.MsgspecError):
        errors = [field_error(cause)]
        detail = f"{errors[0].pointer or '/'}: {errors[0].detail}"
    elif isinstance(error, ValidationException) and isinstance(error.extra, list):
        errors = [FieldError("/" + str(e.get("key", "")).replace(".", "/"), str(e.get("message", ""))) for e in error.extra if isinstance(e, dict)]
        errors = [_without_data_key(e) for e in errors]
        detail = "; ".join(f"{e.pointer or '/'}: {e.detail}" for e in errors) or detail
    title = {404: "Not found", 405: "Method not allowed", 400: "The request is malformed"}.get(error.status_code, slug.replace("-", " ").capitalize())
    return render(request, Problem(f"urn:promptward:{slug}", title, error.status_code, detail, errors), dict(error.headers or {}))


def _without_data_key(error: FieldError) -> FieldError:
    """Litestar files a body's first error under `data`; the name of the field is in the message."""
    inner = field_error(ValueError(error.detail))
    pointer = "" if error.pointer == "/data" else error.pointer
    return FieldError(pointer if inner.pointer in ("", pointer) else pointer + inner.pointer, inner.detail)


def on_bug(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    logger.error("unhandled error on %s %s", request.method, request.url.path, exc_info=error)
    problem = Problem("urn:promptward:internal", "Our own fault", 500, f"{type(error).__name__}: it was logged; please report it")
    return render(request, problem)


exception_handlers: ExceptionHandlersMap = {DomainError: on_domain_error, HTTPException: on_http_error, Exception: on_bug}  # type: ignore[dict-item]
