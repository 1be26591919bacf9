"""What is live, as a product fetches it: encoded once per content, tagged by its bytes."""

from hashlib import sha256
from typing import Any, NamedTuple

import msgspec

from app.generation.schemas import Bundle
from app.registry.contents import plain
from app.releases.schemas import Deployment, LiveArm

KEPT = 1_000


class LivePrompt(msgspec.Struct, frozen=True):
    """What serves a prompt in an environment. It says nothing that is not content, so that equal bytes are equal content; the
    release is in the header `x-promptward-release`. Keys are not in it: an endpoint names the variable that holds its own."""

    name: str
    environment: str
    version: int
    digest: str
    bundle: str
    content: dict[str, Any]
    rag_config: dict[str, Any] | None
    tool_config: dict[str, Any] | None
    endpoint: dict[str, Any]
    params: dict[str, Any]


class Encoded(NamedTuple):
    body: bytes
    etag: str


class LivePrompts:
    """Encoded bodies by what they are of; contents never change."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str, str, int, str], Encoded] = {}

    def of(self, deployment: Deployment, arm: LiveArm) -> Encoded:
        key = (deployment.project_id, deployment.environment, deployment.prompt, arm.version, arm.bundle.digest)
        found = self._kept.get(key)
        if found is None:
            body = msgspec.json.encode(live_prompt(deployment, arm))
            found = Encoded(body, f'"{sha256(body).hexdigest()[:40]}"')
            if len(self._kept) >= KEPT:
                self._kept.clear()
            self._kept[key] = found
        return found


def live_prompt(deployment: Deployment, arm: LiveArm) -> LivePrompt:
    bundle = arm.bundle
    return LivePrompt(
        name=deployment.prompt,
        environment=deployment.environment,
        version=arm.version,
        digest=bundle.prompt_digest,
        bundle=bundle.digest,
        content=plain(bundle.prompt),
        rag_config=_part(bundle.rag_digest, bundle.rag),
        tool_config=_part(bundle.tools_digest, bundle.tools),
        endpoint=_endpoint(bundle),
        params=bundle.params,
    )


def _part(digest: str | None, content: Any) -> dict[str, Any] | None:
    return None if content is None else {"digest": digest, "content": plain(content)}


def _endpoint(bundle: Bundle) -> dict[str, Any]:
    shown = plain(bundle.endpoint)
    kept = ("provider", "base_url", "model", "params", "timeout_s")
    return {"name": bundle.spec.name, "digest": bundle.endpoint_digest, **{k: shown[k] for k in kept if k in shown}}
