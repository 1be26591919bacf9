"""Commands that are processes: what signals do, and how others find them."""

import json
import signal

import httpx2

from tests.app.cli.conftest import CLI, WAIT_S, address, until


def test_a_running_service_is_found_through_its_home_and_a_second_one_is_refused(cli: CLI) -> None:
    with cli.running("serve") as (process, line):
        published = json.loads((cli.home / "service.json").read_text())
        assert address(line) == published["url"]
        assert (cli.home / "service.json").stat().st_mode & 0o777 == 0o600
        checks = {f["check"]: f["found"] for f in cli("doctor", "--json").json}
        assert checks["service"] == published["url"]
        assert cli("sync").code == 0
        refused = cli("serve", "--port", "0")
        assert (refused.code, refused.out) == (2, "")
        assert "another Promptward process is using" in refused.err
        process.send_signal(signal.SIGTERM)
        assert process.wait(WAIT_S) == 0
    assert not (cli.home / "service.json").exists()
    assert [p["name"] for p in cli("list", "prompts", "--json").json] == ["ask"]


def test_the_first_start_prints_an_admin_key_once_and_the_next_none(cli: CLI) -> None:
    with cli.running("serve", "--json") as (process, _):
        process.send_signal(signal.SIGINT)
        _, first = process.communicate(timeout=WAIT_S)
        assert process.returncode == 0
    key = first.split()[-1]
    with cli.running("serve") as (process, line):
        answer = httpx2.get(f"{address(line)}/api/v1/keys", headers={"Authorization": f"Bearer {key}"})
        assert [k["role"] for k in answer.json()["items"]] == ["admin"]
        process.send_signal(signal.SIGTERM)
        assert "key" not in process.communicate(timeout=WAIT_S)[1]


def test_the_starter_project_runs_offline_and_an_interrupted_run_is_gone_on_with(empty: CLI) -> None:
    assert empty("init").code == 0
    assert empty("init").code == 2
    with empty.running("devmodel", "--latency-ms", "400") as (_, line):
        project = empty.folder / "promptward.yaml"
        url = address(line).removesuffix("/v1")
        project.write_text(project.read_text().replace("http://127.0.0.1:8100", url))
        prompt = "prompts/shop.prompt.yaml"
        asked = empty("try", prompt, "--endpoint", "dev/large", "--var", "question=How long does a repair take?")
        assert (asked.code, "three working days" in asked.out) == (0, True)

        process = empty.process("run", "shop", "--candidate", prompt, "--baseline", prompt)
        until("cells", process)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=WAIT_S)
        assert (process.returncode, out) == (130, "")
        run_id = err.split("promptward runs resume ")[1].split()[0]
        assert empty("runs", "show", run_id, "--json").code == 130

        resumed = empty("runs", "resume", run_id, "--json").json
    assert (resumed["status"], resumed["cells"]["errored"]) == ("done", 0)
    assert all(v["metrics"]["correct"]["mean"] > 0.5 for v in resumed["variants"])


def test_a_port_that_is_taken_is_a_usage_error(cli: CLI) -> None:
    with cli.running("devmodel") as (_, line):
        port = address(line).removesuffix("/v1").rpartition(":")[2]
        refused = cli("serve", "--port", port)
    assert refused.code == 2
    assert port in refused.err
