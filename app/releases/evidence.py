"""What a release must show, as the environment asks for it now, and whether what it has shown is still that."""

from datetime import datetime

import msgspec

from app.kit.errors import InvalidContentError, NotFoundError
from app.registry.environments import Rules
from app.registry.kinds.gate_policy import GatePolicy
from app.registry.service import Artifact, Registry


class Demand(msgspec.Struct, frozen=True):
    """A suite and the policy that judges it, both as exact versions."""

    suite: Artifact
    policy: Artifact

    @property
    def pins(self) -> dict[str, str]:
        name = self.suite.name or self.suite.digest
        return {f"suite/{name}": self.suite.digest, f"policy/{name}": self.policy.digest}


async def demands(registry: Registry, rules: Rules, environment: str, name: str) -> list[Demand]:
    """What `environment` asks of a prompt. Raises `InvalidContentError` at `/prompt` when it asks for nothing."""
    asked = rules.prompts.get(name)
    if asked is None or not asked.suites:
        known = ", ".join(rules.prompts) or "no prompt"
        raise InvalidContentError.at(
            "/prompt",
            f"{environment} names no suite for {name!r} (it names {known}), so that nothing could show that it is good "
            f"enough; declare environments.{environment}.prompts.{name}.suites in promptward.yaml and sync, or "
            f"PUT /api/v1/environments/{environment}",
        )
    found = []
    for ref in asked.suites:
        try:
            suite = await registry.resolve("suite", ref)
            if asked.policy is not None:
                policy = await registry.resolve("gate_policy", asked.policy)
            elif "/policy" in suite.pins:
                policy = await registry.by_digest("gate_policy", suite.pins["/policy"])
            else:
                raise InvalidContentError.at(
                    "/environment", f"neither {environment} nor the suite {ref!r} names a gate policy"
                )
        except NotFoundError as error:
            raise InvalidContentError.at("/environment", f"what {environment} asks for: {error.detail}") from error
        found.append(Demand(suite, policy))
    return found


def pins_of(asked: list[Demand]) -> dict[str, str]:
    return {key: digest for demand in asked for key, digest in demand.pins.items()}


def stale(shown: dict[str, str], asked: dict[str, str]) -> str | None:
    """Why the evidence is not what is asked for; None when it is exactly that."""
    for key in sorted(asked.keys() | shown.keys()):
        if shown.get(key) != asked.get(key):
            what = key.replace("/", " ", 1)
            if key not in shown:
                return f"{what} is asked for and was not evaluated"
            return f"{what} has changed since the evaluation" if key in asked else f"{what} is no longer asked for"
    return None


def approvals_asked(rules: Rules, asked: list[Demand]) -> int:
    """How many people must approve: the most that the environment or a policy asks for."""
    counts = [rules.approvals]
    for demand in asked:
        content: GatePolicy = demand.policy.content
        counts += [rule.approvals.count for rule in content.at("promote").rules if rule.approvals is not None]
    return max(counts)


def frozen(rules: Rules, now: datetime) -> str | None:
    """Why nothing moves in this environment now; None when it may."""
    for window in rules.freeze:
        if window.from_ <= now < window.until:
            because = f": {window.reason}" if window.reason else ""
            return f"frozen until {window.until.isoformat()}{because}"
    return None
