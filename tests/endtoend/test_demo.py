"""The first two minutes of a newcomer: the demo as a command, in an empty folder."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from tests import transcript
from tests.conftest import ROOT


def demo(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PROMPTWARD_")}
    environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "client")])
    command = [sys.executable, "-m", "app.cli.main", "demo", *options]
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False, timeout=120)


def test_the_demo_passes_the_good_candidates_and_fails_the_one_that_breaks_a_kind_of_question(tmp_path: Path) -> None:
    done = demo(tmp_path, "--json")
    assert done.returncode == 0, done.stderr
    acts = json.loads(done.stdout)["acts"]
    candidates = acts["evaluate"]["candidates"]
    assert [c["verdict"] for c in candidates] == ["pass", "pass", "fail"]
    failed = [rule for rule in candidates[2]["rules"] if rule["verdict"] == "fail"]
    assert [rule["slice"] for rule in failed] == ["kind=unanswerable"]
    assert abs(candidates[2]["overall"]["difference"]) < 0.05, "it must look fine as a whole"
    rows = {(row["gate"], row["change"]): row for row in acts["gate"]["rows"]}
    assert len(rows) == 8
    assert rows["promptward", "no-op edit"]["blocked"] <= 0.035 * 200
    assert rows["promptward", "real regression"]["passed"] <= 0.06 * 200
    door, people = acts["door"], acts["people"]
    assert door["refusals"] == [403, 403, 403]
    assert all("Missing evidence" in problem["detail"] for problem in door["refused"])
    assert (door["release"]["state"], door["release"]["verdict"], door["label"]["version"]) == ("live", "pass", 1)
    assert door["served"]["answer"]
    assert door["served"]["receipt"] is True
    assert (people["rollout"], people["stuffed_votes_effect"], people["ratings"]) == ("rolled_back", 0, 600)
    assert people["low"] < people["estimate"] < people["high"] < 0
    assert people["flip_cost"] >= 3
    states = [event["to"] for event in people["release"]["timeline"]]
    assert states == ["evaluating", "rolling_out", "paused", "rolled_back"]
    assert people["audit"]["ok"] is True
    page = (tmp_path / "demo-report.html").read_text()
    assert "rolled back" in page
    assert "<svg" in page
    assert not re.search(r"<(script|img|link|iframe)|(src|href)=|url\(", page), (
        "the report loads nothing and links nowhere"
    )


def test_the_demo_says_the_same_every_time_and_empties_only_its_own_folder(tmp_path: Path) -> None:
    done = demo(tmp_path)
    assert done.returncode == 0, done.stderr
    shown = transcript.BLOCK.search(transcript.README.read_text())
    assert shown is not None
    printed = "\n".join(line.rstrip() for line in done.stdout.splitlines()) + "\n"
    assert transcript.masked(printed) == transcript.masked(shown[2])
    other = tmp_path / "other"
    (other / ".promptward" / "demo").mkdir(parents=True)
    (other / ".promptward" / "demo" / "thesis.txt").write_text("do not delete")
    refused = demo(other)
    assert refused.returncode == 2
    assert (other / ".promptward" / "demo" / "thesis.txt").read_text() == "do not delete"
