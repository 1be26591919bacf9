"""Finding chunks."""

import asyncio
import time

import msgspec
import pytest

from app.kit.errors import InvalidContentError
from app.registry.kinds.rag_config import Chunking, RAGConfig, Retriever
from app.retrieval.index import Index
from app.retrieval.service import MAX_INDEXES, Retrieval


class Item(msgspec.Struct):
    id: str
    inputs: dict


CORPUS = [
    Item("limits", {"title": "Limits", "text": "The default of max_concurrency is 64."}),
    Item("timeout", {"title": "Timeout", "text": "The default timeout is 60 seconds."}),
    Item("prices", {"text": "Prices are in dollars. Costs are in nano-dollars."}),
]


def config(**fields) -> RAGConfig:
    retriever = Retriever(top_k=fields.pop("top_k", 4))
    return RAGConfig(corpus="docs", retriever=retriever, **fields)


class Corpora:
    """Loads corpora by digest and counts how often."""

    def __init__(self, **corpora) -> None:
        self.corpora = corpora
        self.loads = 0

    async def __call__(self, project_id: str, digest: str) -> list[Item]:
        self.loads += 1
        await asyncio.sleep(0.01)
        return self.corpora[digest]


async def find(query: str, corpus=CORPUS, **fields) -> list[tuple[str, str]]:
    retrieval = Retrieval(Corpora(c=corpus))
    return [(chunk.id, chunk.title) for chunk in await retrieval.retrieve("p", config(**fields), "c", query)]


async def test_the_best_chunk_comes_first_with_its_title_and_score():
    retrieval = Retrieval(Corpora(c=CORPUS))
    chunks = await retrieval.retrieve("p", config(), "c", "What is the default timeout in seconds?")
    assert [chunk.id for chunk in chunks] == ["timeout", "limits", "prices"]
    assert chunks[0].title == "Timeout"
    assert chunks[0].text == "The default timeout is 60 seconds."
    assert chunks[0].score > chunks[1].score > 0


async def test_titles_are_searched_too():
    assert (await find("limits"))[0] == ("limits", "Limits")


async def test_a_query_without_a_known_word_finds_nothing():
    assert await find("zebra?!") == []
    assert await find("") == []


async def test_chunks_without_a_shared_word_are_never_returned_even_when_top_k_is_larger():
    assert await find("dollars", top_k=100) == [("prices", "")]


async def test_top_k_and_min_score_leave_out_the_weak():
    assert len(await find("the default", top_k=1)) == 1
    assert await find("default", min_score=99.0) == []
    assert len(await find("default", min_score=0.0)) == 2


async def test_equal_scores_keep_the_corpus_order():
    corpus = [Item(f"i{n:03}", {"text": "same words here" if n % 2 else "other thing"}) for n in range(50)]
    found = [name for name, _ in await find("same words", corpus, top_k=10)]
    assert found == [f"i{n:03}" for n in range(1, 20, 2)]


async def test_chunks_of_one_item_are_numbered_and_headings_are_in_their_titles():
    corpus = [Item("page", {"title": "Guide", "text": "# Install\nuse pip\n# Run\nuse serve"})]
    assert await find("use", corpus, chunking=Chunking(by="headings")) == [
        ("page#1", "Guide > Install"),
        ("page#2", "Guide > Run"),
    ]


async def test_an_empty_corpus_is_a_clear_error_and_so_is_an_item_without_text():
    for corpus in ([], [Item("a", {"text": "  "})]):
        with pytest.raises(InvalidContentError, match="is empty; its dataset needs items") as caught:
            await find("x", corpus)
        assert caught.value.errors[0].pointer == "/corpus"
    with pytest.raises(InvalidContentError, match="item 'b' of the corpus has no text") as caught:
        await find("x", [Item("a", {"text": "a"}), Item("b", {"question": "b"})])
    assert caught.value.errors[0].pointer == "/items/1/inputs/text"


async def test_a_corpus_of_punctuation_finds_nothing():
    assert await find("x", [Item("a", {"text": "---"})]) == []


async def test_an_index_is_built_once_for_many_callers_and_once_per_chunking():
    corpora = Corpora(c=CORPUS)
    retrieval = Retrieval(corpora)
    await asyncio.gather(*(retrieval.retrieve("p", config(), "c", "default") for _ in range(20)))
    assert corpora.loads == 1
    await retrieval.retrieve("p", config(chunking=Chunking(by="sentences", size=1)), "c", "default")
    await retrieval.retrieve("other", config(), "c", "default")
    assert corpora.loads == 3


async def test_a_build_that_failed_is_tried_again():
    corpora = Corpora(c=[])
    retrieval = Retrieval(corpora)
    with pytest.raises(InvalidContentError):
        await retrieval.retrieve("p", config(), "c", "default")
    corpora.corpora["c"] = CORPUS
    assert await retrieval.retrieve("p", config(), "c", "default")


async def test_a_caller_that_gives_up_does_not_stop_the_build_for_others():
    retrieval = Retrieval(Corpora(c=CORPUS))
    first = asyncio.create_task(retrieval.retrieve("p", config(), "c", "default"))
    second = asyncio.create_task(retrieval.retrieve("p", config(), "c", "default"))
    await asyncio.sleep(0)
    first.cancel()
    assert len(await second) == 2
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_old_indexes_make_room():
    corpora = Corpora(**{f"c{n}": CORPUS for n in range(MAX_INDEXES + 3)})
    retrieval = Retrieval(corpora)
    for n in range(MAX_INDEXES + 3):
        await retrieval.retrieve("p", config(), f"c{n}", "default")
    assert len(retrieval._indexes) == MAX_INDEXES
    await retrieval.close()
    assert len(retrieval._indexes) == 0


def test_a_search_among_ten_thousand_chunks_takes_far_less_than_a_call():
    corpus = [Item(str(n), {"text": " ".join(f"w{(n * k) % 977}" for k in range(1, 40))}) for n in range(10_000)]
    index = Index.of(corpus, Chunking())
    index.search("w1 w2 w3", 4, None)
    started = time.perf_counter()
    for n in range(50):
        index.search(f"w{n} w{n + 1} w{n + 2} w{n + 3} unknown", 4, None)
    assert (time.perf_counter() - started) / 50 < 0.005


async def test_an_erased_item_is_found_no_longer_once_the_index_is_asked_about_again():
    corpora, erased = Corpora(c=CORPUS), 0

    async def count(project_id: str, digest: str) -> int:
        return erased

    at_once, later = Retrieval(corpora, count, check_s=0), Retrieval(corpora, count, check_s=60)
    for retrieval in (at_once, later):
        for _ in range(2):
            assert [c.id for c in await retrieval.retrieve("p", config(), "c", "timeout seconds")] == ["timeout"]
    assert corpora.loads == 2, "as long as nothing is erased an index is built once"
    corpora.corpora["c"] = [item for item in CORPUS if item.id != "timeout"]
    erased = 1
    assert await at_once.retrieve("p", config(), "c", "timeout seconds") == []
    assert len(await later.retrieve("p", config(), "c", "timeout seconds")) == 1


async def test_many_who_come_at_once_have_one_index_built_and_asked_about_once():
    corpora, asked = Corpora(c=CORPUS), 0

    async def count(project_id: str, digest: str) -> int:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0.02)
        return 3

    retrieval = Retrieval(corpora, count)
    await asyncio.gather(*(retrieval.retrieve("p", config(), "c", "timeout seconds") for _ in range(50)))
    assert (corpora.loads, asked) == (1, 1)
