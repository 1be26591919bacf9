"""Judging more than one answer by one rubric: answers side by side, numbered items, facts by letter, lists out of a text.

As in `judge` only words are compared, and nothing that stands in a fence is obeyed.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from app.devmodel import text as words_of
from app.devmodel.case import Case, blocks_of, sections
from app.devmodel.judge import ABSTAINS, alternatives, by_reference, judge, label_for, quality_of, recall
from app.devmodel.scalars import Schema

_ANSWER = re.compile(r"answer \d+")
_REMEMBERS = re.compile(r"\b(?:told already|forgotten)\b")
_COUNTED = "(Counted, not understood.)"
# Two answers whose qualities differ by less are as good as each other.
_TIE = 0.05
# A sentence with more of its words in a passage speaks of the same thing.
_SAME = 0.6


def judged(texts: list[str], schema: Schema, model: str) -> Any | None:
    """What a prompt of one of these kinds asks for, or None for all other prompts."""
    fields = schema.get("properties")
    if not isinstance(fields, dict) or not fields:
        return None
    blocks, outside = blocks_of(texts)
    if not blocks:
        return None
    labels = fields["verdict"].get("enum") if set(fields) == {"reason", "verdict"} else None
    if labels is not None:
        return _verdict(blocks, outside, labels, model)
    if all(name.isdigit() for name in fields):
        return _numbered(blocks, outside, fields, model)
    if set(fields) == {"question", "reason", "noncommittal"} and "text" in blocks:
        return _question(blocks["text"])
    if len(fields) == 1 and (listed := _listed(blocks)) is not None:
        (name,) = fields
        return {name: listed} if fields[name].get("type") == "array" else None
    return None


def _verdict(blocks: Mapping[str, str], outside: str, labels: list[Any], model: str) -> Any | None:
    if sum(bool(_ANSWER.fullmatch(name)) for name in blocks) > 1:
        return _preferred(blocks, outside, labels, model)
    if labels == list("ABCDE") and "reference" in blocks and "answer" in blocks:
        return _facts(blocks["answer"], blocks["reference"], model)
    if "trajectory" in blocks and "goal" in blocks:
        wanted = blocks.get("reference") or blocks["goal"]
        support, _ = by_reference(blocks["trajectory"] + "\n" + blocks.get("answer", ""), wanted, model)
        return _said(support, labels, "goal")
    return None


def _preferred(blocks: Mapping[str, str], outside: str, labels: list[Any], model: str) -> dict[str, Any]:
    """The number of the answer with the best support, or a tie."""
    found = {**sections(outside), **blocks}
    parts = {name: found.get(name, "").strip() for name in ("reference", "context", "question")}
    qualities = {
        name.removeprefix("answer "): judge(Case(answer=text.strip(), instructions=outside, **parts), model).quality
        for name, text in blocks.items()
        if _ANSWER.fullmatch(name)
    }
    best = max(qualities, key=lambda name: qualities[name])
    rest = max(quality for name, quality in qualities.items() if name != best)
    verdict = "tie" if "tie" in labels and qualities[best] - rest < _TIE else best
    shown = ", ".join(f"{name}: {quality:.2f}" for name, quality in qualities.items())
    return {"reason": f"Support of the answers is {shown}. {_COUNTED}", "verdict": verdict}


def _facts(answer: str, reference: str, model: str) -> dict[str, Any]:
    """How the answer's words relate to the reference's, as a letter."""
    given = words_of.stems(answer)
    found = []
    for one in alternatives(reference):
        wanted = words_of.stems(one)
        support, lacking = by_reference(answer, one, model)
        own, extra = recall(wanted, given)
        wrong = any(word.isdigit() for word in lacking) and any(word.isdigit() for word in extra)
        found.append((0.0 if wrong else support, own))
    support, own = max(found)
    whole, only = quality_of(support) == 1, quality_of(own) == 1
    letter = "C" if whole and only else "B" if whole else "A" if only and quality_of(support) > 0 else "D"
    reason = (
        f"The answer has {support:.2f} of the reference's words, the reference {own:.2f} of the answer's. {_COUNTED}"
    )
    return {"reason": reason, "verdict": letter}


def _numbered(
    blocks: Mapping[str, str], outside: str, fields: Mapping[str, Schema], model: str
) -> dict[str, Any] | None:
    """A verdict on every item that is asked for, of the block that is an object of them."""
    for name, text in blocks.items():
        items = _decoded(text)
        if isinstance(items, dict) and fields.keys() <= items.keys():
            evidence = {other: body for other, body in blocks.items() if other != name}
            verdicts = {}
            for number, schema in fields.items():
                labels = schema["properties"]["verdict"]["enum"]
                verdicts[number] = _said(_support(name, items[number], evidence, outside, model), labels, "evidence")
            return verdicts
    return None


def _support(name: str, item: Any, evidence: Mapping[str, str], outside: str, model: str) -> float:
    if isinstance(item, dict):
        return _turn(item, remembers=bool(_REMEMBERS.search(outside)))
    if name == "passages":
        wanted = evidence.get("reference") or evidence.get("answer") or evidence.get("question", "")
        return recall(words_of.stems(str(item)), words_of.stems(wanted))[0]
    if name == "sources":
        return _agreement(evidence.get("answer", ""), str(item))
    text = "\n".join(body for other, body in evidence.items() if other != "question")
    if name == "wishes":
        turns = _decoded(text)
        replies = [one["content"] for one in turns if one["role"] == "assistant"] if isinstance(turns, list) else []
        return recall(words_of.stems("\n".join(replies)), words_of.stems(str(item)))[0]
    return by_reference(text, str(item), model)[0]


def _agreement(answer: str, source: str) -> float:
    """0 when a sentence shares its words with the source but not its numbers, else 1."""
    known = words_of.stems(source)
    for sentence in words_of.sentences(answer):
        given = words_of.stems(sentence)
        words = tuple(word for word in given if not word.isdigit())
        if recall(known, words)[0] > _SAME and any(word.isdigit() and word not in known for word in given):
            return 0.0
    return 1.0


def _turn(turn: Mapping[str, Any], *, remembers: bool) -> float:
    """Overlap of a reply with what was said before it; when memory is asked for, whether it asks for what it was told."""
    told = words_of.stems("\n".join(str(one.get("content", "")) for one in turn.get("before", ())))
    reply = str(turn.get("reply", ""))
    if not reply.strip():
        return 0.0
    if remembers:
        asks = [words_of.stems(one) for one in words_of.sentences(reply) if one.rstrip().endswith("?")]
        return 1 - max((recall(told, one)[0] for one in asks if one), default=0.0)
    return recall(words_of.stems(reply), told)[0] if told else 1.0


def _listed(blocks: Mapping[str, str]) -> list[str] | None:
    """The sentences of a text, or what the user of a conversation said."""
    if "conversation" in blocks:
        turns = _decoded(blocks["conversation"])
        return [one["content"] for one in turns if one["role"] == "user"] if isinstance(turns, list) else []
    text = blocks.get("text", blocks.get("criteria"))
    if text is None:
        return None
    return [] if ABSTAINS.search(text) and len(text) < 200 else words_of.sentences(text)


def _question(text: str) -> dict[str, Any]:
    sentence = next(iter(words_of.sentences(text)), text).rstrip(".!? ")
    evasive = bool(ABSTAINS.search(text)) and len(text) < 200
    return {"question": f"{sentence}?", "reason": _COUNTED, "noncommittal": "yes" if evasive else "no"}


def _said(support: float, labels: list[Any], by: str) -> dict[str, Any]:
    reason = f"Word overlap with the {by} is {support:.2f}. {_COUNTED}"
    return {"reason": reason, "verdict": label_for(quality_of(support), labels, "")}


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
