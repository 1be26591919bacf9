"""Requests are counted per key, and whoever is sent away is told when to come back."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from app.access.rates import MOST_BUCKETS, Rates
from app.kit.asgi import KeepEncodedSlash
from app.settings import Settings, SettingsError
from tests.conftest import client_of, settings_for, started


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@asynccontextmanager
async def limited(folder: Path, url: str, clock: Clock, limit: str = "6") -> AsyncIterator[KeepEncodedSlash]:
    settings = settings_for(folder / "home", url, PROMPTWARD_RATE_LIMIT=limit)
    async with started(settings, clock=clock) as app:
        yield app


async def test_the_seventh_of_six_requests_is_sent_away_and_told_when_to_come_back(
    tmp_path: Path, sqlite_url: str, clock: Clock
) -> None:
    async with limited(tmp_path, sqlite_url, clock) as app, client_of(app) as client:
        for left in (5, 4, 3, 2, 1, 0):
            answer = await client.get("/api/v1/prompts")
            assert answer.status_code == 200
            assert answer.headers["ratelimit-policy"] == '"default";q=6;w=60'
            assert answer.headers["ratelimit"] == f'"default";r={left};t={10 * (6 - left)}'
        refused = await client.get("/api/v1/prompts")
        assert (refused.status_code, refused.headers["content-type"]) == (429, "application/problem+json")
        assert refused.json()["type"] == "urn:promptward:rate-limited"
        assert refused.headers["retry-after"] == "10"
        assert refused.headers["ratelimit"] == '"default";r=0;t=60'
        clock.pass_by(10)
        assert (await client.get("/api/v1/prompts")).status_code == 200
        assert (await client.get("/api/v1/prompts")).status_code == 429


async def test_errors_carry_the_limit_too_and_probes_are_not_counted(
    tmp_path: Path, sqlite_url: str, clock: Clock
) -> None:
    async with limited(tmp_path, sqlite_url, clock) as app, client_of(app) as client, client_of(app, None) as nobody:
        assert (await client.get("/api/v1/prompts/none")).headers["ratelimit"].startswith('"default";r=5;')
        assert (await client.post("/api/v1/keys", content=b"{")).headers["ratelimit"].startswith('"default";r=4;')
        assert (await nobody.get("/api/v1/prompts")).headers["ratelimit"].startswith('"default";r=5;')
        for _ in range(20):
            answer = await nobody.get("/health/live")
            assert answer.status_code == 200
            assert "ratelimit" not in answer.headers


async def test_each_key_has_its_own_bucket_and_made_up_ones_share_that_of_their_address(
    tmp_path: Path, sqlite_url: str, clock: Clock
) -> None:
    async with limited(tmp_path, sqlite_url, clock) as app, client_of(app) as client, client_of(app, None) as other:
        key = (await client.post("/api/v1/keys", json={"role": "reader", "name": "x"})).json()["key"]
        identifier = key.split("_")[1]
        answers = []
        for n in range(8):
            made_up = f"pw_{identifier}_{n:040}"
            answers.append(await other.get("/api/v1/prompts", headers={"Authorization": f"Bearer {made_up}"}))
        assert [answer.status_code for answer in answers] == [401] * 6 + [429] * 2
        own = await other.get("/api/v1/prompts", headers={"Authorization": f"Bearer {key}"})
        assert (own.status_code, own.headers["ratelimit"]) == (200, '"default";r=5;t=10')


async def test_openai_s_paths_say_it_in_openai_s_form(tmp_path: Path, sqlite_url: str, clock: Clock) -> None:
    async with limited(tmp_path, sqlite_url, clock, "1") as app, client_of(app) as client:
        await client.get("/v1/models")
        refused = await client.get("/v1/models")
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "60")
        assert refused.json()["error"]["type"] == "rate_limit_error"
        assert "x-should-retry" not in refused.headers


async def test_without_a_limit_nothing_is_said_about_one(sqlite_client: httpx2.AsyncClient) -> None:
    answer = await sqlite_client.get("/api/v1/prompts")
    assert not {name for name in answer.headers if name.startswith("ratelimit")}


@pytest.mark.parametrize("value", ["-1", "ten", "1.5", "²", "1" * 10])
def test_a_limit_that_is_no_number_of_requests_is_refused(value: str) -> None:
    with pytest.raises(SettingsError, match="PROMPTWARD_RATE_LIMIT"):
        Settings.read({"PROMPTWARD_RATE_LIMIT": value})


def test_buckets_do_not_grow_without_end(clock: Clock) -> None:
    rates: Any = Rates(60, clock)
    for n in range(MOST_BUCKETS + 100):
        rates.take(f"address {n}")
        clock.pass_by(0.001)
    assert len(rates._buckets) <= MOST_BUCKETS
    assert rates.take("address 1").wait_s == 0
