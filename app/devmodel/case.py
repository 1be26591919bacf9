"""Finding the answer to judge, and what to judge it by, in the prompt of a judge."""

import re

import msgspec

_TOKEN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{6,}[A-Za-z0-9]")
_WORD = re.compile(r"\w+")
_TAGGED = re.compile(r"<(answer|output|response|completion)>(.*)</\1>", re.IGNORECASE | re.DOTALL)
_SECTION = re.compile(
    r"^[ \t]*(?:[#*>-]+[ \t]*)?(?:the )?((?:reference|expected|correct|gold|ideal|model|candidate)?[ \t]*"
    r"(?:references?|expected|gold|answers?(?: to judge| to grade)?|output|response|context|documentation|passages?|sources?"
    r"|evidence|question|input|query))\b[^:\n]{0,40}:(?:\*\*)?[ \t]*",
    re.IGNORECASE | re.MULTILINE,
)
_PARTS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("reference", re.compile(r"\b(?:references?|expected|gold|correct answers?|ideal)\b")),
    ("answer", re.compile(r"\b(?:answers?|output|response|completion|candidate)\b")),
    ("context", re.compile(r"\b(?:context|documentation|documents?|passages?|sources?|evidence)\b")),
    ("question", re.compile(r"\b(?:question|input|query)\b")),
)


class Case(msgspec.Struct, frozen=True):
    """What a judge's prompt holds."""

    answer: str
    instructions: str
    reference: str = ""
    context: str = ""
    question: str = ""


def case_of(texts: list[str]) -> Case | None:
    """Find the answer to judge and what to judge it by in the texts of a prompt; None when there is no answer."""
    whole = "\n".join(texts)
    blocks, outside = _fenced(whole)
    if not blocks:
        tagged = _TAGGED.search(whole)
        if tagged:
            blocks, outside = {"answer": tagged[2]}, whole[: tagged.start()] + "\n" + whole[tagged.end() :]
    headed = sections(outside)
    if "answer" not in blocks:
        if blocks or "answer" not in headed:
            return None
        blocks = {"answer": headed["answer"]}
    found = {**headed, **blocks}
    return Case(
        answer=blocks["answer"].strip(),
        instructions=outside,
        reference=found.get("reference", "").strip(),
        context=found.get("context", "").strip(),
        question=found.get("question", "").strip(),
    )


class Block(msgspec.Struct, frozen=True):
    """What stands between two fence lines: the words of the line, what it is, and the text."""

    name: str
    kind: str
    text: str


def blocks_of(texts: list[str]) -> tuple[dict[str, str], str]:
    """All fenced blocks of a prompt, by the words on their fence lines, and the text outside of them."""
    blocks, outside = _split("\n".join(texts))
    return {one.name: one.text for one in blocks}, outside


def _fenced(text: str) -> tuple[dict[str, str], str]:
    """The blocks between lines that hold the stated token, by what they are, and the text outside of them."""
    blocks, outside = _split(text)
    named = {one.kind: one.text for one in blocks}
    if len(named) == 1:
        named = {"answer": next(iter(named.values()))}
    return named, outside


def _split(text: str) -> tuple[list[Block], str]:
    lines = text.split("\n")
    token = _fence_token(lines)
    if token is None:
        return [], text
    blocks: list[Block] = []
    outside: list[str] = []
    block: list[str] | None = None
    name = kind = ""
    for line in lines:
        if _is_fence(line, token):
            if block is None:
                marks = line.replace(token, "")
                name, kind, block = " ".join(_WORD.findall(marks)), _kind(marks, outside), []
            else:
                blocks.append(Block(name, kind, "\n".join(block)))
                block = None
        elif block is None:
            outside.append(line)
        else:
            block.append(line)
    if block is not None:
        blocks.append(Block(name, kind, "\n".join(block)))
    return blocks, "\n".join(outside)


def _kind(fence: str, outside: list[str]) -> str:
    """What a block is: as its fence line calls it, else as the line before says, else the answer."""
    named = " ".join(_WORD.findall(fence))
    if named:
        return _part(named) or named
    return _part(next((one for one in reversed(outside) if one.strip()), "")) or "answer"


def _fence_token(lines: list[str]) -> str | None:
    """The token of the fence: of all tokens that stand on two lines of their own, one that was stated before any of them.

    What comes after the first fence line may be the answer's own doing, so that a token stated there counts for nothing;
    when none was stated the first wins, for the same reason.
    """
    stated: dict[str, None] = {}
    for place, line in enumerate(lines):
        tokens: list[str] = [one for one in _TOKEN.findall(line) if any(sign.isdigit() for sign in one)]
        for token in tokens:
            if _is_fence(line, token) and any(_is_fence(one, token) for one in lines[place + 1 :]):
                if token in stated:
                    return token
                rest = lines[place:]
                return next((one for one in stated if sum(_is_fence(line, one) for line in rest) >= 2), token)
        stated.update(dict.fromkeys(tokens))
    return None


def _is_fence(line: str, token: str) -> bool:
    """Whether a line is the token with at most a few marks and one or two words around it."""
    if token not in line:
        return False
    rest = line.replace(token, " ", 1)
    return len(rest.strip()) <= 24 and ":" not in rest and len(_WORD.findall(rest)) <= 2


def _part(text: str) -> str | None:
    lowered = text.lower()
    for name, sign in _PARTS:
        if sign.search(lowered):
            return name
    return None


def sections(text: str) -> dict[str, str]:
    """Texts behind headings at the start of a line, such as `Reference:`; the last of a kind counts.

    A context lasts until the next heading, anything else to the end of its line, or of its paragraph when it starts below.
    """
    marks = list(_SECTION.finditer(text))
    ends = [one.start() for one in marks[1:]] + [len(text)]
    found: dict[str, str] = {}
    for mark, end in zip(marks, ends, strict=False):
        body, name = text[mark.end() : end], _part(mark[1])
        if name in ("question", "reference"):
            body = body.partition("\n")[0].strip() or body.strip().partition("\n\n")[0]
        if name is not None and body.strip():
            found[name] = body.strip()
    return found
