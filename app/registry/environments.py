"""Environments: labels of prompts that move by a release alone, and the rules by which a release may move them."""

from collections.abc import Iterable, Set
from datetime import datetime
from itertools import pairwise
from typing import Annotated, Any, Literal

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.kit.changes import Change, record
from app.kit.clock import Clock, utc_now
from app.kit.digests import digest
from app.kit.errors import FieldError, NotFoundError, PreconditionFailedError
from app.kit.pointers import escape
from app.registry.contents import several, unrepresentable
from app.registry.kinds.base import Content, invalid
from app.registry.names import checked_label
from app.registry.service import Registry
from app.registry.tables import EnvironmentRow

PRODUCTION = "production"
"""Exists from the start, with no prompt in it."""

Share = Annotated[float, msgspec.Meta(gt=0, le=1)]
Count = Annotated[int, msgspec.Meta(ge=1, le=20)]


class EnvironmentPrompt(Content, frozen=True):
    """What a prompt must pass before it may carry the environment's label. Without a policy, each suite's own applies."""

    suites: list[str] = []
    policy: str | None = None


class Approvals(Content, frozen=True):
    """How many people must approve. A number alone stands for that many."""

    role: Annotated[str, msgspec.Meta(pattern="^(approver|admin)$")] = "approver"
    count: Count = 1


class Step(Content, frozen=True):
    """One step of a rollout: the share of units that get the candidate."""

    share: Share


class Rollout(Content, frozen=True):
    """Rising shares. A number alone stands for a step of that share."""

    steps: Annotated[list[Share | Step], msgspec.Meta(min_length=1, max_length=20)]

    @property
    def shares(self) -> list[float]:
        return [float(step.share if isinstance(step, Step) else step) for step in self.steps]


class Freeze(Content, frozen=True, rename={"from_": "from"}):
    """A time in which nothing moves."""

    from_: datetime
    until: datetime
    reason: str = ""


class Environment(Content, frozen=True):
    """A label with rules. `after` names the environment in which the same content must have been live before."""

    after: str | None = None
    prompts: dict[str, EnvironmentPrompt] = {}
    approvals: Annotated[int, msgspec.Meta(ge=0, le=20)] | Approvals = 0
    rollout: Rollout | None = None
    freeze: list[Freeze] = []


class Rules(msgspec.Struct, frozen=True):
    """An environment's rules as the release service reads them. `digest` is over all of them."""

    after: str | None
    prompts: dict[str, EnvironmentPrompt]
    approvals: int
    approver_role: str
    rollout: list[float]
    freeze: list[Freeze]
    digest: str


class EnvironmentRead(msgspec.Struct, frozen=True):
    """`approvals` is a number, or `{role, count}`; `digest` is over the rules; null times: never declared."""

    name: str
    after: str | None
    prompts: dict[str, Any]
    approvals: int | dict[str, Any]
    rollout: dict[str, Any] | None
    freeze: list[Any]
    digest: str
    updated_at: datetime | None
    updated_by: str | None


class Environments:
    """The environments of one project, within the caller's transaction."""

    def __init__(self, session: AsyncSession, project_id: str, actor: str = "", clock: Clock = utc_now) -> None:
        self._session, self._project_id, self._actor, self._clock = session, project_id, actor, clock
        self._registry = Registry(session, project_id, actor=actor, clock=clock)

    async def names(self) -> list[str]:
        query = select(col(EnvironmentRow.name)).where(col(EnvironmentRow.project_id) == self._project_id)
        return sorted({PRODUCTION, *await self._session.scalars(query)})

    async def declared(self) -> dict[str, Environment]:
        """The rules of all that were ever declared, by name."""
        query = select(EnvironmentRow).where(col(EnvironmentRow.project_id) == self._project_id)
        rows = await self._session.scalars(query.order_by(col(EnvironmentRow.name)))
        return {row.name: msgspec.convert(row.rules, Environment) for row in rows}

    async def all(self) -> list[EnvironmentRead]:
        return [await self.get(name) for name in await self.names()]

    async def get(self, name: str) -> EnvironmentRead:
        """Raises `NotFoundError` that names those that exist."""
        row = await self._row(name)
        environment = await self._environment(name, row)
        return _read(name, environment, row)

    async def rules(self, name: str) -> Rules:
        """Raises `NotFoundError` that names those that exist."""
        environment = await self._environment(name, await self._row(name))
        approvals = environment.approvals
        return Rules(
            after=environment.after,
            prompts=environment.prompts,
            approvals=approvals.count if isinstance(approvals, Approvals) else approvals,
            approver_role=approvals.role if isinstance(approvals, Approvals) else "approver",
            rollout=[] if environment.rollout is None else environment.rollout.shares,
            freeze=environment.freeze,
            digest=digest(plain(environment)),
        )

    async def put(
        self,
        name: str,
        environment: Environment,
        *,
        expected: str | None = None,
        reason: str = "",
        others: Iterable[str] = (),
    ) -> tuple[EnvironmentRead, bool]:
        """Declares an environment or changes its rules, and protects its label; returns whether anything changed.

        `expected` is the digest that was read before, `others` are environments that are declared with it. Raises
        `InvalidContentError` with every place that is wrong, `PreconditionFailedError` when something changed since.
        """
        checked_label(name, "/name")
        await self._registry.repository.lock()
        row = await self._row(name)
        before = None if row is None else row.digest
        if expected is not None and expected != (before or digest(plain(Environment()))):
            raise PreconditionFailedError(f"the rules of {name} have changed since; read them again")
        problems = [*faults(name, environment, {*await self.names(), *others}), *await self._unknown(environment)]
        if problems:
            raise several(problems)
        rules = plain(environment)
        after, now = digest(rules), self._clock()
        await self._registry.labels.protect("prompt", name)
        if before == after:
            return _read(name, environment, row), False
        if row is None:
            row = EnvironmentRow(
                project_id=self._project_id, name=name, rules={}, digest="", updated_at=now, updated_by=""
            )
            self._session.add(row)
        row.rules, row.digest, row.updated_at, row.updated_by = rules, after, now, self._actor
        await self._session.flush()
        record(
            self._session,
            Change(
                project_id=self._project_id,
                actor=self._actor,
                action="environment.changed",
                subject=f"environment {name}",
                before=before,
                after=after,
                reason=reason,
            ),
        )
        return _read(name, environment, row), True

    async def action(self, name: str, environment: Environment) -> Literal["create", "update", "unchanged"]:
        """What putting it would do."""
        row = await self._row(name)
        if row is None:
            return "create"
        return "unchanged" if row.digest == digest(plain(environment)) else "update"

    async def _row(self, name: str) -> EnvironmentRow | None:
        return await self._session.get(EnvironmentRow, (self._project_id, name), populate_existing=True)

    async def _environment(self, name: str, row: EnvironmentRow | None) -> Environment:
        if row is not None:
            return msgspec.convert(row.rules, Environment)
        if name != PRODUCTION:
            known = ", ".join(await self.names())
            raise NotFoundError(f"there is no environment {name!r}; there are {known}")
        return Environment()

    async def _unknown(self, environment: Environment) -> list[FieldError]:
        """Prompts, suites and policies that do not exist."""
        found = []
        for prompt, needs in environment.prompts.items():
            where = f"/prompts/{escape(prompt)}"
            wanted = [(where, "prompt", prompt)]
            wanted += [(f"{where}/suites/{i}", "suite", ref) for i, ref in enumerate(needs.suites)]
            wanted += [(f"{where}/policy", "gate_policy", needs.policy)] if needs.policy is not None else []
            for pointer, kind, ref in wanted:
                try:
                    await self._registry.resolve(kind, ref)
                except NotFoundError as error:
                    found.append(FieldError(pointer, error.detail))
        return found


def parse(data: Any, pointer: str = "") -> Environment:
    """The rules in plain data. Raises `InvalidContentError` with the pointers of the bad fields, below `pointer`."""
    if problems := [FieldError(pointer + p.pointer, p.detail) for p in unrepresentable(data)]:
        raise several(problems)
    try:
        return msgspec.convert(data, Environment)
    except msgspec.ValidationError as error:
        # msgspec does not name a mapping's key in its path: the entry at fault is found by reading each alone
        prompts = data.get("prompts") if isinstance(data, dict) else None
        for name, needs in prompts.items() if isinstance(prompts, dict) else ():
            try:
                msgspec.convert(needs, EnvironmentPrompt)
            except msgspec.ValidationError as fault:
                raise invalid(fault, f"{pointer}/prompts/{escape(name)}", known=EnvironmentPrompt) from fault
        raise invalid(error, pointer, known=Environment) from error


def faults(name: str, environment: Environment, known: Set[str]) -> list[FieldError]:
    """What only several fields together, or the other environments, can get wrong."""
    found = []
    if environment.after is not None and environment.after not in known - {name}:
        others = ", ".join(sorted(known - {name})) or "none"
        found.append(FieldError("/after", f"there is no other environment {environment.after!r}; there are {others}"))
    if environment.rollout is not None:
        shares = environment.rollout.shares
        if any(a >= b for a, b in pairwise(shares)):
            found.append(FieldError("/rollout/steps", f"the shares must rise from step to step, not {shares}"))
    for i, window in enumerate(environment.freeze):
        if window.from_.tzinfo is None or window.until.tzinfo is None:
            found.append(FieldError(f"/freeze/{i}", "give both times with their offset, such as 2027-01-31T00:00:00Z"))
        elif window.from_ >= window.until:
            found.append(FieldError(f"/freeze/{i}/until", "a freeze ends after it began"))
    return found


def plain(environment: Environment) -> dict[str, Any]:
    """The rules as JSON values, one form for equal rules: approvals as `{role, count}`, shares as numbers."""
    approvals = environment.approvals
    if isinstance(approvals, int):
        approvals = Approvals(count=approvals) if approvals else 0
    found: dict[str, Any] = msgspec.to_builtins(msgspec.structs.replace(environment, approvals=approvals))
    if environment.rollout is not None:
        found["rollout"] = {"steps": environment.rollout.shares}
    return found


def shown(environment: Environment) -> dict[str, Any]:
    """The rules with every field, as they are answered."""
    approvals = environment.approvals
    if isinstance(approvals, Approvals) and approvals.role == "approver":
        approvals = approvals.count
    return {
        "after": environment.after,
        "prompts": {p: {"suites": n.suites, "policy": n.policy} for p, n in environment.prompts.items()},
        "approvals": approvals if isinstance(approvals, int) else {"role": approvals.role, "count": approvals.count},
        "rollout": None if environment.rollout is None else {"steps": environment.rollout.shares},
        "freeze": [
            {"from": w.from_.isoformat(), "until": w.until.isoformat(), "reason": w.reason} for w in environment.freeze
        ],
    }


def _read(name: str, environment: Environment, row: EnvironmentRow | None) -> EnvironmentRead:
    return EnvironmentRead(
        name=name,
        **shown(environment),
        digest=digest(plain(environment)),
        updated_at=None if row is None else row.updated_at,
        updated_by=None if row is None else row.updated_by,
    )
