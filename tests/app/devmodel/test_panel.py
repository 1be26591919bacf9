"""The offline judge answers every judge scorer with sense, and no text under judgement wins it over."""

from typing import Any

import pytest
from openai import AsyncOpenAI

from evaluators.contract import Chunk, Sample, Score
from evaluators.judging import Embeddings, JudgeScorer, Models
from evaluators.registry import build
from tests.app.devmodel.socket_judge import SocketJudge
from tests.evaluators.injections import INJECTIONS

QUESTION = "Which snapshots are kept?"
REFERENCE = "By default the last 14 daily, 8 weekly and 12 monthly snapshots are kept."
RIGHT = "The last 14 daily, 8 weekly and 12 monthly snapshots are kept by default."
PARTLY = "The last 14 daily and 8 weekly snapshots are kept."
MORE = RIGHT + " Larch never deletes a snapshot that carries a label, and prunes at four every Sunday morning."
OTHER = "By default the last 3 daily snapshots are kept."
WRONG = "Larch has no daemon of its own; use cron."

RUBRIC = {
    "instructions": "Question: {{ inputs.question }}\nReference: {{ reference }}\nDoes the answer say the same?\n{{ output }}",
    "labels": {"yes": 1, "partly": 0.5, "no": 0},
}
CRITERIA = {"instructions": "Reference: {{ reference }}\nDoes the answer say the same?", "votes": 1}
JUDGES: dict[str, tuple[str, dict[str, Any]]] = {
    "rubric": ("rubric", RUBRIC),
    "factuality": ("factuality", {}),
    "closed_qa": ("closed_qa", {"criteria": "The answer names what is asked for."}),
    "pairwise": ("pairwise", {"against": "others"}),
    "pairwise with instructions": ("pairwise", {"against": "others", "instructions": "Reference: {{ reference }}"}),
    "g_eval": ("g_eval", CRITERIA),
    "g_eval with steps": ("g_eval", {**CRITERIA, "steps": ["Compare the numbers."]}),
    "select_best": ("select_best", {}),
    "jury": ("jury", RUBRIC),
}


class SocketEmbedder:
    def __init__(self, client: AsyncOpenAI) -> None:
        self._client = client

    @property
    def name(self) -> str:
        return "dev-embed"

    async def embed(self, texts: Any) -> Embeddings:
        reply = await self._client.embeddings.create(model="dev-embed", input=list(texts))
        return Embeddings(vectors=[one.embedding for one in reply.data])


async def judged(client: AsyncOpenAI, use: str, args: dict[str, Any], output: str, **changes: Any) -> Score:
    scorer = build(use, args)
    assert isinstance(scorer, JudgeScorer)
    sample = Sample(output=output, inputs={"question": QUESTION}, reference=REFERENCE, **changes)
    judges = [SocketJudge(client, "dev-large"), SocketJudge(client, "dev-small")]
    score = await scorer.score_with(sample, Models(judges, SocketEmbedder(client)))
    assert score.status == "ok", score
    return score


async def value(client: AsyncOpenAI, use: str, args: dict[str, Any], output: str, **changes: Any) -> float:
    score = await judged(client, use, args, output, **changes)
    assert score.value is not None
    return score.value


def test_the_corpus_is_large_and_has_no_doubles() -> None:
    assert len(INJECTIONS) == len(set(INJECTIONS)) >= 60


@pytest.mark.parametrize("judge", JUDGES)
async def test_no_injection_gets_a_wrong_answer_a_better_verdict(client: AsyncOpenAI, judge: str) -> None:
    use, args = JUDGES[judge]
    honest = await value(client, use, args, WRONG, others=[RIGHT])
    assert honest < await value(client, use, args, RIGHT, others=[WRONG])
    for injection in INJECTIONS:
        attack = f"{injection}\n{WRONG}\n{injection}"
        assert await value(client, use, args, attack, others=[RIGHT]) <= honest, injection[:80]


@pytest.mark.parametrize("judge", ["pairwise", "pairwise with instructions", "select_best"])
async def test_an_injection_in_the_other_answer_does_not_make_the_right_one_lose(
    client: AsyncOpenAI, judge: str
) -> None:
    use, args = JUDGES[judge]
    for injection in INJECTIONS:
        assert await value(client, use, args, RIGHT, others=[f"{WRONG}\n{injection}"]) == 1, injection[:80]


@pytest.mark.parametrize(("output", "letter"), [(RIGHT, "C"), (PARTLY, "A"), (MORE, "B"), (OTHER, "D"), (WRONG, "D")])
async def test_facts_are_compared_by_letter(client: AsyncOpenAI, output: str, letter: str) -> None:
    assert (await judged(client, "factuality", {}, output)).label == letter


async def test_pairs_are_judged_alike_in_both_orders(client: AsyncOpenAI) -> None:
    for output, other, label in ((RIGHT, WRONG, "win"), (WRONG, RIGHT, "loss"), (RIGHT, REFERENCE + " ", "tie")):
        score = await judged(client, "pairwise", {"against": "others"}, output, others=[other])
        assert score.evidence is not None
        assert (score.label, score.evidence["consistent"]) == (label, True)


CHUNKS = [Chunk(id="a", text=WRONG), Chunk(id="b", text=REFERENCE)]
INVENTED = f"{RIGHT} Bananas ripen faster beside apples."


@pytest.mark.parametrize(
    ("use", "output", "expected"),
    [
        ("faithfulness", RIGHT, 1.0),
        ("faithfulness", INVENTED, 0.5),
        ("context_recall", RIGHT, 1.0),
        ("context_precision", RIGHT, 0.5),
        ("noise_sensitivity", RIGHT, 0.0),
        ("noise_sensitivity", INVENTED, 0.0),
        ("context_relevance", RIGHT, 0.5),
        ("hallucination", RIGHT, 0.0),
        ("hallucination", OTHER, 0.5),
        ("factual_correctness", RIGHT, 1.0),
        ("factual_correctness", INVENTED, 2 / 3),
        ("factual_correctness", WRONG, 0.0),
        ("answer_accuracy", RIGHT, 1.0),
        ("answer_accuracy", WRONG, 0.0),
        ("goal_success", RIGHT, 1.0),
        ("goal_success", WRONG, 0.0),
        ("conversation_relevancy", RIGHT, 1.0),
        ("conversation_relevancy", "Bananas ripen faster beside apples.", 0.5),
        ("conversation_completeness", RIGHT, 1.0),
        ("knowledge_retention", RIGHT, 1.0),
        ("knowledge_retention", "Which snapshots?", 0.5),
    ],
)
async def test_the_other_judges_follow_the_words(client: AsyncOpenAI, use: str, output: str, expected: float) -> None:
    sample = {
        "chunks": CHUNKS,
        "context": f"{WRONG}\n\n{REFERENCE}",
        "trajectory": [{"role": "assistant", "content": "Looking it up."}],
        "history": [
            {"role": "user", "content": "Does Larch keep snapshots?"},
            {"role": "assistant", "content": "Larch keeps snapshots."},
        ],
    }
    assert await value(client, use, {}, output, **sample) == pytest.approx(expected)


async def test_questions_and_vectors_tell_relevant_answers(client: AsyncOpenAI) -> None:
    right = await value(client, "answer_relevance", {}, PARTLY)
    assert right > await value(client, "answer_relevance", {}, "Bananas ripen faster beside apples.")
    assert await value(client, "answer_relevance", {}, "The documentation does not say this.") == 0
    assert await value(client, "answer_correctness", {}, RIGHT) > await value(client, "answer_correctness", {}, OTHER)
