"""From what somebody asks to release to exactly one content, pinned."""

from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from app.access.schemas import Caller
from app.generation.bundles import resolve_bundle
from app.generation.schemas import Bundle, CandidateSpec, Draft
from app.kit.errors import InvalidContentError, NotFoundError
from app.kit.ids import new_id
from app.registry.environments import Rules
from app.registry.service import Registry
from app.releases.schemas import ReleaseCreate, Rollout, Step
from app.releases.tables import ReleaseRow


class Content(NamedTuple):
    """The bundle, and the name, number and author of its prompt."""

    bundle: Bundle
    name: str
    version: int
    author: str


async def resolved(registry: Registry, asked: ReleaseCreate) -> Content:
    """Raises `InvalidContentError` with the place of whatever is unknown, unnamed or does not fit."""
    if isinstance(asked.prompt, Draft):
        raise InvalidContentError.at(
            "/prompt",
            "what is released needs a name and a version, for an environment's rules go by name: "
            "POST /api/v1/prompts/{name}/versions, or `promptward sync`, and release that",
        )
    try:
        prompt = await registry.resolve("prompt", asked.prompt)
    except NotFoundError as error:
        raise InvalidContentError.at("/prompt", error.detail) from error
    if prompt.name is None or prompt.number is None:
        raise InvalidContentError.at(
            "/prompt", f"{asked.prompt!r} is a draft; only a version can carry an environment's label"
        )
    given = CandidateSpec(prompt.ref, asked.rag_config, asked.tool_config, asked.endpoint, asked.params)
    bundle = await resolve_bundle(registry, given)
    version = await registry.version("prompt", prompt.name, str(prompt.number))
    return Content(bundle, prompt.name, prompt.number, version.author)


def steps(rules: Rules, asked: Rollout | UnsetType | None) -> list[float]:
    """The shares of a rollout below 1 (everybody is what `live` means): the environment's unless the release says others."""
    if asked is None:
        return []
    shares = rules.rollout if asked is UNSET else [float(s.share if isinstance(s, Step) else s) for s in asked.steps]
    if any(a >= b for a, b in pairwise(shares)):
        raise InvalidContentError.at("/rollout/steps", f"the shares must rise from step to step, not {shares}")
    return [share for share in shares if share < 1]


def new_row(
    caller: Caller, asked: ReleaseCreate, content: Content, shares: list[float], needed: int, now: datetime
) -> ReleaseRow:
    """The release before its first event, with everything pinned by digest."""
    bundle = content.bundle
    pins = {
        "prompt": bundle.prompt_digest,
        "rag_config": bundle.rag_digest,
        "tool_config": bundle.tools_digest,
        "endpoint": bundle.endpoint_digest,
    }
    # By digest, so that it is resolved to the same content for ever; null is none, and the prompt's own is pinned here.
    spec = {
        "prompt": f"{content.name}@{content.version}",
        "rag_config": bundle.rag_digest,
        "tool_config": bundle.tools_digest,
        "endpoint": bundle.endpoint_digest,
        "params": bundle.params,
    }
    return ReleaseRow(
        project_id=caller.project_id,
        id=new_id("rel"),
        environment=asked.environment,
        name=content.name,
        version=content.version,
        bundle=bundle.digest,
        spec=spec,
        refs=msgspec.to_builtins(bundle.refs),
        pins={part: digest for part, digest in pins.items() if digest is not None},
        state="evaluating",
        revision=0,
        evaluation=1,
        offered_run=asked.run,
        evidence={},
        steps=shares,
        share=0.0,
        verdicts=[],
        approvals_needed=needed,
        overruled=[],
        reason="",
        notes=asked.notes,
        author=caller.actor,
        author_key=caller.key_id,
        content_author=content.author,
        created_at=now,
        updated_at=now,
    )
