"""What the demo does, through the client alone. Every figure is computed here and now."""

from typing import Any

from promptward import AsyncClient

from app.cli.check import flips_of
from app.cli.command import Session
from app.cli.progress import follow

SUITE, METRIC, POLICY, LIVE = "docs", "correct", "docs", "docs/answer"
CANDIDATES = {
    "docs/answer": "the live one, unchanged",
    "docs/answer-better": "the better one",
    "docs/answer-confident": "looks fine, breaks one kind of question",
}
SUITES, SIZE = 200, 50


async def evaluate(session: Session, client: AsyncClient) -> dict[str, Any]:
    """Act one: three candidates against the live prompt on two models, each judged by the example's policy."""
    started = await client.runs.create(SUITE, [{"prompt": ref} for ref in CANDIDATES], baseline={"prompt": LIVE})
    run: dict[str, Any] = dict(await follow(session, client, started["id"], "evaluating"))
    candidates = []
    flips: list[dict[str, Any]] = []
    for number, (ref, title) in enumerate(CANDIDATES.items(), start=1):
        name = f"c{number}"
        verdict = await client.gates.evaluate(POLICY, "ci", f"{run['id']}/{name}", baseline=f"{run['id']}/baseline")
        pooled = await client.runs.comparison(run["id"], candidate=name, baseline="baseline")
        variants = [v for v in run["variants"] if v["candidate"] == name]
        found = [flip for flip in await flips_of(client, run["id"], dict(pooled)) if flip.metric == METRIC]
        flips += [{"candidate": ref, **flip._asdict()} for flip in found]
        candidates.append(
            {
                "prompt": ref,
                "title": title,
                "verdict": verdict["verdict"],
                "headline": verdict["headline"],
                "exit_code": verdict["exit_code"],
                "rules": verdict["rules"],
                "overall": _row(pooled, METRIC),
                "slices": [m for m in pooled["metrics"] if m["metric"] == METRIC and m["slice"]],
                "endpoints": [await _endpoint(client, run["id"], variant) for variant in variants],
                "calls": sum(v["cells"]["answered"] + v["cells"]["failed"] for v in variants),
                "cells": sum(v["cells"]["planned"] for v in variants),
                "cost_usd": sum(v["cost_usd"] for v in variants),
                "flips": {
                    "worse": sum(f.after < f.before for f in found),
                    "better": sum(f.after > f.before for f in found),
                },
            }
        )
    baseline = [v for v in run["variants"] if v["candidate"] == "baseline"]
    policy = await client.artifacts("gate-policies").get(POLICY)
    return {
        "run": run["id"],
        "cases": run["cases"],
        "cells": run["cells"],
        "metric": METRIC,
        "margin": _margin(policy["content"]),
        "baseline": {
            "prompt": LIVE,
            "endpoints": [{"endpoint": v["endpoint"], "mean": v["metrics"][METRIC]["mean"]} for v in baseline],
            "calls": sum(v["cells"]["answered"] + v["cells"]["failed"] for v in baseline),
            "cost_usd": sum(v["cost_usd"] for v in baseline),
        },
        "candidates": candidates,
        "flips": flips,
    }


async def gate(client: AsyncClient, evaluated: dict[str, Any]) -> dict[str, Any]:
    """Act two: from the answers just made, many small suites for a change that does nothing and for a real regression.

    The change that does nothing compares the live prompt with the better one in both orders, so that answers change as
    much as they do in practice and the mean difference is exactly zero. The regression puts the live prompt on the smaller
    model in the place of the better prompt on the larger one.
    """
    run = evaluated["run"]
    large, small = (e["endpoint"].partition("@")[0] for e in evaluated["baseline"]["endpoints"])
    changes: list[dict[str, Any]] = [
        {
            "name": "no-op edit",
            "candidate": f"{run}/c2:{large}",
            "baseline": f"{run}/baseline:{large}",
            "neutral": True,
        },
        {"name": "real regression", "candidate": f"{run}/baseline:{small}", "baseline": f"{run}/c2:{large}"},
    ]
    answer: dict[str, Any] = await client.gates.backtest(
        METRIC, changes, margin=evaluated["margin"], size=SIZE, suites=SUITES
    )
    return answer


async def _endpoint(client: AsyncClient, run_id: str, variant: dict[str, Any]) -> dict[str, Any]:
    name = variant["id"].partition(":")[2]
    comparison = await client.runs.comparison(run_id, candidate=variant["id"], baseline=f"baseline:{name}")
    return {"endpoint": variant["endpoint"], "cost_usd": variant["cost_usd"], **_row(comparison, METRIC)}


def _row(comparison: Any, metric: str) -> dict[str, Any]:
    return next(dict(m) for m in comparison["metrics"] if m["metric"] == metric and m["slice"] is None)


def _margin(policy: dict[str, Any]) -> float:
    return next(
        float(rule["no_regression"]["margin"])
        for rule in policy["rules"]
        if "no_regression" in rule and "slices" not in rule
    )
