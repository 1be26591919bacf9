"""Vectors over a socket: in the order of the texts, retried as answers are, and nothing else counts as one."""

import math

import pytest

from app.devmodel.server import running_devmodel
from app.llm.errors import EndpointError
from app.llm.schemas import Limits, Usage
from tests.app.llm.canned import canned, http
from tests.app.llm.conftest import spec


def vectors(*found: tuple[int, list[float]]) -> dict[str, object]:
    data = [{"object": "embedding", "index": index, "embedding": vector} for index, vector in found]
    return {"data": data, "model": "e", "usage": {"prompt_tokens": 7, "total_tokens": 7}}


async def test_equal_texts_get_equal_vectors_of_the_asked_length(llm):
    async with running_devmodel() as base_url:
        at = spec(base_url, model="dev-embed", params={"dimensions": 16})
        found = await llm.embed(at, ["what is a gate", "who may release", "what is a gate"])
    first, second, third = found.vectors
    assert (first, len(second)) == (third, 16)
    assert math.isclose(sum(x * x for x in first), 1.0, rel_tol=1e-6)
    assert found.usage is not None
    assert found.usage.prompt_tokens > 0


async def test_vectors_are_put_in_the_order_of_the_texts(llm):
    async with canned(http(200, vectors((1, [0.5]), (0, [1.0])))) as server:
        found = await llm.embed(spec(server.base_url, limits=Limits(tpm=10_000)), ["a", "b"])
    assert (found.vectors, found.usage) == ([[1.0], [0.5]], Usage(7))
    assert server.requests == [{"model": "m", "input": ["a", "b"], "encoding_format": "float"}]


async def test_a_refusal_that_may_pass_is_tried_again(llm):
    async with canned(http(503, ""), http(200, vectors((0, [1.0])))) as server:
        assert (await llm.embed(spec(server.base_url), ["a"])).vectors == [[1.0]]
    assert llm.in_flight == 0


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (http(200, vectors((0, [1.0]))), "1 vectors for 2 texts"),
        (http(200, {"data": []}), "vectors of no text"),
        (http(200, {"error": "no such model"}), "no such model"),
        (http(200, "<html>"), "no embeddings"),
        (http(200, {"data": [{"embedding": "AAAA"}]}), "no embeddings"),
        (http(404, {"error": {"message": "unknown path"}}), "404"),
        (http(400, {"error": {"message": "maximum context length"}}), "does not fit"),
    ],
)
async def test_what_is_not_a_vector_for_each_text_is_an_error(llm, answer, says):
    async with canned(answer) as server:
        with pytest.raises(EndpointError, match=says):
            await llm.embed(spec(server.base_url), ["a", "b"])
    assert llm.in_flight == 0
