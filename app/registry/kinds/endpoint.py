"""Model endpoints: where a model is called, with which limits and at what price. Keys are named, never stored."""

import re
from collections.abc import Iterable
from typing import Annotated, Any, Literal

import msgspec

from app.kit.errors import FieldError
from app.registry.kinds.base import Content, Kind, Tag

ENVIRONMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


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


def problems(endpoint: Endpoint) -> Iterable[FieldError]:
    if endpoint.provider in ("azure", "http"):
        yield FieldError(
            "/provider", f"{endpoint.provider!r} is not available yet; use 'openai', 'compatible' or 'replay'"
        )
    if endpoint.provider == "compatible" and endpoint.base_url is None:
        yield FieldError(
            "/base_url", "a compatible endpoint needs base_url, such as http://127.0.0.1:8000/v1 or {env: NAME}"
        )
    if isinstance(endpoint.base_url, str) and not endpoint.base_url.startswith(("http://", "https://")):
        yield FieldError("/base_url", "base_url starts with http:// or https://")
    for pointer, named in (("/base_url/env", endpoint.base_url), ("/api_key/env", endpoint.api_key)):
        if isinstance(named, FromEnvironment) and not ENVIRONMENT_NAME.fullmatch(named.env):
            yield FieldError(pointer, "this must be the NAME of an environment variable, never the value itself")


KIND = Kind(
    "endpoint", "endpoints", ".endpoint.yaml", Endpoint, ("provider", "base_url", "model", "params"), problems=problems
)
