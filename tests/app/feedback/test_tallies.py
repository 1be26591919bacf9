"""What is counted of a rollout is what a recount of its ratings gives, whatever came in between."""

import random
from collections import defaultdict
from fractions import Fraction
from typing import Any

import pytest
from sqlalchemy import text

from app.access.schemas import DEFAULT_PROJECT
from app.feedback.counting import scaled
from app.feedback.schemas import SCALED, Scale
from tests.app.feedback.conftest import RELEASE, People
from tests.conftest import on_both

DELTA = Scale("delta", -3.0, 3.0)
Counted = dict[tuple[int, str, str], tuple[int, Fraction, Fraction]]


async def tallied(people: People, *scales: Scale) -> Counted:
    async with people.app.litestar.state.sessions() as session:
        found = await people.feedback.tallies(session, DEFAULT_PROJECT, RELEASE, scales)
    counted: Counted = {}
    for t in found:
        if t.n or t.total or t.squares:
            n, total, squares = counted.get((t.phase, t.arm, t.signal), (0, Fraction(0), Fraction(0)))
            counted[t.phase, t.arm, t.signal] = (n + t.n, total + Fraction(t.total), squares + Fraction(t.squares))
    return counted


async def recounted(people: People, with_delta: bool) -> Counted:
    """From the ratings that say they count in the rollout; named numbers on `DELTA`, in steps of 2^-15 of it."""
    query = text(
        "SELECT i.phase, i.arm, r.signal, r.value FROM rating r "
        "JOIN inference i ON i.project_id = r.project_id AND i.id = r.inference_id WHERE r.in_rollout"
    )
    counted: defaultdict[tuple[int, str, str], list[Fraction]] = defaultdict(list)
    async with people.app.litestar.state.sessions() as session:
        for phase, arm, signal, value in (await session.execute(query)).all():
            if signal in SCALED:
                counted[phase, arm, signal].append(Fraction(scaled(signal, value)))
            elif with_delta and DELTA.low <= value <= DELTA.high:
                counted[phase, arm, DELTA.name].append(Fraction(round((value + 3) / 6 * 2**15), 2**15))
            elif with_delta:
                counted[phase, arm, DELTA.outside].append(Fraction(0))
    return {
        place: (len(values), sum(values, Fraction(0)), sum((v * v for v in values), Fraction(0)))
        for place, values in counted.items()
    }


def a_rating(rng: random.Random) -> dict[str, Any]:
    signal = rng.choice(["thumbs", "stars", "score", "delta"])
    value = {
        "thumbs": rng.randrange(2),
        "stars": rng.randint(1, 5),
        "score": rng.choice([rng.random(), 1e-9, 0.1, 1 - 1e-12]),
        "delta": rng.choice([1e9, -1e9, rng.gauss(0, 1)]),
    }[signal]
    return {"signal": signal, "value": value}


@on_both
@pytest.mark.parametrize("seed", range(3))
async def test_after_any_votes_changes_and_erasures_the_tallies_are_a_recount(people: People, seed: int) -> None:
    rng, begun = random.Random(seed), (0, 25, 55)[seed]  # from when on somebody asks for the named number
    units = [f"unit {n}" for n in range(8)]
    answers: list[str] = []
    for step in range(60):
        if step < 12 or rng.random() < 0.2:
            unit, arm = rng.choice(units), rng.choice(["candidate", "baseline"])
            answers.append((await people.served(unit, arm, phase=rng.randrange(2)))[0])  # type: ignore[arg-type]
        elif rng.random() < 0.9:
            more = {} if rng.random() < 0.6 else {"rater": rng.choice([*units, "guest"])}
            body = [{"inference_id": rng.choice(answers), **a_rating(rng), **more} for _ in range(rng.randint(1, 4))]
            await people.rate(body)
        else:
            await people.client.delete(f"/api/v1/feedback/raters/{rng.choice(units)}")
        if step % 10 == 9:
            kept = await tallied(people, *([DELTA] if step > begun else []))
            mine = (*SCALED, DELTA.name, DELTA.outside)
            assert {k: v for k, v in kept.items() if k[2] in mine} == await recounted(people, step > begun)
    async with people.app.litestar.state.sessions() as session:
        marks = await session.execute(text(f"SELECT count(*) FROM tally WHERE signal = '{DELTA.name}' AND bucket = -1"))
    assert marks.scalar() == (0 if begun > 50 else 1)


@on_both
async def test_named_numbers_are_counted_on_the_range_of_a_rule_and_the_others_are_set_aside(people: People) -> None:
    values = [-3, 0, 3, 4, -1e9, 1e9]
    for n, value in enumerate(values):
        _, receipt = await people.served(f"unit {n}", "candidate" if n % 2 else "baseline")
        await people.rate({"receipt": receipt, "signal": "delta", "value": value})
    counted = await tallied(people, DELTA)
    again, _ = await people.served("unit 0", "baseline")
    await people.rate({"inference_id": again, "signal": "delta", "value": -3})
    kept = await tallied(people, DELTA)
    assert all(kept[place] == counted[place] for place in counted if place[2] in (DELTA.name, DELTA.outside))
    assert counted[0, "baseline", DELTA.name] == (2, 1, 1)
    assert counted[0, "candidate", DELTA.name] == (1, Fraction(1, 2), Fraction(1, 4))
    assert counted[0, "candidate", DELTA.outside] == (2, 0, 0)
    assert counted[0, "baseline", DELTA.outside] == (1, 0, 0)


@on_both
async def test_a_huge_number_that_is_taken_back_leaves_nothing_behind(people: People) -> None:
    whole = Scale("delta", -1e9, 1e9)
    for n in range(20):
        await tallied(people, DELTA, whole)
        _, receipt = await people.served(f"unit {n}")
        for value in (1e9, -1e9, 1 / 3):
            await people.rate({"receipt": receipt, "signal": "delta", "value": value})
    n, total, squares = (await tallied(people, DELTA))[0, "candidate", DELTA.name]
    share = Fraction(round((1 / 3 + 3) / 6 * 2**15), 2**15)
    assert (n, total, squares) == (20, 20 * share, 20 * share**2)
    assert (await tallied(people, whole))[0, "candidate", whole.name][0] == 20


@on_both
async def test_a_rating_says_whether_it_is_its_unit_s_vote_now(people: People) -> None:
    first, _ = await people.served("ann", "baseline")
    second, _ = await people.served("ann", "baseline", phase=1)
    before = await people.rate({"inference_id": first, "signal": "thumbs", "value": 1})
    assert before["in_rollout"] is True
    both = await people.rate(
        [
            {"inference_id": second, "signal": "thumbs", "value": 1},
            {"inference_id": second, "signal": "thumbs", "value": 0},
        ]
    )
    assert [(r["in_rollout"], r["current"]) for r in both["items"]] == [(False, False), (True, True)]
    kept = {r["id"]: r for r in (await people.get("/feedback", history="true"))["items"]}
    assert [kept[r["id"]] for r in both["items"]] == both["items"]
    assert (kept[before["id"]]["in_rollout"], kept[before["id"]]["current"]) == (False, True)
    assert await people.votes() == {(1, "baseline"): (1, 0.0)}
