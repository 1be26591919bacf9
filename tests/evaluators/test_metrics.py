"""Run-level measures against scikit-learn, scipy, numpy and the `krippendorff` package, and on recorded judgements."""

import json
from itertools import combinations
from math import comb
from pathlib import Path

import krippendorff
import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn

from evaluators.contract import Score
from evaluators.metrics.aggregate import aggregate, percentile_of
from evaluators.metrics.agreement import accuracy, corrected_rate, krippendorff_alpha, positional_agreement, rates
from evaluators.metrics.confusion import confusion
from evaluators.metrics.correlation import Method, correlation
from evaluators.metrics.estimate import Estimate, wilson
from evaluators.metrics.kappa import cohen_kappa, kappa_difference
from evaluators.metrics.reducers import REDUCERS, pass_at_k, pass_hat_k, reduce, reduce_cases
from evaluators.metrics.resampling import Sampling

LABELS = st.sampled_from("abcd")
PAIRS = st.lists(st.tuples(LABELS, LABELS), min_size=1, max_size=40)
QUICK = Sampling(resamples=0)


def width(found: Estimate) -> float:
    assert found.low is not None
    assert found.high is not None
    return found.high - found.low


# aggregate


def test_scores_without_a_value_are_counted_apart_and_never_as_zero() -> None:
    scores = [
        Score.ok(1.0, passed=True, label="good"),
        Score.ok(0.5, passed=False, label="bad"),
        Score.ok(0.9, label="good"),
        Score.error("down"),
        Score.unscored("prose"),
        Score.skipped("no reference"),
    ]
    found = aggregate(scores)
    assert (found.n, found.errors, found.unscored, found.skipped) == (3, 1, 1, 1)
    assert found.mean == pytest.approx(0.8)
    assert found.median == 0.9
    assert (found.pass_rate, found.judged) == (0.5, 2)
    assert found.labels == {"good": 2 / 3, "bad": 1 / 3}


def test_nothing_to_aggregate_is_no_number() -> None:
    found = aggregate([Score.error("down")])
    assert (found.mean, found.median, found.p95, found.pass_rate, found.labels) == (None, None, None, None, {})


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50), st.floats(0, 100))
def test_percentiles_are_numpys(values: list[float], q: float) -> None:
    assert percentile_of(values, q) == pytest.approx(np.percentile(values, q), abs=1e-6)


# reducers


@given(st.integers(1, 8).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
def test_pass_at_k_and_pass_hat_k_are_shares_of_all_ways_to_choose_k_tries(given_: tuple[int, int, int]) -> None:
    n, passed, k = given_
    tries = [True] * passed + [False] * (n - passed)
    chosen = list(combinations(tries, k))
    assert len(chosen) == comb(n, k)
    assert pass_at_k(n, passed, k) == pytest.approx(sum(map(any, chosen)) / len(chosen))
    assert pass_hat_k(n, passed, k) == pytest.approx(sum(map(all, chosen)) / len(chosen))


def test_pass_hat_k_is_not_the_biased_power_of_the_pass_rate() -> None:
    assert pass_hat_k(4, 2, 2) == pytest.approx(1 / 6)  # (2/4)**2 would be 1/4


def test_reducers_of_one_case() -> None:
    values = [1.0, 0.0, 0.0, 1.0, 0.5]
    assert reduce(values, "mean") == 0.5
    assert reduce(values, "median") == 0.5
    assert reduce(values, "max") == 1
    assert reduce(values, "min") == 0
    assert reduce([1.0, 0.0, 1.0], "majority") == 1
    assert reduce([1.0, 0.0], "majority") == 0
    assert reduce([1.0, 0.0, 1.0], "at_least_k", 2) == 1
    assert reduce([1.0, 0.0, 0.0], "at_least_k", 2) == 0
    assert reduce(values, "mode") == 0
    assert reduce(values, "mode", worse="high") == 1


@pytest.mark.parametrize("how", REDUCERS)
def test_a_case_that_lacks_a_repeat_is_unknown_unless_parts_are_asked_for(how: str) -> None:
    assert reduce([1.0, None, 1.0], how, 2) is None  # type: ignore[arg-type]
    assert reduce([1.0, None, 1.0], how, 2, partial=True) == 1  # type: ignore[arg-type]
    assert reduce([None, None, None], how, 2, partial=True) is None  # type: ignore[arg-type]


def test_fewer_repeats_than_k_are_unknown_or_refused() -> None:
    assert reduce([1.0, None, None], "pass_at_k", 2, partial=True) is None
    with pytest.raises(ValueError, match="needs at least k repeats"):
        reduce([1.0], "pass_at_k", 2)
    with pytest.raises(ValueError, match="no reducer is called 'best'"):
        reduce([1.0], "best")  # type: ignore[arg-type]


def test_counting_reducers_read_whether_repeats_passed_and_others_their_values() -> None:
    values, passed = np.array([[300.0, 900.0]]), np.array([[1.0, 0.0]])
    assert reduce_cases(values, passed, "pass_at_k", 1).tolist() == [0.5]
    assert reduce_cases(values, passed, "median").tolist() == [600.0]


# confusion


@settings(max_examples=60)
@given(PAIRS, st.sampled_from([0.5, 1.0, 2.0]))
def test_precision_recall_f_and_mcc_are_scikit_learns(pairs: list[tuple[str, str]], beta: float) -> None:
    true, said = [a for a, _ in pairs], [b for _, b in pairs]
    found = confusion(true, said, "abcd")
    assert found.counts == sklearn.confusion_matrix(true, said, labels=found.labels).tolist()
    assert found.accuracy == pytest.approx(sklearn.accuracy_score(true, said))
    assert found.mcc == pytest.approx(sklearn.matthews_corrcoef([*true], [*said]) if len({*true, *said}) > 1 else 0)
    for average in ("macro", "micro", "weighted"):
        p, r, f, _ = sklearn.precision_recall_fscore_support(
            true, said, labels=found.labels, beta=beta, average=average, zero_division=0
        )
        mine = found.averaged(average, beta)  # type: ignore[arg-type]
        assert (mine.precision, mine.recall, mine.f) == (pytest.approx(p), pytest.approx(r), pytest.approx(f))


def test_labels_that_cannot_be_paired_or_are_not_known_are_refused() -> None:
    with pytest.raises(ValueError, match="2 expected labels cannot be paired with 1"):
        confusion(["a", "b"], ["a"])
    with pytest.raises(ValueError, match="'c' is none of the labels a, b"):
        confusion(["a"], ["c"], ["a", "b"])
    with pytest.raises(ValueError, match="beta"):
        confusion(["a"], ["a"]).averaged(beta=0)


# correlation

NUMBERS = st.lists(
    st.tuples(st.integers(-20, 20).map(lambda v: v / 4), st.integers(-20, 20).map(lambda v: v / 4)),
    min_size=3,
    max_size=40,
)


@settings(max_examples=60)
@given(NUMBERS)
def test_correlations_are_scipys(pairs: list[tuple[float, float]]) -> None:
    x, y = [a for a, _ in pairs], [b for _, b in pairs]
    if len(set(x)) == 1 or len(set(y)) == 1:
        found = correlation(x, y)
        assert found.value is None
        assert found.reason == "one of the measures is the same for all cases"
        return
    for method, oracle in (
        ("pearson", scipy.stats.pearsonr),
        ("spearman", scipy.stats.spearmanr),
        ("kendall", scipy.stats.kendalltau),
    ):
        found = correlation(x, y, method)  # type: ignore[arg-type]
        assert found.value == pytest.approx(oracle(x, y).statistic, abs=1e-9)


def test_pearsons_interval_is_scipys_fisher_interval() -> None:
    random = np.random.default_rng(5)
    x = random.normal(size=50)
    y = x + random.normal(size=50)
    oracle = scipy.stats.pearsonr(x, y).confidence_interval(0.9)
    found = correlation(x.tolist(), y.tolist(), confidence=0.9)
    assert (found.low, found.high) == (pytest.approx(oracle.low), pytest.approx(oracle.high))


def test_cases_of_one_cluster_widen_the_interval_and_the_seed_decides_it() -> None:
    random = np.random.default_rng(7)
    base = random.normal(size=15)
    x = np.repeat(base, 20)
    y = np.repeat(base + random.normal(size=15), 20)
    alone = correlation(x.tolist(), y.tolist())
    together = correlation(x.tolist(), y.tolist(), clusters=[str(i // 20) for i in range(300)], resamples=300)
    again = correlation(x.tolist(), y.tolist(), clusters=[str(i // 20) for i in range(300)], resamples=300)
    assert together == again
    assert width(together) > 2 * width(alone)


@pytest.mark.parametrize("method", ["pearson", "spearman", "kendall"])
def test_weights_count_cases_as_often_as_they_say(method: Method) -> None:
    random = np.random.default_rng(2)
    x, y = random.integers(0, 5, 30).tolist(), random.integers(0, 5, 30).tolist()
    weights = random.integers(1, 4, 30).tolist()
    found = correlation(x, y, method, weights=weights, resamples=50)
    again = [i for i, weight in enumerate(weights) for _ in range(weight)]
    plain = correlation([x[i] for i in again], [y[i] for i in again], method)
    assert found.value == pytest.approx(plain.value)
    clustered = correlation(x, y, method, clusters=list(range(30)), resamples=50)
    assert clustered.value == pytest.approx(correlation(x, y, method).value)


def test_two_cases_have_a_correlation_and_no_interval() -> None:
    for method in ("pearson", "spearman", "kendall"):
        found = correlation([1, 2], [3, 5], method)  # type: ignore[arg-type]
        assert (found.value, found.low, found.method) == (pytest.approx(1), None, None)


def test_cases_without_both_measures_are_left_out() -> None:
    assert correlation([1, 2, 3, None], [1, 2, 3, 100]).n == 3
    assert correlation([1, None], [1, 2]).reason == "fewer than two cases have both measures"


# agreement


@settings(max_examples=60)
@given(PAIRS, st.sampled_from(["none", "linear", "quadratic"]))
def test_kappa_is_scikit_learns(pairs: list[tuple[str, str]], weighting: str) -> None:
    a, b = [x for x, _ in pairs], [y for _, y in pairs]
    found = cohen_kappa(a, b, weighting=weighting, labels=list("abcd"), sampling=QUICK)  # type: ignore[arg-type]
    if len({*a, *b}) == 1:
        assert found.value is None
        return
    weights = None if weighting == "none" else weighting
    assert found.value == pytest.approx(sklearn.cohen_kappa_score(a, b, weights=weights, labels=list("abcd")))


def test_the_difference_of_two_kappas_is_paired_by_case() -> None:
    random = np.random.default_rng(9)
    people = random.integers(0, 2, 300).tolist()
    before = [p if keep else 1 - p for p, keep in zip(people, random.random(300) < 0.7, strict=True)]
    now = [p if keep else b for p, b, keep in zip(people, before, random.random(300) < 0.5, strict=True)]
    found = kappa_difference(people, before, now)
    values = [cohen_kappa(people, judge, sampling=QUICK).value or 0 for judge in (before, now)]
    assert found.value == pytest.approx(values[1] - values[0])
    assert found.low is not None
    assert found.low > 0
    assert kappa_difference(people, before, before).high == 0


def test_weighted_kappa_takes_the_distance_of_the_labels_scores() -> None:
    a, b = ["low", "mid", "high", "low"], ["mid", "mid", "high", "low"]
    numbers = {"low": 0, "mid": 1, "high": 2}
    found = cohen_kappa(a, b, weighting="linear", scores={"low": 0.0, "mid": 0.5, "high": 1.0}, sampling=QUICK)
    oracle = sklearn.cohen_kappa_score([numbers[x] for x in a], [numbers[x] for x in b], weights="linear")
    assert found.value == pytest.approx(oracle)
    with pytest.raises(ValueError, match="no score was given for high"):
        cohen_kappa(a, b, weighting="linear", scores={"low": 0.0, "mid": 0.5})


RATINGS = st.integers(2, 4).flatmap(
    lambda raters: st.lists(
        st.lists(st.one_of(st.none(), st.integers(1, 4)), min_size=raters, max_size=raters), min_size=2, max_size=20
    )
)


@settings(max_examples=80)
@given(RATINGS, st.sampled_from(["nominal", "ordinal", "interval"]))
def test_alpha_is_the_krippendorff_packages_with_missing_ratings(units: list[list[int | None]], level: str) -> None:
    ratings = [list(rater) for rater in zip(*units, strict=True)]
    found = krippendorff_alpha(ratings, level=level, sampling=QUICK)  # type: ignore[arg-type]
    pairable = [[v for v in unit if v is not None] for unit in units if sum(v is not None for v in unit) > 1]
    if len({v for unit in pairable for v in unit}) < 2:
        assert found.value is None
        return
    data = np.array([[np.nan if v is None else v for v in row] for row in ratings], dtype=float)
    oracle = krippendorff.alpha(reliability_data=data, level_of_measurement=level)
    assert found.value == pytest.approx(oracle, abs=1e-9)


def test_bounds_are_the_same_for_a_seed_hold_the_value_and_narrow_with_cases() -> None:
    random = np.random.default_rng(3)

    def width_of(n: int) -> float:
        a = random.integers(0, 2, n).tolist()
        b = [x if keep else 1 - x for x, keep in zip(a, random.random(n) < 0.8, strict=True)]
        found = cohen_kappa(a, b, sampling=Sampling(seed=4))
        assert found == cohen_kappa(a, b, sampling=Sampling(seed=4))
        assert (found.low or 0) < (found.value or 0) < (found.high or 0)
        return width(found)

    assert width_of(1000) < width_of(50) / 2


def test_bootstrap_bounds_of_kappa_cover_as_often_as_they_say() -> None:
    random = np.random.default_rng(11)
    covered = 0
    for seed in range(120):
        a = random.integers(0, 2, 150)
        b = np.where(random.random(150) < 0.8, a, 1 - a)  # true kappa 0.6
        found = cohen_kappa(a.tolist(), b.tolist(), sampling=Sampling(seed=seed, resamples=400))
        covered += (found.low or 0) <= 0.6 <= (found.high or 0)
    assert covered >= 107  # 0.95 of 120 is 114; below 107 has probability 0.004


def test_cases_that_were_drawn_less_often_weigh_more() -> None:
    human, judge = [True] * 4 + [False] * 4, [True, True, False, False, False, False, False, True]
    weights = [1.0, 1.0, 3.0, 3.0, 1.0, 1.0, 1.0, 1.0]
    found = rates(human, judge, Sampling(weights=weights, resamples=50))
    assert found.tpr.value == pytest.approx(2 / 8)
    assert found.tnr.value == pytest.approx(3 / 4)
    repeated = [i for i, weight in enumerate(weights) for _ in range(int(weight))]
    plain = cohen_kappa([human[i] for i in repeated], [judge[i] for i in repeated], sampling=QUICK)
    assert cohen_kappa(human, judge, sampling=Sampling(weights=weights, resamples=0)).value == pytest.approx(
        plain.value
    )


def test_true_rates_have_wilson_intervals() -> None:
    found = rates([True] * 10 + [False] * 5, [True] * 8 + [False] * 7)
    assert found.tpr == wilson(8, 10)
    assert found.tnr == wilson(5, 5)
    oracle = scipy.stats.binomtest(8, 10).proportion_ci(method="wilson")
    assert (found.tpr.low, found.tpr.high) == (pytest.approx(oracle.low), pytest.approx(oracle.high))
    assert rates([True], [True]).tnr.reason == "there is no case to take a share of"


def test_a_judges_pass_rate_is_corrected_for_its_errors_unless_it_is_no_better_than_chance() -> None:
    assert corrected_rate(0.8 * 0.9 + 0.2 * 0.1, 0.9, 0.9) == pytest.approx(0.8)
    assert corrected_rate(0.5, 0.5, 0.5) is None


def test_a_judge_that_gave_no_winner_did_not_keep_to_one() -> None:
    assert positional_agreement([1, 2, None, 1], [1, 1, None, 1]).value == 0.5


# recorded judgements


def rows(folder: Path, name: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]


NQ = {
    "text-davinci-003-zeroshot": (150, 87.33, 0.7003),
    "text-davinci-003-fewshot64": (149, 82.55, 0.5784),
    "fid": (149, 85.91, 0.6888),
    "dpr": (144, 88.19, 0.7578),
}


def test_gpt_4_and_people_agree_on_open_questions_as_published(shared_data: Path) -> None:
    human: list[bool] = []
    judge: list[bool] = []
    for model, (n, percent, kappa) in NQ.items():
        outputs = [row["outputs"][model] for row in rows(shared_data, "nq_open_qa")]  # type: ignore[index]
        judged = [o for o in outputs if (o.get("gpt4_judge") or {}).get("verdict") is not None]
        ours, theirs = [bool(o["human_correct"]) for o in judged], [o["gpt4_judge"]["verdict"] == "Yes" for o in judged]
        agreement = accuracy(ours, theirs)
        assert (agreement.n, round(100 * (agreement.value or 0), 2)) == (n, percent)
        assert cohen_kappa(ours, theirs, sampling=QUICK).value == pytest.approx(kappa, abs=5e-5)
        human, judge = human + ours, judge + theirs
    pooled = accuracy(human, judge)
    assert (pooled.n, round(100 * (pooled.value or 0), 2)) == (592, 85.98)
    assert cohen_kappa(human, judge).value == pytest.approx(0.6875, abs=5e-5)
    table = confusion([str(h) for h in human], [str(j) for j in judge], ["True", "False"])
    assert table.counts == [[350, 52], [31, 159]]


def test_a_faithfulness_judge_and_people_go_together_as_recorded(shared_data: Path) -> None:
    judge, people = [], []
    for row in rows(shared_data, "mtrag_rag_responses"):
        for model in ("gpt-4o", "llama-3.1-405b-instruct"):
            output = row["outputs"][model]  # type: ignore[index]
            ratings = [o["faithfulness"] for o in output["human"] if o["faithfulness"] is not None]
            judge.append(output["recorded_metrics"]["rl_f"])
            people.append(sum(ratings) / len(ratings) if ratings else None)
    assert len(judge) == 156
    assert correlation(judge, people).value == pytest.approx(0.7648, abs=5e-5)
    assert correlation(judge, people, "spearman").value == pytest.approx(0.7053, abs=5e-5)


LLMBAR = {
    ("natural", "GPT-4/Vanilla"): (95.5, 95.0, 0.8977, 0.9179, 0.8977),
    ("natural", "ChatGPT/Vanilla"): (81.5, 71.0, 0.6025, 0.6380, 0.4287),
    ("natural", "LLaMA2/Vanilla"): (80.5, 79.0, 0.5732, 0.6305, 0.5732),
    ("adversarial_gptinst", "GPT-4/Vanilla"): (86.41, 94.57, 0.6961, 0.7611, 0.8910),
    ("adversarial_gptinst", "ChatGPT/Vanilla"): (26.63, 61.96, -0.4469, -0.4902, 0.3161),
    ("adversarial_gptinst", "LLaMA2/Vanilla"): (30.43, 72.83, -0.3728, -0.3972, 0.4745),
}


@pytest.mark.parametrize(("subset", "name"), LLMBAR)
def test_pairwise_judges_agree_with_experts_and_themselves_as_published(
    shared_data: Path, subset: str, name: str
) -> None:
    percent, positional, first, second, both = LLMBAR[subset, name]
    chosen = [row for row in rows(shared_data, "llmbar_judgements") if row["subset"] == subset]
    gold = [str(row["label"]) for row in chosen]
    orders = [
        [str(row["judges"][name][order]["winner"]) for row in chosen]  # type: ignore[index]
        for order in ("original_order", "swapped_order")
    ]
    found = [accuracy(gold, order).value or 0 for order in orders]
    assert round(100 * sum(found) / 2, 2) == percent
    assert round(100 * (positional_agreement(*orders).value or 0), 2) == positional
    assert cohen_kappa(gold, orders[0], sampling=QUICK).value == pytest.approx(first, abs=5e-5)
    assert cohen_kappa(gold, orders[1], sampling=QUICK).value == pytest.approx(second, abs=5e-5)
    assert cohen_kappa(*orders, sampling=QUICK).value == pytest.approx(both, abs=5e-5)
