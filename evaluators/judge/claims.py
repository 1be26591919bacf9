"""Texts taken apart into claims, and claims held against evidence: what the judges of grounding share."""

from evaluators.judge.asking import Marked, marked, prompt, read_strings, reply_to, strings_schema
from evaluators.judging import Judge

_CLAIMS = """\
Break the text down into claims: short statements, each of which says one thing and can be understood alone, with names in \
place of pronouns. The question, where there is one, only tells what the text is about.
Claim nothing that the text does not say, leave nothing out that it says, and judge nothing. A text that states nothing, \
such as an apology or a question, has no claims: give an empty list."""

_SUPPORTED = """\
For each of the numbered claims decide whether it follows from the {evidence} alone, whatever you know yourself.
First write your reason, naming what in the {evidence} decides. Then the verdict: "yes" if the claim follows directly from \
it, "no" if it contradicts it or goes beyond it."""


async def claims_of(judge: Judge, text: str, question: str, sample_index: int) -> list[str]:
    """The claims that a text makes; none, without asking, when it is empty. Raises NoVerdictError."""
    if not text.strip():
        return []
    messages = prompt(_CLAIMS, {"question": question, "text": text})
    reply = await reply_to(judge, messages, strings_schema("claims"), sample_index)
    return read_strings(reply, "claims")


async def supported(judge: Judge, claims: list[str], evidence: str, text: str, sample_index: int) -> list[Marked]:
    """Whether each claim follows from the text, which `evidence` names in one word; no claims, no question.

    Raises NoVerdictError.
    """
    if not claims:
        return []
    return await marked(judge, _SUPPORTED.format(evidence=evidence), "claims", claims, {evidence: text}, sample_index)
