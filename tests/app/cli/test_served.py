"""The commands with a service in a process of its own."""

import json
import signal
import stat
import urllib.request
from pathlib import Path

import pytest

from tests.app.cli.conftest import Run
from tests.served import address, command, environment, running, stop


def test_commands_find_the_service_of_their_home(cli: Run, project: Path) -> None:
    with running("serve", "--port", "0", cwd=project) as url:
        file = project / ".promptward" / "service.json"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert json.loads(file.read_bytes())["url"] == url
        assert cli("sync").exit_code == 0
        (service,) = (f for f in json.loads(cli("doctor", "--json").stdout) if f["check"] == "service")
        assert service["found"] == url
        run = json.loads(cli("run", "shop", "--candidate", "shop", "--json").stdout)
        assert run["status"] == "done"
        second = cli("serve", "--port", "0")
        assert (second.exit_code, "another Promptward process" in second.stderr) == (2, True)
        assert cli("db", "upgrade").exit_code == 2
    assert not file.exists()
    assert [p["name"] for p in json.loads(cli("list", "prompts", "--json").stdout)] == ["shop"]


def test_a_run_on_a_server_goes_on_when_its_watcher_is_interrupted(cli: Run, project: Path, tmp_path: Path) -> None:
    file = project / "promptward.yaml"
    url = file.read_text().partition('base_url: "')[2].partition('"')[0]
    with (
        running("devmodel", "--port", "0", "--latency-ms", "20000", cwd=tmp_path) as slow,
        running("serve", "--port", "0", cwd=project, env=environment(PROMPTWARD_ALLOW_HOSTS="127.0.0.1")),
    ):
        file.write_text(file.read_text().replace(url, slow))
        with command("run", "shop", "--candidate", "prompts/shop.prompt.yaml", cwd=project) as process:
            assert process.stderr is not None
            number = next(line.split()[1] for line in process.stderr if line.startswith("run "))
            _, errors = stop(process, signal.SIGINT)
        assert process.returncode == 130
        assert f"promptward runs cancel {number}" in errors
        assert json.loads(cli("runs", "list", "--json").stdout)[0]["status"] in ("queued", "running")
        assert json.loads(cli("runs", "cancel", number, "--json").stdout)["id"] == number


def test_the_first_key_is_printed_once_to_stderr_and_opens_the_service(
    cli: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with command("serve", "--port", "0", "--json", cwd=folder) as process:
        url = address(process)
        assert process.stderr is not None
        key = process.stderr.readline().split()[-1]
        assert key.startswith("pw_")
        monkeypatch.setenv("PROMPTWARD_URL", url)
        monkeypatch.setenv("PROMPTWARD_HOME", str(folder / "elsewhere"))
        assert "unauthorized" in cli("keys", "list", "--json").stderr
        monkeypatch.setenv("PROMPTWARD_API_KEY", key)
        (shown,) = json.loads(cli("keys", "list", "--json").stdout)
        assert shown["role"] == "admin"
        assert not (folder / "elsewhere").exists()
        _, errors = stop(process, signal.SIGINT)
        assert process.returncode == 0
        assert "Traceback" not in errors
    with command("serve", "--port", "0", "--json", cwd=folder) as again:
        address(again)
        output, errors = stop(again)
        assert again.returncode == 0
        assert "pw_" not in output + errors


def test_a_port_that_is_taken_is_a_mistake_in_the_configuration(cli: Run, folder: Path) -> None:
    with running("devmodel", "--port", "0", cwd=folder) as url:
        port = url.removesuffix("/v1").rpartition(":")[2]
        for name in ("serve", "devmodel"):
            result = cli(name, "--port", port)
            assert (result.exit_code, f"127.0.0.1:{port}" in result.stderr) == (2, True)


def test_the_development_model_can_be_told_to_fail(cli: Run, folder: Path) -> None:
    with running("devmodel", "--port", "0", "--fail-rate", "1", "--fail-kind", "429", cwd=folder) as url:
        request = urllib.request.Request(
            f"{url}/chat/completions",
            data=b'{"model": "dev-echo", "messages": [{"role": "user", "content": "x"}]}',
            headers={"content-type": "application/json"},
        )
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(request)
        assert caught.value.code == 429
        caught.value.close()
    refused = cli("devmodel", "--port", "0", "--fail-kind", "banana", "--fail-rate", "1")
    assert (refused.exit_code, "fail_kind" in refused.stderr) == (2, True)
