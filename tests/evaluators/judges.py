"""Judges for tests: they answer from a script, and remember what they were asked."""

import asyncio
import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Any

from app.kit import templates
from evaluators.contract import Sample, Score
from evaluators.judging import Embeddings, Judge, JudgeReply, JudgeScorer, JudgeUnavailableError, Models, TokenLogprob
from evaluators.registry import build

Script = Callable[["Call"], Any]

QUESTION = {"question": "What colour is the sky?"}


class Call:
    """One question to a judge: its messages, and the schema of the answer."""

    def __init__(self, messages: list[dict[str, Any]], schema: dict[str, Any], sample_index: int) -> None:
        self.system, self.user = str(messages[0]["content"]), str(messages[1]["content"])
        self.schema, self.sample_index = schema, sample_index

    @property
    def fields(self) -> dict[str, Any]:
        fields: dict[str, Any] = self.schema["properties"]
        return fields

    @property
    def mark(self) -> str:
        return self.user.partition("The mark is ")[2].partition(".")[0]

    def block(self, name: str) -> str:
        """The text in the fence of that name."""
        line = f"=== {name} {self.mark} ===\n"
        return self.user.partition(line)[2].partition(f"\n{line.strip()}")[0]

    def items(self, name: str) -> dict[str, Any]:
        """The numbered items in the fence of that name."""
        items: dict[str, Any] = json.loads(self.block(name))
        return items


class ScriptedJudge:
    """Answers with what the script returns: an object, a raw text, a JudgeReply, or an exception to raise."""

    def __init__(self, script: Script, name: str = "scripted") -> None:
        self._script, self._name = script, name
        self.calls: list[Call] = []

    @property
    def name(self) -> str:
        return self._name

    async def ask(
        self,
        messages: list[dict[str, Any]],
        schema: dict[str, Any] | None = None,
        *,
        sample_index: int = 0,
        top_logprobs: int = 0,
    ) -> JudgeReply:
        call = Call(messages, schema or {}, sample_index)
        self.calls.append(call)
        await asyncio.sleep(0)
        said = self._script(call)
        if isinstance(said, Exception):
            raise said
        if isinstance(said, JudgeReply):
            return said
        text = said if isinstance(said, str) else json.dumps(said)
        return JudgeReply(text=text, finish_reason="stop", cost_usd=0.001, tokens=10)

    def render(self, template: str, variables: dict[str, Any]) -> str:
        return templates.render(template, variables)


class HashEmbedder:
    """Vectors that are equal for equal texts and known for given ones."""

    def __init__(self, known: dict[str, list[float]] | None = None) -> None:
        self._known = known or {}

    @property
    def name(self) -> str:
        return "hashes"

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        return Embeddings(vectors=[self._known.get(text) or _vector(text) for text in texts], cost_usd=0.0001, tokens=1)


def _vector(text: str) -> list[float]:
    return [float(byte) for byte in hashlib.sha256(text.encode("utf-8", "replace")).digest()[:2]]


def instance(schema: dict[str, Any], label: Any = None) -> Any:
    """A valid answer to a schema: of a choice the first label, or the given one whether it is allowed or not."""
    if "enum" in schema:
        return schema["enum"][0] if label is None else label
    if schema["type"] == "object":
        return {name: instance(part, label) for name, part in schema["properties"].items()}
    if schema["type"] == "array":
        return [instance(schema["items"], label)]
    if schema["type"] == "number":
        return schema["minimum"] if label is None else label
    return "The sky is blue."


def said(label: Any, reason: str = "because") -> dict[str, Any]:
    return {"reason": reason, "verdict": label}


def unreachable(_call: Call) -> Exception:
    return JudgeUnavailableError("connection refused")


def spoken(text: str, *tokens: tuple[str, dict[str, float]]) -> JudgeReply:
    """A reply with logprobs: each token with the likeliest in its place, itself among them."""
    listed = [TokenLogprob(token, top[token], top) for token, top in tokens]
    return JudgeReply(text=text, finish_reason="stop", logprobs=listed)


async def judged(
    use: str, args: dict[str, Any], judges: Script | list[Judge], index: int = 0, vectors: Any = None, **sample: Any
) -> Score:
    scorer = build(use, args)
    assert isinstance(scorer, JudgeScorer)
    listed: list[Judge] = judges if isinstance(judges, list) else [ScriptedJudge(judges)]
    given_sample = Sample(**{"output": "It is blue.", "inputs": QUESTION, **sample})
    return await scorer.score_with(given_sample, Models(listed, HashEmbedder(vectors)), index)
