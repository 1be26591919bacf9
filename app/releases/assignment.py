"""Which unit gets which release: sticky, and the same on every machine."""

from hashlib import sha256

from app.kit.errors import InvalidContentError
from app.releases.schemas import Deployment, LiveArm


def position(release: str, unit: str) -> float:
    """Where in [0, 1) a unit lies for a release: the first 53 bits of SHA-256 over both.

    Another release draws anew, so that the same people are not always the first.
    """
    number = int.from_bytes(sha256(f"{release}\0{unit}".encode()).digest()[:8]) >> 11
    return number / 2**53


def arm_of(deployment: Deployment, unit: str | None) -> LiveArm:
    """The release that serves this unit. Whoever has the candidate keeps it while the share grows.

    Raises `InvalidContentError` at `/unit` when a rollout is going on and no unit is given.
    """
    if deployment.candidate is None:
        return deployment.live
    if not unit:
        raise InvalidContentError.at(
            "/unit",
            f"{deployment.prompt!r} is being rolled out in {deployment.environment}: say for whom (a user's or a "
            "conversation's id), so that everybody keeps the version that they were given",
        )
    if position(deployment.candidate.release, unit) < deployment.share:
        return deployment.candidate
    return deployment.live
