"""Model endpoints: where a model is called, with which limits and at what price. Keys are named, never stored."""

import re
from collections.abc import Iterable
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl, urlsplit

import msgspec

from app.kit.errors import FieldError
from app.kit.pointers import escape
from app.registry.kinds.base import Content, Kind, Tag

ENVIRONMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FIX = "put the key into an environment variable of the service and name that one: api_key: {env: NAME}"
_SECRET_NAMES = frozenset(
    [
        "api_key",
        "apikey",
        "x_api_key",
        "authorization",
        "proxy_authorization",
        "auth",
        "auth_token",
        "access_token",
        "bearer",
        "bearer_token",
        "secret",
        "client_secret",
        "secret_key",
        "password",
        "passwd",
        "cookie",
    ]
)
_KEY = re.compile(
    r"\b(?:sk|pk|rk|gsk|xai|hf|pw|ghp)[-_][A-Za-z0-9_-]{20,}|\bAKIA[0-9A-Z]{16}\b|\bAIza[0-9A-Za-z_-]{30,}"
    r"|\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.|\b[Bb]earer\s+\S{8,}"
)
"""What the keys of common providers look like, and our own."""


class FromEnvironment(Content, frozen=True):
    """A value that the process reads from the environment variable `env` when it is needed."""

    env: str


class Limits(Content, frozen=True):
    """Requests and tokens per minute, and calls in flight at most."""

    rpm: Annotated[int, msgspec.Meta(ge=1)] | None = None
    tpm: Annotated[int, msgspec.Meta(ge=1)] | None = None
    max_concurrency: Annotated[int, msgspec.Meta(ge=1, le=4096)] = 64


class Price(Content, frozen=True):
    """US dollars per million tokens."""

    input: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    output: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    cached_input: Annotated[float, msgspec.Meta(ge=0)] | None = None


class Batch(Content, frozen=True):
    """The endpoint has OpenAI's Batch API, which answers within a day for `discount` less (0.5: half the price)."""

    discount: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.5


class Endpoint(Content, frozen=True):
    """`replay` answers from an item's `recorded.<model>` and calls nothing; `openai` has its own base_url."""

    provider: Literal["openai", "azure", "compatible", "http", "replay"]
    model: Annotated[str, msgspec.Meta(min_length=1)]
    description: str = ""
    base_url: str | FromEnvironment | None = None
    api_key: FromEnvironment | None = None
    params: dict[str, Any] = {}
    limits: Limits = msgspec.field(default_factory=Limits)
    price: Price | None = None
    timeout_s: Annotated[float, msgspec.Meta(gt=0, le=3600)] = 60.0
    tags: list[Tag] = []
    batch: Batch | None = None


def problems(endpoint: Endpoint) -> Iterable[FieldError]:
    if endpoint.provider in ("azure", "http"):
        yield FieldError(
            "/provider", f"{endpoint.provider!r} is not available yet; use 'openai', 'compatible' or 'replay'"
        )
    if endpoint.provider == "compatible" and endpoint.base_url is None:
        yield FieldError(
            "/base_url", "a compatible endpoint needs base_url, such as http://127.0.0.1:8000/v1 or {env: NAME}"
        )
    if endpoint.batch is not None and endpoint.provider in ("http", "replay"):
        yield FieldError("/batch", f"a Batch API is OpenAI's; an endpoint of provider {endpoint.provider!r} has none")
    if isinstance(endpoint.base_url, str):
        if not endpoint.base_url.startswith(("http://", "https://")):
            yield FieldError("/base_url", "base_url starts with http:// or https://")
        yield from _secrets_in_url(endpoint.base_url)
    yield from _secrets_in(endpoint.params, "/params")
    for pointer, named in (("/base_url/env", endpoint.base_url), ("/api_key/env", endpoint.api_key)):
        if isinstance(named, FromEnvironment) and (not ENVIRONMENT_NAME.fullmatch(named.env) or _KEY.search(named.env)):
            yield FieldError(pointer, "this must be the NAME of an environment variable, never the value itself")


def _secrets_in_url(url: str) -> Iterable[FieldError]:
    try:
        parsed = urlsplit(url)
        held = parsed.username is not None or parsed.password is not None
    except ValueError:
        yield FieldError("/base_url", "this is no address; one looks like http://127.0.0.1:8000/v1")
        return
    if held:
        yield FieldError("/base_url", f"base_url holds a user name or a password; take it out: {_FIX}")
    for name, value in parse_qsl(parsed.query, keep_blank_values=True):
        if _normal(name) in _SECRET_NAMES or _KEY.search(value):
            yield FieldError("/base_url", f"the query of base_url holds a secret in {name!r}; take it out: {_FIX}")


def _secrets_in(value: Any, pointer: str) -> Iterable[FieldError]:
    """Fields that are called like a secret, and texts that look like one, however deep."""
    if isinstance(value, dict):
        for name, inner in value.items():
            where = f"{pointer}/{escape(name)}"
            if _normal(name) in _SECRET_NAMES:
                yield FieldError(where, f"{name!r} would be stored and shown; take it out: {_FIX}")
            else:
                yield from _secrets_in(inner, where)
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from _secrets_in(inner, f"{pointer}/{i}")
    elif isinstance(value, str) and _KEY.search(value):
        yield FieldError(pointer, f"this looks like a key, which would be stored and shown; take it out: {_FIX}")


def _normal(name: str) -> str:
    return name.lower().replace("-", "_")


KIND = Kind(
    "endpoint",
    "endpoints",
    ".endpoint.yaml",
    Endpoint,
    ("provider", "base_url", "model", "params"),
    problems=problems,
    advice={"/api_key": _FIX},
)
