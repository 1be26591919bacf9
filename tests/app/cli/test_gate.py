from tests.app.cli.conftest import CLI


def test_a_valid_policy_is_said_to_be_valid_wherever_it_stands(cli: CLI) -> None:
    cli.write("mine.yaml", "rules:\n  - {metric: exact_match, floor: 0.5}\n")
    assert cli("gate", "lint", "mine.yaml").out == "mine.yaml: valid, 1 rule\n"
    assert cli("gate", "lint", "promptward.yaml").out == "exact: valid, 1 rule\n"
    cli("sync")
    assert cli("gate", "lint", "exact").out == "exact@1: valid, 1 rule\n"


def test_a_bad_policy_is_refused_by_the_name_of_its_file_and_nothing_is_kept(cli: CLI) -> None:
    cli.write("mine.yaml", "rules:\n  - {metric: exact_match, flor: 0.5}\n")
    refused = cli("gate", "lint", "mine.yaml")
    assert (refused.code, refused.out) == (2, "")
    assert "mine.yaml" in refused.err
    assert "flor" in refused.err
    assert "policy.policy.yaml" not in refused.err
    assert cli("list", "gate-policies", "--json").json == []


def test_a_policy_that_is_nowhere_is_a_usage_error(cli: CLI) -> None:
    assert "there is no file other.yaml" in cli("gate", "lint", "other.yaml").err
    assert cli("gate", "lint", "other").code == 2


def test_a_backtest_says_how_often_each_gate_would_have_blocked_a_change(cli: CLI) -> None:
    cli("sync")
    started = cli("run", "qa", "--candidate", "ask", "--candidate", "prompt=ask,endpoint=weak", "--json").json
    sides = ("c2:weak", "c1:good")
    drawn = ("--suites", "20", "--size", "10")
    asked = ("gate", "backtest", started["id"], "exact_match", "--change", *sides, "--neutral", *sides, *drawn)
    found = cli(*asked, "--json").json
    assert {row["true_change"] for row in found["rows"]} == {-0.25, 0}
    assert all(row["blocked"] + row["passed"] + row["inconclusive"] == 20 for row in found["rows"])
    assert cli(*asked, "--json").json == found
    assert "20 suites of 10 cases" in cli(*asked).out
    assert cli("gate", "backtest", started["id"], "exact_match").code == 2
