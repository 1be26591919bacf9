"""From what a caller names (references, contents, nothing) to a bundle: the four parts, resolved and pinned."""

from typing import Any

from msgspec import UNSET

from app.generation.schemas import Bundle, CandidateSpec, Draft, Refs
from app.kit.digests import DIGEST_PREFIX, digest
from app.kit.errors import FieldError, InvalidContentError, NotFoundError
from app.kit.templates import check
from app.llm.schemas import EndpointSpec, Limits, Price
from app.registry.composition import expanded
from app.registry.contents import unrepresentable
from app.registry.kinds.endpoint import Endpoint, FromEnvironment
from app.registry.kinds.prompt import NOT_PARAMS
from app.registry.schemas import Artifact
from app.registry.service import Registry, deciding

SHORT = len(DIGEST_PREFIX) + 12


async def resolve_bundle(
    registry: Registry,
    spec: CandidateSpec,
    endpoint: str | Draft | None = None,
    *,
    pointer: str = "",
    keep: bool = True,
) -> Bundle:
    """The bundle of a candidate; `endpoint` is where it is called when it names none itself.

    Contents are kept by their digest (drafts) unless `keep` is false. `pointer` stands before the pointers of errors. Raises
    `InvalidContentError` with the place of whatever is unknown or does not fit.
    """
    parts = _Parts(registry, pointer, keep)
    prompt = await parts.named("prompt", spec.prompt, "/prompt")
    content = await expanded(prompt, registry.by_digest)
    rag = await parts.optional("rag_config", spec.rag_config, "/rag_config", prompt, "/rag", prompt.content.rag)
    tools = await parts.optional(
        "tool_config", spec.tool_config, "/tool_config", prompt, "/tools", prompt.content.tools
    )
    where = spec.endpoint if spec.endpoint is not None else endpoint
    if where is None:
        raise parts.error("/endpoint", "name the endpoint to call: a reference, or {content}")
    called = await parts.named("endpoint", where, "/endpoint")
    _check_params(parts, spec.params, called.content)
    if rag is not None and (unknown := check(rag.artifact.content.query) - set(content.variables)):
        names = ", ".join(sorted(unknown))
        raise parts.error("/rag_config", f"its query uses {names}, which the prompt does not declare as variables")
    digests = {
        "prompt": prompt.digest,
        "rag_config": rag.artifact.digest if rag else None,
        "tool_config": tools.artifact.digest if tools else None,
        "endpoint": called.digest,
    }
    decides = [deciding(a) for a in (prompt, called, *(part.artifact for part in (rag, tools) if part))]
    params = {"params": spec.params} if spec.params else {}
    return Bundle(
        project_id=registry.repository.project_id,
        prompt=content,
        prompt_digest=prompt.digest,
        endpoint=called.content,
        endpoint_digest=called.digest,
        spec=endpoint_spec(called),
        digest=digest(digests | params),
        deciding=digest({"parts": decides} | params),
        refs=Refs(shown(prompt), shown(called), rag.ref if rag else None, tools.ref if tools else None),
        rag=rag.artifact.content if rag else None,
        rag_digest=digests["rag_config"],
        corpus_digest=rag.artifact.pins["/corpus"] if rag else None,
        tools=tools.artifact.content if tools else None,
        tools_digest=digests["tool_config"],
        params=spec.params,
    )


def endpoint_spec(artifact: Artifact) -> EndpointSpec:
    """An endpoint of the registry as the calling room knows it."""
    content: Endpoint = artifact.content
    if content.provider not in ("openai", "compatible", "replay"):
        raise InvalidContentError.at("/endpoint/provider", f"{content.provider!r} is not available yet")
    base_url = content.base_url
    return EndpointSpec(
        name=artifact.name or shown(artifact),
        provider=content.provider,
        model=content.model,
        digest=artifact.digest,
        base_url=base_url if isinstance(base_url, str) else None,
        base_url_env=base_url.env if isinstance(base_url, FromEnvironment) else None,
        api_key_env=content.api_key.env if content.api_key else None,
        params=content.params,
        limits=Limits(content.limits.rpm, content.limits.tpm, content.limits.max_concurrency),
        price=Price(content.price.input, content.price.output, content.price.cached_input) if content.price else None,
        timeout_s=content.timeout_s,
    )


def shown(artifact: Artifact) -> str:
    """`name@number`; of content without a version the digest, shortened, behind the name if it was found by one."""
    digest = artifact.digest[:SHORT]
    if artifact.name is None:
        return digest
    return f"{artifact.name}@{artifact.number}" if artifact.number else f"{artifact.name}@{digest}"


class _Part:
    """A resolved part and how it is shown."""

    def __init__(self, artifact: Artifact, ref: str) -> None:
        self.artifact, self.ref = artifact, ref


class _Parts:
    def __init__(self, registry: Registry, pointer: str, keep: bool) -> None:
        self._registry, self._pointer, self._keep = registry, pointer, keep

    async def named(self, kind: str, given: str | Draft, place: str) -> Artifact:
        """A reference (a whole digest counts as one), or a content."""
        if isinstance(given, Draft):
            pointer = f"{self._pointer}{place}/content"
            if self._keep:
                return await self._registry.draft(kind, given.content, pointer=pointer)
            return (await self._registry.prepare(kind, given.content, pointer=pointer)).artifact()
        try:
            if given.startswith(DIGEST_PREFIX):
                return await self._registry.by_digest(kind, given)
            return await self._registry.resolve(kind, given)
        except NotFoundError as error:
            raise self.error(place, error.detail) from error

    async def optional(
        self, kind: str, given: Any, place: str, prompt: Artifact, pin: str, written: str | None
    ) -> _Part | None:
        """Left out: what the prompt pins at `pin`, which it wrote as `written`. Null: none."""
        if given is None:
            return None
        if given is not UNSET:
            artifact = await self.named(kind, given, place)
            return _Part(artifact, shown(artifact))
        if written is None:
            return None
        artifact = await self._registry.by_digest(kind, prompt.pins[pin])
        return _Part(artifact, f"{written.partition('@')[0]}@{artifact.digest[:SHORT]}")

    def error(self, place: str, detail: str) -> InvalidContentError:
        pointer = self._pointer + place
        return InvalidContentError(f"{pointer}: {detail}", [FieldError(pointer, detail)])


def _check_params(parts: _Parts, params: dict[str, Any], endpoint: Endpoint) -> None:
    if (problem := next(iter(unrepresentable(params, "/params")), None)) is not None:
        raise parts.error(problem.pointer, problem.detail)
    for place, given in (("/params", params), ("/endpoint/params", endpoint.params)):
        for name in given:
            if name in NOT_PARAMS:
                raise parts.error(f"{place}/{name}", f"{name!r} cannot be set here: {NOT_PARAMS[name]}")
