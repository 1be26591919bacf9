"""Taking a prompt apart: instructions, context, question. The rules are told in the package's docstring."""

import re
from functools import lru_cache
from typing import Any

import msgspec

from app.devmodel.errors import RequestError

_NAMES = r"(?:context|documents?|passages?|sources?|documentation|excerpts?)"
_TAGGED = re.compile(rf"<({_NAMES})>(.*?)</\1>", re.IGNORECASE | re.DOTALL)
_CONTEXT_LINE = re.compile(
    rf"^[ \t]*(?:#{{1,6}}[ \t]*{_NAMES}:?[ \t]*$|\*\*{_NAMES}:?\*\*:?|{_NAMES}:[ \t]*$"
    r"|(?:context|documentation|passages|excerpts|documents):)",
    re.IGNORECASE | re.MULTILINE,
)
_MARKER_LINE = re.compile(r"^\[(\d{1,3})\][ \t]*(.*)$", re.MULTILINE)
_QUESTION_LINE = re.compile(
    r"^[ \t]*(?:#{1,6}[ \t]*)?(?:\*\*)?question[ \t]*:(?:\*\*)?[ \t]*", re.IGNORECASE | re.MULTILINE
)
_HEADING_LINE = re.compile(r"^#{1,6}[ \t]+(.+?)[ \t]*#*$", re.MULTILINE)


class Message(msgspec.Struct, frozen=True):
    """One message as it comes over the wire; `content` is text, a list of parts, or absent."""

    role: str
    content: str | list[dict[str, Any]] | None = None
    name: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    tool_call_id: str | None = None

    def text(self) -> str:
        """Its text; other parts than text are refused."""
        if self.content is None or isinstance(self.content, str):
            return self.content or ""
        texts: list[str] = []
        for part in self.content:
            if part.get("type") not in ("text", "refusal"):
                raise RequestError(
                    f"the development model reads text only, not a part of type {part.get('type')!r}", param="messages"
                )
            texts.append(str(part.get(part["type"], "")))
        return "\n".join(texts)


class Passage(msgspec.Struct, frozen=True, gc=False):
    """One piece of the context: its marker's number (None without), title and text."""

    number: int | None
    title: str
    text: str


class Reading(msgspec.Struct, frozen=True):
    """What a prompt says. `before` is the user's previous message, for questions that lean on it."""

    instructions: str
    passages: tuple[Passage, ...]
    question: str
    before: str = ""


def read(messages: list[Message]) -> Reading:
    """Take the messages of a chat apart."""
    system = "\n\n".join(one.text() for one in messages if one.role in ("system", "developer"))
    asked = [one.text() for one in messages if one.role == "user"]
    user = asked[-1] if asked else ""
    instructions, context = split_context(system)
    rest, user_context = split_context(user)
    question, user_instructions = _question(rest)
    if not instructions:
        instructions = user_instructions
    if not context and not user_context:
        instructions, _, context = instructions.strip().partition("\n\n")
    found = passages(context) + passages(user_context)
    return Reading(instructions, found, question, asked[-2] if len(asked) > 1 else "")


@lru_cache(maxsize=512)
def split_context(text: str) -> tuple[str, str]:
    """A text's instructions and its context ("" when none of the signs is there)."""
    tagged = _TAGGED.findall(text)
    if tagged:
        return _TAGGED.sub("\n", text), "\n\n".join(body for _, body in tagged)
    start = _CONTEXT_LINE.search(text)
    begin, end = (start.start(), start.end()) if start else (-1, -1)
    if not start:
        marker = _MARKER_LINE.search(text)
        if marker is None:
            return text, ""
        begin = end = marker.start()
    question = _QUESTION_LINE.search(text, end)
    stop = question.start() if question else len(text)
    return text[:begin] + text[stop:], text[end:stop]


def _question(text: str) -> tuple[str, str]:
    """The question in a user message that has lost its context, and what stands before it."""
    found = list(_QUESTION_LINE.finditer(text))
    if not found:
        return text.strip(), ""
    return text[found[-1].end() :].strip(), text[: found[-1].start()].strip()


@lru_cache(maxsize=1_024)
def passages(context: str) -> tuple[Passage, ...]:
    """Cut a context at its markers, else at its headings, else at blank lines."""
    context = context.strip()
    if not context:
        return ()
    markers = list(_MARKER_LINE.finditer(context))
    if markers:
        ends = [one.start() for one in markers[1:]] + [len(context)]
        cut = [_marked(one, context[one.end() : end]) for one, end in zip(markers, ends, strict=True)]
        before = context[: markers[0].start()].strip()
        return (*((Passage(None, "", before),) if before else ()), *cut)
    headings = [] if "```" in context else list(_HEADING_LINE.finditer(context))
    if headings:
        ends = [one.start() for one in headings[1:]] + [len(context)]
        before = context[: headings[0].start()].strip()
        cut = [Passage(None, one[1], context[one.end() : end].strip()) for one, end in zip(headings, ends, strict=True)]
        return (*((Passage(None, "", before),) if before else ()), *(one for one in cut if one.text))
    if "```" in context:
        return (Passage(None, "", context),)
    return tuple(Passage(None, "", part.strip()) for part in re.split(r"\n\s*\n", context) if part.strip())


def _marked(marker: "re.Match[str]", body: str) -> Passage:
    """A passage behind `[n]`: the rest of the marker's line is its title when text follows, else it is the text."""
    title, body = marker[2].strip(), body.strip()
    return Passage(int(marker[1]), title if body else "", body or title)
