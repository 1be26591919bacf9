"""What the routes of all kinds share."""

from collections.abc import Sequence
from typing import Any

from litestar.datastructures import ResponseHeader
from litestar.types.internal_types import PathParameterDefinition

from app.kit.errors import BadRequestError

MAX_REASON = 10_000
ETAG = [ResponseHeader(name="ETag", description="The digest of the content", documentation_only=True)]


def operation(verb: str) -> Any:
    """Operation ids that say the kind: `create_version` under /prompts is `prompts_create_version`."""

    def named(_handler: Any, _method: Any, path: Sequence[str | PathParameterDefinition]) -> str:
        return f"{str(path[2]).replace('-', '_')}_{verb}"

    return named


def checked_reason(reason: str) -> str:
    """A reason in a query: short enough, and text that every database can hold."""
    if len(reason) > MAX_REASON or "\x00" in reason:
        raise BadRequestError.at("/reason", f"a reason has at most {MAX_REASON} characters, and no NUL")
    return reason
