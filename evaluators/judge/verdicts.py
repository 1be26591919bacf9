"""Asking a judge once or several times, and reading what it says without guessing."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from evaluators.contract import Score
from evaluators.judging import Judge, JudgeReply, JudgeUnavailableError
from evaluators.text import clip, without_surrogates

_QUOTED = 80

_STOPPED = {
    "length": "its reply was cut off at the token limit",
    "content_filter": "its reply was stopped by a content filter",
}


class NoVerdictError(Exception):
    """The judge answered, and gave no valid verdict."""


class Verdict(msgspec.Struct, frozen=True):
    """What one reply says: the label as the judge chose it, its value by our table, and the reason it gave."""

    label: str
    value: float
    reason: str


class Vote(msgspec.Struct, frozen=True):
    """One reply: a verdict, or why there is none. `reached` is false when the judge could not be asked."""

    verdict: Verdict | None
    problem: str = ""
    reached: bool = True


def read_object(reply: JudgeReply) -> dict[str, Any]:
    """The one JSON object that the reply holds, perhaps in a code fence. Raises NoVerdictError."""
    if reply.finish_reason in _STOPPED:
        raise NoVerdictError(_STOPPED[reply.finish_reason])
    text = (reply.text or "").strip()
    if not text:
        raise NoVerdictError("it answered nothing")
    if text.startswith("```") and text.endswith("```"):
        text = text.removeprefix("```").removeprefix("json").removesuffix("```").strip()
    try:
        value = json.loads(text, object_pairs_hook=_without_repeats)
        # Escapes can spell lone surrogates, which nothing could store.
        value = (
            json.loads(without_surrogates(json.dumps(value, ensure_ascii=False))) if "\\ud" in text.lower() else value
        )
    except (ValueError, RecursionError) as exc:
        raise NoVerdictError(f"its reply is not one JSON value ({exc}): {clip(text)}") from exc
    if not isinstance(value, dict):
        raise NoVerdictError(f"its reply is not a JSON object: {clip(text)}")
    return value


def quoted(value: Any) -> str:
    """What a judge gave in place of a verdict, cut for an explanation."""
    shown = repr(value)
    return shown if len(shown) <= _QUOTED else shown[:_QUOTED] + "…"


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise NoVerdictError("its reply names a field twice")
    return values


async def ask(
    judge: Judge,
    messages: list[dict[str, Any]],
    schema: dict[str, Any],
    votes: int,
    read: Callable[[dict[str, Any]], Verdict],
    first: int = 0,
) -> list[Vote]:
    """Ask `votes` times at once; `read` turns a reply's object into a verdict or raises NoVerdictError.

    Votes are draws of their own, numbered from `first`.
    """

    async def one(number: int) -> Vote:
        try:
            return vote(await judge.ask(messages, schema, sample_index=number), read)
        except JudgeUnavailableError as exc:
            return Vote(None, str(exc) or type(exc).__name__, reached=False)

    return list(await asyncio.gather(*(one(first + number) for number in range(votes))))


def vote(reply: JudgeReply, read: Callable[[dict[str, Any]], Verdict]) -> Vote:
    """What one reply says."""
    try:
        return Vote(read(read_object(reply)))
    except NoVerdictError as exc:
        return Vote(None, str(exc))


def combine(votes: Sequence[Vote], scored: Callable[[float, str, str | None, dict[str, Any]], Score]) -> Score:
    """One score out of all votes: the mean value, and how far the votes agree.

    A vote that could not be asked makes the score an error, for it may be asked again. Votes without a verdict are left
    out and counted; half of them or more make the score unscored. `agreement` is the share of the most frequent label.
    """
    unreached = [vote for vote in votes if not vote.reached]
    if unreached:
        return Score.error(f"the judge could not be asked: {unreached[0].problem}")
    verdicts = [vote.verdict for vote in votes if vote.verdict is not None]
    problems = [vote.problem for vote in votes if vote.verdict is None]
    if len(problems) * 2 >= len(votes):
        share = f" in {len(problems)} of {len(votes)} votes" if len(votes) > 1 else ""
        return Score.unscored(
            f"the judge gave no verdict{share}: {problems[0]}",
            evidence={"problems": problems} if len(votes) > 1 else None,
        )
    (label, most), *others = Counter(verdict.label for verdict in verdicts).most_common(2)
    unique = not others or others[0][1] < most
    evidence: dict[str, Any] = {
        "votes": [msgspec.to_builtins(verdict) for verdict in verdicts],
        "agreement": most / len(verdicts),
    }
    if problems:
        evidence["problems"] = problems
    reason = next(verdict.reason for verdict in verdicts if verdict.label == label)
    if len(votes) > 1:
        reason = f"{most} of {len(votes)} votes say {label}: {reason}"
    mean = sum(verdict.value for verdict in verdicts) / len(verdicts)
    return scored(mean, reason, label if unique else None, evidence)
