"""What releases made live, for rooms that evaluate it."""

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from app.generation.schemas import CandidateSpec
from app.releases.repository import Repository


async def live_candidates(session: AsyncSession, project_id: str, environment: str) -> dict[str, CandidateSpec]:
    """By prompt, exactly what serves in an environment; the endpoint also by its name, so that people know it again."""
    repository = Repository(session, project_id)
    found = {}
    for place in await repository.live():
        if place.environment == environment and place.live is not None:
            release = await repository.release(place.live)
            spec = msgspec.convert(release.spec, CandidateSpec)
            name, at, _ = str(release.refs.get("endpoint") or "").partition("@")
            if at and "endpoint" in release.pins:
                spec = msgspec.structs.replace(spec, endpoint=f"{name}@{release.pins['endpoint']}")
            found[place.name] = spec
    return found
