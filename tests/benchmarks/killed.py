"""Whatever was answered with a 2xx is there after `kill -9`.

    python -m tests.benchmarks.killed [--tries 200]

Starts `promptward serve`, writes to it from eight sides (ratings, answers, versions, labels), kills it at a random moment,
starts it again on the same home, and looks for everything that was acknowledged. The audit's chain must be whole, and a
label's history must end where the label stands. Exits with 1 when anything is missing.
"""

import argparse
import asyncio
import random
import signal
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp

from tests.benchmarks.processes import Service, serving

WRITERS = 8
CONTENT = {"messages": [{"role": "user", "content": "hello"}]}


class Acknowledged:
    """What a 2xx came back for."""

    def __init__(self) -> None:
        self.ratings: set[str] = set()
        self.inferences: set[str] = set()
        self.versions: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self.ratings) + len(self.inferences) + len(self.versions)


async def write(url: str, token: str, number: int, found: Acknowledged) -> None:
    """Writes until the service is gone."""
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(total=5)) as session:

        async def post(path: str, body: dict[str, Any]) -> dict[str, Any]:
            async with session.post(url + path, json=body) as answer:
                if answer.status not in (200, 201):
                    raise SystemExit(f"{path}: {answer.status} {await answer.text()}")
                return dict(await answer.json())

        async def writer(side: int) -> None:
            for n in range(100_000):
                if side == 0:
                    text = f"{number} {n}"
                    content = {"messages": [{"role": "user", "content": text}]}
                    version = await post("/api/v1/prompts/ask/versions", {"content": content, "labels": ["tried"]})
                    found.versions[version["version"]] = version["digest"]
                elif side % 2:
                    own = f"m{number}-{side}-{n}"
                    rating = {"id": own, "prompt": "ask", "signal": "thumbs", "value": n % 2, "rater": f"r{side}"}
                    found.ratings.add((await post("/api/v1/feedback", rating))["id"])
                else:
                    made = await post("/api/v1/inferences", {"prompt": "ask", "output": "x"})
                    found.inferences.add(made["id"])

        with suppress(aiohttp.ClientError, TimeoutError, ConnectionError):
            async with asyncio.TaskGroup() as group:
                for side in range(WRITERS):
                    group.create_task(_until_gone(writer(side)))


async def _until_gone(writing: Any) -> None:
    with suppress(aiohttp.ClientError, TimeoutError, ConnectionError):
        await writing


def missing(service: Service, found: Acknowledged) -> list[str]:
    """What was acknowledged and is not there."""
    lost = [i for i in found.inferences if not _there(service, f"/api/v1/inferences/{i}")]
    kept: set[str] = set()
    cursor = ""
    while found.ratings - kept:
        page = service.get(f"/api/v1/feedback?limit=500&history=true{cursor}")
        kept |= {item["id"] for item in page["items"]}
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    lost += sorted(found.ratings - kept)
    for number, digest in found.versions.items():
        if service.get(f"/api/v1/prompts/ask/versions/{number}")["digest"] != digest:
            lost.append(f"version {number}")
    if found.versions:
        label = service.get("/api/v1/prompts/ask/versions/tried")["version"]
        moved = service.get("/api/v1/prompts/ask/labels/tried/history?limit=1")["items"][0]["to"]
        if label != moved or label < max(found.versions):
            lost.append(f"the label stands on {label}, its history on {moved}")
    audit = service.get("/api/v1/audit/verify")
    return lost if audit["ok"] else [*lost, f"audit: {audit}"]


def _there(service: Service, path: str) -> bool:
    try:
        service.get(path)
    except OSError:
        return False
    return True


def attempt(home: Path, number: int, after_s: float) -> tuple[int, list[str]]:
    """One start, one kill, one look: how much was acknowledged, and what of it is lost."""
    found = Acknowledged()
    with serving(home) as (service, _):
        if number == 0:
            service.make("prompts", "ask", CONTENT)

        async def play() -> None:
            writing = asyncio.create_task(write(service.url, service.token, number, found))
            await asyncio.sleep(after_s)
            service.kill(signal.SIGKILL)
            await writing

        asyncio.run(play())
    with serving(home) as (service, _):
        return len(found), missing(service, found)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tries", type=int, default=200)
    tries = parser.parse_args().tries
    rng, acknowledged, began = random.Random(7), 0, time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        for number in range(tries):
            count, lost = attempt(Path(folder, "home"), number, rng.uniform(0.05, 0.4))
            acknowledged += count
            if lost:
                print(f"MISS  try {number}: {lost[:5]}")
                return 1
    print(f"ok    {tries} kills, {acknowledged:,} acknowledged writes, none lost, {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
