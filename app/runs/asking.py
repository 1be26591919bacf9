"""Whom a suite's scorer asks: its rubric, its judges, and who makes its vectors, as the suite pins them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from app.kit.digests import digest
from app.kit.errors import FieldError, InvalidContentError
from app.llm.service import OPENAI_URL
from app.registry.kinds.endpoint import Endpoint
from app.registry.kinds.suite import ScorerSpec
from app.registry.service import Artifact, Registry, deciding
from app.runs.budget import BYTES_PER_TOKEN, DEFAULT_ANSWER_TOKENS, most_nano
from app.runs.spec import Metric


class Asked(NamedTuple):
    """An endpoint and how the suite or the rubric calls it."""

    name: str
    endpoint: Artifact


class Judging(NamedTuple):
    """What one scorer asks. Jurors are in the suite's order; a rubric without another endpoint is judged by its own."""

    rubric: Artifact | None
    judges: tuple[Asked, ...]
    embedder: Asked | None
    self_judge: bool

    @property
    def all(self) -> tuple[Asked, ...]:
        return self.judges if self.embedder is None else (*self.judges, self.embedder)

    def identity(self) -> dict[str, Any]:
        """What decides a score of who is asked, and by which rubric."""
        parts: dict[str, Any] = {}
        judges = [digest(deciding(judge.endpoint)) for judge in self.judges]
        if self.rubric is not None:
            parts["rubric"] = digest(deciding(self.rubric))
        if judges:
            parts["judge"] = judges[0]
        if judges[1:]:
            parts["judges"] = judges
        if self.embedder is not None:
            parts["embedder"] = digest(deciding(self.embedder.endpoint))
        return parts

    def fields(self) -> dict[str, Any]:
        """The same as a run's metric remembers it."""
        return {
            "rubric": None if self.rubric is None else self.rubric.digest,
            "rubric_ref": None if self.rubric is None else self.rubric.ref,
            "judge": self.judges[0].endpoint.digest if self.judges else None,
            "judges": [judge.endpoint.digest for judge in self.judges],
            "judge_names": [judge.name for judge in self.judges],
            "embedder": None if self.embedder is None else self.embedder.endpoint.digest,
            "embedder_name": None if self.embedder is None else self.embedder.name,
        }

    def most_nano(self, args: dict[str, Any]) -> Iterator[tuple[str, int | None]]:
        """By endpoint: nano-dollars that scoring one answer is estimated to cost, None without a price. How many calls a
        scorer makes, and how long the answer will be, is a guess."""
        rubric = None if self.rubric is None else self.rubric.content
        size = len(msgspec.json.encode((rubric, args))) + BYTES_PER_TOKEN * DEFAULT_ANSWER_TOKENS
        votes = args.get("votes", 1 if rubric is None else rubric.votes)
        for name, endpoint in self.all:
            price = endpoint.content.price
            params = {**endpoint.content.params, **({} if rubric is None else rubric.params)}
            most = None if price is None else most_nano(size, params, price.input, price.output)
            yield name, None if most is None else (votes if isinstance(votes, int) else 1) * most


async def judging_of(registry: Registry, suite: Artifact) -> list[Judging | None]:
    """By scorer of a suite: whom it asks, if anybody."""
    return [await _one(registry, suite, i, spec) for i, spec in enumerate(suite.content.scorers)]


async def _one(registry: Registry, suite: Artifact, number: int, spec: ScorerSpec) -> Judging | None:
    async def pinned(name: str, written: str) -> Asked:
        found = await registry.by_digest("endpoint", suite.pins[f"/scorers/{number}/args/{name}"])
        return Asked(written.partition("@")[0], found)

    args = spec.args
    rubric, judges, embedder = None, [], None
    if (pin := suite.pins.get(f"/scorers/{number}/args/rubric")) is not None:
        rubric = await registry.by_digest("rubric", pin)
    if isinstance(args.get("endpoint"), str):
        judges = [await pinned("endpoint", args["endpoint"])]
    elif isinstance(args.get("endpoints"), list):
        judges = [await pinned(f"endpoints/{n}", written) for n, written in enumerate(args["endpoints"])]
    elif rubric is not None:
        endpoint = await registry.by_digest("endpoint", rubric.pins["/endpoint"])
        judges = [Asked(rubric.content.endpoint.partition("@")[0], endpoint)]
    if isinstance(args.get("embeddings"), str):
        embedder = await pinned("embeddings", args["embeddings"])
    if not judges and embedder is None:
        return None
    return Judging(rubric, tuple(judges), embedder, args.get("self_judge") is True)


class Tested(NamedTuple):
    """A variant and the model that it calls."""

    variant: str
    endpoint: Endpoint


def self_judged(suite: Artifact, judging: Sequence[Judging | None], tested: Sequence[Tested]) -> dict[int, str]:
    """Warnings about judges that are models under test, which their scorers allow, by the number of the scorer.

    Raises `InvalidContentError` naming both where one does not: models prefer their own answers.
    """
    problems: list[FieldError] = []
    warnings: dict[int, str] = {}
    for number, asked in enumerate(judging):
        metric = suite.content.scorers[number].metric
        for name, endpoint in () if asked is None else asked.judges:
            same = [one for one in tested if _place(one.endpoint) == _place(endpoint.content)]
            if not same or asked is None:
                continue
            variants = ", ".join(dict.fromkeys(one.variant for one in same))
            found = f"{metric}: the judge {name!r} is the model under test in {variants} ({endpoint.content.model!r} at the same address); models prefer their own answers"
            if asked.self_judge:
                warnings[number] = found
            else:
                fix = "take another judge, or allow it in the scorer's args: `self_judge: true`"
                problems.append(FieldError(f"/suite/scorers/{number}/args", f"{found}: {fix}"))
    if problems:
        raise InvalidContentError("; ".join(problem.detail for problem in problems), problems)
    return warnings


def flagged(metrics: Sequence[Metric], warned: Mapping[int, str]) -> list[Metric]:
    """The metrics, those that were warned about as judged by a model under test."""
    return [msgspec.structs.replace(metric, self_judged=number in warned) for number, metric in enumerate(metrics)]


def _place(endpoint: Endpoint) -> tuple[Any, str]:
    """Which model where. Providers do not tell models apart: a compatible endpoint may be at OpenAI's address."""
    url = endpoint.base_url
    if url is None:
        url = OPENAI_URL if endpoint.provider == "openai" else endpoint.provider
    return (url.rstrip("/") if isinstance(url, str) else url, endpoint.model)
