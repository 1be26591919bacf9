"""Act four: the people. A canary that tested fine is paused by ratings, and rolled back by a second signal."""

import asyncio
from typing import Any

from app.cli.command import Session
from app.cli.demo.door import ENVIRONMENT, PROMPT, PROMPT_FILE
from app.cli.demo.stage import Stage
from app.cli.ship import Asked, only, shipped

BETTER_FILE = "prompts/docs/answer-better.prompt.yaml"
PEOPLE = 150
"""In each arm."""
AT_ONCE = 10
STUFFED, STUFFED_AFTER, ARRAY = 10_000, 50, 1_000
CONTENT = {"baseline": 17, "candidate": 11}
"""Of twenty simulated people, how many are content."""


async def people(session: Session, stage: Stage) -> dict[str, Any]:
    """600 simulated ratings through the API. Nothing here decides but the rollout rules of the example's policy."""
    client = stage.client
    better = Asked(ENVIRONMENT, notes="a better wording")
    release = only(await shipped(session, client, with_better(stage.files), better))
    asked = [item["inputs"]["question"] async for item in client.datasets.items("docs-questions", "latest")]
    crowd = await served(stage, release["id"], asked)
    paused_after = stuffed_effect = None
    given = 0
    for signal in ("thumbs", "stars"):
        for start in range(0, PEOPLE, AT_ONCE):
            ratings = [
                {"receipt": crowd[arm][i], "signal": signal, "value": value(signal, arm, i), "tags": ["simulated"]}
                for i in range(start, start + AT_ONCE)
                for arm in ("candidate", "baseline")
            ]
            await client.feedback.add_many(ratings)
            given += len(ratings)
            if signal == "thumbs" and start + AT_ONCE == STUFFED_AFTER:
                stuffed_effect = await stuff(stage, release["id"])
            if paused_after is None and (await client.releases.get(release["id"]))["state"] == "paused":
                paused_after = given
    ended = await client.releases.get(release["id"])
    pause = next((e for e in ended["timeline"] if e["action"] == "paused"), None)
    verdict = (pause or {}).get("details", {}).get("verdict", {})
    rule: dict[str, Any] = next((rule for rule in verdict.get("rules", []) if rule["verdict"] == "fail"), {})
    summary = await client.feedback.summary(PROMPT, by="release")
    return {
        "simulated": True,
        "release": dict(ended),
        "tested": release["verdict"],
        "ratings": given,
        "paused_after": paused_after,
        "estimate": rule.get("estimate"),
        "low": rule.get("low"),
        "high": rule.get("high"),
        "flip_cost": verdict.get("flip_cost"),
        "rollout": ended["state"],
        "stuffed_votes": STUFFED,
        "stuffed_votes_effect": stuffed_effect,
        "summary": summary["items"],
        "audit": await client.audit.verify(),
    }


def with_better(files: list[dict[str, str]]) -> list[dict[str, str]]:
    """The project's files with the better wording in the place of the live one."""
    text = next(file["text"] for file in files if file["path"] == BETTER_FILE)
    return [{**file, "text": text} if file["path"] == PROMPT_FILE else file for file in files]


async def served(stage: Stage, release: str, asked: list[str]) -> dict[str, list[str]]:
    """Receipts of the answers that simulated people were given through the official client, by arm."""
    receipts: dict[str, list[str]] = {"candidate": [], "baseline": []}
    number = 0
    async with stage.openai() as client:

        async def one(n: int) -> None:
            answer = await client.chat.completions.create(
                model=f"{PROMPT}@{ENVIRONMENT}",
                messages=[],
                extra_body={"variables": {"question": asked[n % len(asked)]}, "unit": f"person {n}"},
            )
            ours = answer.model_dump()["promptward"]
            receipts["candidate" if ours["release"] == release else "baseline"].append(ours["receipt"])

        while min(map(len, receipts.values())) < PEOPLE:
            await asyncio.gather(*(one(n) for n in range(number, number + 20)))
            number += 20
    return receipts


def value(signal: str, arm: str, i: int) -> int:
    """What simulated person number `i` says; the same in every demo."""
    content = i * 7 % 20 < CONTENT[arm]
    if signal == "thumbs":
        return int(content)
    return 5 - i % 2 if content else 1 + i % 2


async def stuff(stage: Stage, release: str) -> float:
    """10,000 votes of one key under invented names; returns by how much they moved the rollout's estimate."""

    async def estimate() -> float:
        found = (await stage.client.releases.get(release))["rollout_verdict"] or {}
        return float(found["rules"][0]["estimate"])

    before = await estimate()
    async with stage.key("server", "a key in the wrong hands") as attacker:
        for start in range(0, STUFFED, ARRAY):
            votes = [
                {"id": f"invented {n}", "prompt": f"{PROMPT}@1", "signal": "thumbs", "value": 0, "rater": f"nobody {n}"}
                for n in range(start, start + ARRAY)
            ]
            await attacker.feedback.add_many(votes)
    return abs(await estimate() - before)
