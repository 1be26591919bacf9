"""Text scorers through the public batch API, against a bare loop over the library that each of them stands on.

    python -m tests.benchmarks.scorers [--pairs 10000] [--rounds 3] [--only bleu,rouge_l] [--peers]

Pairs of 50 to 200 words, half of them near, half of them far from each other. Library and scorer take turns in the same
process; the best round counts, in CPU time, so that other work on the machine disturbs little. Slow libraries get fewer
pairs, the same for both. Prints Markdown tables. Exits with 1 when a scorer reaches less than 0.8 of its library's rate
(exact_match, contains and hamming, whose libraries take less time than a score takes to be made: less than 300,000
pairs/s), when ROUGE-L has other values than rouge_score, or more than 500 MB are needed. The event loop's longest stall is
wall time: on a busy machine it says more of the machine.
"""

import argparse
import asyncio
import importlib
import random
import resource
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from evaluators import Sample, Scorer, build, score_all

LEAST_OF_LIBRARY, LEAST_PER_S, MOST_MB = 0.8, 300_000, 500
TICK_S = 0.001

Pair = Callable[[str, str], object]


class Contest(NamedTuple):
    """A scorer, how its library is called, and every how many-th pair is used."""

    use: str
    args: dict[str, Any]
    library: str
    prepare: Callable[[], Pair]
    every: int = 1


class Row(NamedTuple):
    contest: Contest
    pairs: int
    library: float  # pairs per second of CPU
    batch: float
    all: float
    stall_ms: float


def _attribute(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def _plain(path: str) -> Callable[[], Pair]:
    return lambda: _attribute(path)


def _sacre(path: str, **arguments: Any) -> Callable[[], Pair]:
    """A new metric each time: its tokenizers remember what an old one has seen."""

    def prepare() -> Pair:
        score = _attribute(path)(**arguments).sentence_score
        return lambda output, reference: score(output, [reference]).score

    return prepare


def _rouge(kind: str) -> Callable[[], Pair]:
    def prepare() -> Pair:
        score = _attribute("rouge_score.rouge_scorer.RougeScorer")([kind]).score
        return lambda output, reference: score(reference, output)[kind].fmeasure

    return prepare


def _gleu() -> Pair:
    score = _attribute("nltk.translate.gleu_score.sentence_gleu")
    return lambda output, reference: score([reference.split()], output.split())


class _NoWordNet:
    def synsets(self, word: str) -> list[object]:
        return []


def _meteor() -> Pair:
    score = _attribute("nltk.translate.meteor_score.single_meteor_score")
    return lambda output, reference: score(reference.split(), output.split(), wordnet=_NoWordNet())


CONTESTS = [
    Contest("exact_match", {}, "==", lambda: str.__eq__),
    Contest("contains", {}, "in", lambda: str.__contains__),
    Contest("levenshtein", {}, "rapidfuzz Levenshtein", _plain("rapidfuzz.distance.Levenshtein.normalized_similarity")),
    Contest("fuzz_ratio", {}, "rapidfuzz ratio", _plain("rapidfuzz.fuzz.ratio")),
    Contest("fuzz_partial_ratio", {}, "rapidfuzz partial_ratio", _plain("rapidfuzz.fuzz.partial_ratio"), 50),
    Contest("fuzz_token_sort_ratio", {}, "rapidfuzz token_sort_ratio", _plain("rapidfuzz.fuzz.token_sort_ratio")),
    Contest("fuzz_token_set_ratio", {}, "rapidfuzz token_set_ratio", _plain("rapidfuzz.fuzz.token_set_ratio")),
    Contest("fuzz_wratio", {}, "rapidfuzz WRatio", _plain("rapidfuzz.fuzz.WRatio"), 5),
    Contest(
        "jaro_winkler", {}, "rapidfuzz JaroWinkler", _plain("rapidfuzz.distance.JaroWinkler.normalized_similarity")
    ),
    Contest("hamming", {}, "rapidfuzz Hamming", _plain("rapidfuzz.distance.Hamming.normalized_similarity")),
    Contest("bleu", {}, "sacrebleu BLEU", _sacre("sacrebleu.metrics.BLEU", effective_order=True), 5),
    Contest("chrf", {}, "sacrebleu CHRF", _sacre("sacrebleu.metrics.CHRF"), 20),
    Contest("ter", {}, "sacrebleu TER", _sacre("sacrebleu.metrics.TER"), 2_500),
    Contest("rouge_1", {}, "rouge_score rouge1", _rouge("rouge1"), 5),
    Contest("rouge_2", {}, "rouge_score rouge2", _rouge("rouge2"), 5),
    Contest("rouge_l", {}, "rouge_score rougeL", _rouge("rougeL"), 50),
    Contest("rouge_lsum", {}, "rouge_score rougeLsum", _rouge("rougeLsum"), 50),
    Contest("gleu", {}, "nltk sentence_gleu", _gleu, 5),
    Contest("meteor", {"synonyms": False}, "nltk meteor_score", _meteor, 20),
]


def pairs_of_text(count: int) -> list[tuple[str, str]]:
    """Seeded pairs of 50 to 200 words over a vocabulary as skewed as language is, with punctuation, in lines of 25 words."""
    draw = random.Random(20)
    letters = "etaoinshrdlucmfwypvbgkjqxz"
    vocabulary = ["".join(draw.choices(letters, range(26, 0, -1), k=draw.randint(1, 10))) for _ in range(8_000)]
    weights = [1 / rank for rank in range(1, len(vocabulary) + 1)]

    def words(size: int) -> list[str]:
        return [
            word + draw.choice(("", "", "", "", "", ",", ".")) for word in draw.choices(vocabulary, weights, k=size)
        ]

    def text(found: list[str]) -> str:
        return "\n".join(" ".join(found[start : start + 25]) for start in range(0, len(found), 25))

    pairs = []
    for number in range(count):
        reference = words(draw.randint(50, 200))
        output = words(draw.randint(50, 200))
        if number % 2:
            output = [word if draw.random() < 0.7 else draw.choice(output) for word in reference]
        pairs.append((text(output), text(reference)))
    return pairs


def cpu_s(work: Callable[[], object]) -> float:
    before = time.process_time()
    work()
    return time.process_time() - before


async def stalled(scorer: Scorer, samples: list[Sample]) -> float:
    """The longest time, in ms, that the event loop could do nothing else while `score_all` worked."""
    longest, ended = 0.0, False

    async def tick() -> None:
        nonlocal longest
        while not ended:
            before = time.perf_counter()
            await asyncio.sleep(TICK_S)
            longest = max(longest, time.perf_counter() - before - TICK_S)

    ticking = asyncio.create_task(tick())
    await asyncio.sleep(0)
    await score_all(scorer, samples)
    ended = True
    await ticking
    return 1000 * longest


def compete(contest: Contest, pairs: list[tuple[str, str]], rounds: int) -> Row:
    pairs = pairs[:: contest.every]
    samples = [Sample(output=output, reference=reference) for output, reference in pairs]
    scorer = build(contest.use, contest.args)
    scorer.score_batch(samples[:2])
    times: dict[str, list[float]] = {"library": [], "batch": [], "all": []}
    for _ in range(rounds):
        call = contest.prepare()
        call(*pairs[0])
        times["library"].append(cpu_s(lambda call=call: [call(output, reference) for output, reference in pairs]))
        times["batch"].append(cpu_s(lambda: scorer.score_batch(samples)))
        times["all"].append(cpu_s(lambda: asyncio.run(score_all(scorer, samples))))
    rates = {name: len(pairs) / min(found) for name, found in times.items()}
    return Row(contest, len(pairs), **rates, stall_ms=asyncio.run(stalled(scorer, samples)))


def misses(rows: list[Row]) -> Iterator[str]:
    for row in rows:
        if row.contest.use in ("exact_match", "contains", "hamming"):
            if row.all < LEAST_PER_S:
                yield f"{row.contest.use}: {row.all:,.0f} pairs/s, at least {LEAST_PER_S:,} are asked"
        elif row.all < LEAST_OF_LIBRARY * row.library:
            yield f"{row.contest.use}: {row.all / row.library:.2f} of its library's rate, at least 0.8 is asked"
    if peak_mb() > MOST_MB:
        yield f"peak memory {peak_mb():.0f} MB, at most {MOST_MB} are asked"


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def peers(pairs: list[tuple[str, str]]) -> None:
    """Rates of other projects' scorers, where they are installed."""
    calls: dict[str, tuple[str, Callable[[Any], Pair]]] = {
        "autoevals ExactMatch": ("autoevals.ExactMatch", lambda made: lambda o, r: made.eval(output=o, expected=r)),
        "autoevals Levenshtein": ("autoevals.Levenshtein", lambda made: lambda o, r: made.eval(output=o, expected=r)),
        "opik Equals": ("opik.evaluation.metrics.Equals", lambda made: lambda o, r: made.score(output=o, reference=r)),
        "opik Contains": (
            "opik.evaluation.metrics.Contains",
            lambda made: lambda o, r: made.score(output=o, reference=r),
        ),
        "opik LevenshteinRatio": (
            "opik.evaluation.metrics.LevenshteinRatio",
            lambda made: lambda o, r: made.score(output=o, reference=r),
        ),
        "opik ROUGE": ("opik.evaluation.metrics.ROUGE", lambda made: lambda o, r: made.score(output=o, reference=r)),
    }
    print("\n| peer | pairs/s |\n|---|---:|")
    for name, (path, bind) in calls.items():
        try:
            call = bind(_attribute(path)())
        except ImportError:
            print(f"| {name} | not installed |")
            continue
        some = pairs[:50] if "ROUGE" in name else pairs[:1000]
        call(*some[0])
        print(f"| {name} | {len(some) / cpu_s(lambda call=call, some=some: [call(*pair) for pair in some]):,.0f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="names of scorers, with commas between them")
    parser.add_argument("--peers", action="store_true", help="time other projects' scorers, too")
    asked = parser.parse_args()
    chosen = [each for each in CONTESTS if not asked.only or each.use in asked.only.split(",")]
    pairs = pairs_of_text(asked.pairs)
    print("| scorer | library | pairs | library/s | score_batch/s | score_all/s | of library | longest stall |")
    print("|---|---|---:|---:|---:|---:|---:|---:|")
    rows = []
    for contest in chosen:
        row = compete(contest, pairs, asked.rounds)
        rows.append(row)
        rates = f"{row.library:,.0f} | {row.batch:,.0f} | {row.all:,.0f} | {row.all / row.library:.2f}"
        print(f"| {contest.use} | {contest.library} | {row.pairs:,} | {rates} | {row.stall_ms:.0f} ms |", flush=True)
    print(f"\npeak memory: {peak_mb():.0f} MB")
    missed = list(misses(rows))
    scorer, library = build("rouge_l"), _rouge("rougeL")()
    different = sum(
        scorer.score(Sample(output=output, reference=reference)).value != library(output, reference)
        for output, reference in pairs[::100]
    )
    if different:
        missed.append(f"rouge_l: {different} of {len(pairs[::100])} values are not rouge_score's")
    if asked.peers:
        peers(pairs)
    for miss in missed:
        print(f"MISSED {miss}")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
