"""OpenAI's Batch API, spoken with a server on a socket."""

from collections.abc import AsyncIterator

import pytest

from app.devmodel import running_devmodel
from app.llm.batches import BatchAPI, Line, line_of
from app.llm.errors import EndpointError, ModelFaultError
from app.llm.service import LLM
from tests.app.llm.conftest import ask, spec


@pytest.fixture
async def url() -> AsyncIterator[str]:
    async with running_devmodel(batch_polls=1) as url:
        yield url


async def test_questions_come_back_by_their_ids_whatever_their_order(llm: LLM, url: str) -> None:
    endpoint = spec(url, model="dev-echo")
    api = BatchAPI(llm, endpoint)
    lines = [line_of(endpoint, f"q{n}", ask(f"question {n}")) for n in range(3)]
    made = await api.create(await api.upload(lines), "mine")
    assert (made.status, (await api.state(made.id)).status) == ("validating", "in_progress")
    ended = await api.state(made.id)
    assert (ended.status, ended.ended) == ("completed", True)
    answers = await api.answers(ended)
    assert list(answers) == ["q2", "q1", "q0"]
    called = await llm.call(endpoint, ask("question 1"))
    read = await api.read(answers["q1"])
    assert (read.text, read.usage, read.model) == (called.text, called.usage, called.model)


async def test_a_batch_is_found_by_its_mark_behind_many_others(llm: LLM, url: str) -> None:
    endpoint = spec(url, model="dev-echo")
    api = BatchAPI(llm, endpoint)
    file = await api.upload([line_of(endpoint, "q", ask())])
    made = await api.create(file, "mine")
    for n in range(101):
        await api.create(file, f"other {n}")
    found = await api.find("mine")
    assert found is not None
    assert found.id == made.id
    assert await api.find("nobody's") is None


async def test_a_cancelled_batch_has_ended(llm: LLM, url: str) -> None:
    endpoint = spec(url, model="dev-echo")
    api = BatchAPI(llm, endpoint)
    made = await api.create(await api.upload([line_of(endpoint, "q", ask())]), "mine")
    assert (await api.cancel(made.id)).status == "cancelled"
    assert (await api.state(made.id)).ended


async def test_a_line_is_refused_as_a_call_would_be(llm: LLM, url: str) -> None:
    api = BatchAPI(llm, spec(url))
    filtered = b'{"error": {"message": "no", "code": "content_filter"}}'
    with pytest.raises(ModelFaultError):
        await api.read(Line(400, filtered))
    for status, kind, retryable in ((400, "bad_request", False), (500, "server", True), (429, "rate_limit", True)):
        with pytest.raises(EndpointError) as refused:
            await api.read(Line(status, b'{"error": {"message": "no"}}'))
        assert (refused.value.kind, refused.value.retryable) == (kind, retryable)
    with pytest.raises(EndpointError) as expired:
        await api.read(Line(0, b"", "the batch did not answer: expired"))
    assert expired.value.retryable


async def test_an_endpoint_without_a_batch_api_says_so_with_the_fix(llm: LLM, url: str) -> None:
    api = BatchAPI(llm, spec(f"{url}/elsewhere"))
    with pytest.raises(EndpointError, match="take `batch` out of it"):
        await api.upload([b"{}\n"])
