"""`spendgate up` as its user meets it: one fleet, from an empty folder to gone."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.up import curl_line, python_line

WAIT_SECONDS_MAX = 90.0
SPENDGATE = [sys.executable, "-m", "cli.main"]
ROOT = Path(__file__).parents[3]


def _environ(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SPENDGATE_")}
    return {**kept, "PYTHONPATH": f"{ROOT}:{ROOT / 'gen'}", **more}


class Up:
    """A `spendgate up --json` of its own process, in `directory`."""

    def __init__(self, directory: Path, *arguments: str, **environ: str) -> None:
        self.directory = directory
        self.lines: list[dict[str, Any]] = []
        self.process = subprocess.Popen(
            [*SPENDGATE, "up", "--json", "--dir", str(directory), "--grpc-port", "17070",
             "--http-port", "17080", *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            cwd=directory.parent, env=_environ(**environ),
        )  # fmt: skip

    def until(self, event: str, name: str | None = None) -> dict[str, Any]:
        """The next line of this kind."""
        assert self.process.stdout is not None
        for text in self.process.stdout:
            line = json.loads(text)
            self.lines.append(line)
            if line["event"] == event and name in (None, line.get("name")):
                return dict(line)
        error = self.process.stderr.read() if self.process.stderr else ""
        raise AssertionError(f"it ended before {event}: {error}")

    def ready(self) -> dict[str, Any]:
        """Where everything is."""
        return self.until("up")

    def stop(self) -> int:
        """Ends it as Ctrl-C does; its exit code."""
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=WAIT_SECONDS_MAX)
        return self.process.returncode

    def end(self) -> None:
        """Whatever a test did, nothing stays."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


def cli(directory: Path, *arguments: str, code: int = 0) -> Any:
    """What a command prints as JSON; on a failure, its error."""
    done = subprocess.run(
        [*SPENDGATE, *arguments, "--dir", str(directory), "--json"],
        capture_output=True, text=True, timeout=WAIT_SECONDS_MAX, env=_environ(), cwd="/",
        check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return json.loads(done.stdout if code == 0 else done.stderr)


def descendants(pid: int) -> dict[int, str]:
    """Every process below `pid`, with its command."""
    told = subprocess.run(
        ["ps", "-axwwo", "pid=,ppid=,command="], capture_output=True, text=True, check=True
    )
    rows = [line.split(None, 2) for line in told.stdout.splitlines()]
    found: dict[int, str] = {}
    parents = {pid}
    while parents:
        below = {int(row[0]): row[2] for row in rows if int(row[1]) in parents}
        found |= below
        parents = set(below)
    return found


def _gone(pids: dict[int, str]) -> dict[int, str]:
    """Those of `pids` that still run after a while."""
    end = time.monotonic() + WAIT_SECONDS_MAX
    left = pids
    while left and time.monotonic() < end:
        told = subprocess.run(
            ["ps", "-axo", "pid=,stat="], capture_output=True, text=True, check=True
        )
        states = dict(line.split(None, 1) for line in told.stdout.splitlines())
        left = {
            pid: what for pid, what in left.items() if not states.get(str(pid), "Z").startswith("Z")
        }
        time.sleep(0.05)
    return left


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Up, dict[str, Any]]]:
    """A fleet on an empty folder, and what it said when it was up."""
    up = Up(tmp_path_factory.mktemp("fleet") / ".spendgate")
    try:
        yield up, up.ready()
    finally:
        up.end()


Running = tuple[Up, dict[str, Any]]


def test_an_empty_folder_gets_a_key_once(fleet: Running) -> None:
    """The owner's key is in the first start's words and in no file of the folder."""
    up, ready = fleet
    assert ready["admin_key"].startswith("sg_")
    for file in up.directory.rglob("*"):
        if file.is_file() and not file.is_socket():
            assert ready["admin_key"].encode() not in file.read_bytes(), file


def test_every_part_was_told_as_it_came_up(fleet: Running) -> None:
    """One line of progress a process; what holds no money lives with the gateway."""
    up, _ = fleet
    ready = {line["name"] for line in up.lines if line["event"] == "ready"}
    assert ready == {"redis", "local-model", "ledger", "gateway"}


def test_a_request_is_answered_counted_and_then_served_from_the_cache(fleet: Running) -> None:
    """The same question in lower case costs nothing and says what it saved."""
    directory = fleet[0].directory
    first = cli(directory, "chat", "What is the capital of France?")
    assert "Paris" in first["answer"]
    assert first["summary"]["source"] == "ANSWER_SOURCE_PROVIDER"
    assert int(first["summary"]["costNanos"]) > 0
    again = cli(directory, "chat", "what is the capital of  france?", "--stream")
    assert again["answer"] == first["answer"]
    assert again["summary"]["source"] == "ANSWER_SOURCE_CACHE_EXACT"
    assert int(again["summary"]["costNanos"]) == 0
    assert sum(int(saving["savedNanos"]) for saving in again["summary"]["savings"]) > 0


def test_the_lines_of_a_first_call_work(fleet: Running) -> None:
    """Both lines that are printed, pasted into a shell, get an answer."""
    _, ready = fleet
    http = ready["http"].removesuffix("/v1")
    for line in (curl_line(http, ready["admin_key"]), python_line(http, ready["admin_key"])):
        environ = _environ(PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
        done = subprocess.run(
            ["sh", "-c", line], capture_output=True, text=True, timeout=WAIT_SECONDS_MAX,
            env=environ, check=False,
        )  # fmt: skip
        assert "Paris" in done.stdout, done.stderr


def test_a_trace_has_a_span_of_every_service(fleet: Running) -> None:
    """The trace of a request is kept: five services, one root, its cost as in the answer."""
    directory = fleet[0].directory
    told = cli(directory, "chat", "Name one river in Italy.", "--no-cache", "--max-tokens", "16")
    trace_id = told["summary"]["traceId"]
    for asked in (trace_id, trace_id[:8], "last"):
        spans = cli(directory, "trace", asked)["spans"]
        assert {span["service"] for span in spans} >= {
            "spendgate-gateway", "spendgate-tokenizer", "spendgate-router", "spendgate-ledger",
        }  # fmt: skip
    (root,) = [span for span in spans if not span["parent_id"]]
    assert root["attributes"]["spendgate.cost.nano_usd"] == int(told["summary"]["costNanos"])
    shown = subprocess.run(
        [*SPENDGATE, "trace", "last", "--dir", str(directory)],
        capture_output=True, text=True, timeout=WAIT_SECONDS_MAX, env=_environ(), check=True,
    )  # fmt: skip
    assert "└─" in shown.stdout
    assert "$" in shown.stdout


def test_a_budget_refuses_with_its_own_exit_code(fleet: Running) -> None:
    """create, refused, update, answered, list, delete: each by its command."""
    directory = fleet[0].directory
    made = cli(directory, "budget", "create", "b1", "--limit", "0", "--feature", "f1")
    assert made["limitNanos"] == "0"
    refused = cli(directory, "chat", "hello there", "--feature", "f1", code=4)
    assert "b1" in refused["error"]["message"]
    assert "spendgate budget update b1" in refused["error"]["next_step"]
    cli(directory, "budget", "update", "b1", "--limit", "1")
    told = cli(directory, "chat", "hello there", "--feature", "f1", "--max-tokens", "8")
    assert told["summary"]["tightest"]["budgetId"] == "b1"
    (listed,) = cli(directory, "budget", "list")["budgets"]
    assert listed["limitNanos"] == "1000000000"
    assert int(listed["settledNanos"]) == int(told["summary"]["costNanos"])
    cli(directory, "budget", "delete", "b1")
    assert cli(directory, "budget", "list")["budgets"] == []
    assert cli(directory, "budget", "delete", "b1", code=1)["error"]["reason"] == "BUDGET_UNKNOWN"


def test_keys_are_made_and_ended(fleet: Running) -> None:
    """A new key works, is listed without its secret, and is refused after its end."""
    directory = fleet[0].directory
    made = cli(directory, "key", "create", "k1", "--expires", "7d", "--project", "p")
    used = ("chat", "What is the capital of France?", "--key", made["secret"])
    assert "Paris" in cli(directory, *used)["answer"]
    listed = {key["keyId"]: key for key in cli(directory, "key", "list")["keys"]}
    assert listed["k1"]["project"] == "p"
    assert made["secret"] not in json.dumps(listed)
    assert cli(directory, "key", "create", "k1", "--expires", "7d", "--project", "p", code=1)
    cli(directory, "key", "disable", "k1")
    wrong = ("chat", "hello", "--key", "sg_wrong")
    assert cli(directory, *wrong, code=1)["error"]["reason"] == "KEY_INVALID"


def test_reports_and_models_are_shown(fleet: Running) -> None:
    """What was booked adds up; every model comes with its price."""
    directory = fleet[0].directory
    report = cli(directory, "report", "--by", "feature,model")
    assert int(report["total"]["costNanos"]) == sum(int(row["costNanos"]) for row in report["rows"])
    assert int(report["total"]["requestCount"]) > 0
    models = cli(directory, "models")["models"]
    assert all(int(model["price"]["outputPicos"]) > 0 for model in models)
    for command in (["report", "--by", "model"], ["models"], ["key", "list"], ["budget", "list"]):
        shown = subprocess.run(
            [*SPENDGATE, *command, "--dir", str(directory)],
            capture_output=True, text=True, timeout=WAIT_SECONDS_MAX, env=_environ(), check=True,
        )  # fmt: skip
        assert shown.stdout.strip()
    assert (
        cli(directory, "chat", "x", "--model", "gpt-9", code=1)["error"]["reason"]
        == "MODEL_UNKNOWN"
    )


def test_a_second_fleet_in_the_folder_is_refused(fleet: Running) -> None:
    """The message names the process that has the folder."""
    up, _ = fleet
    second = Up(up.directory)
    _, error = second.process.communicate(timeout=WAIT_SECONDS_MAX)
    assert second.process.returncode == 1
    assert f"process {up.process.pid}" in error


@pytest.mark.parametrize(
    ("name", "command"), [("ledger", "services.ledger"), ("redis", "redis-server")]
)
def test_a_part_that_dies_is_started_again(fleet: Running, name: str, command: str) -> None:
    """Its death and its return are told; then the cache keeps answers again."""
    up, _ = fleet
    (pid,) = [pid for pid, what in descendants(up.process.pid).items() if command in what]
    os.kill(pid, signal.SIGKILL)
    assert "signal 9" in up.until("died", name)["detail"]
    up.until("ready", name)
    ask = ("chat", "What is the capital of France?", "--system", f"You are kind to {name}.")
    end = time.monotonic() + WAIT_SECONDS_MAX
    source = ""
    while source != "ANSWER_SOURCE_CACHE_EXACT" and time.monotonic() < end:
        source = cli(up.directory, *ask)["summary"]["source"]
    assert source == "ANSWER_SOURCE_CACHE_EXACT"


def test_ctrl_c_ends_everything_and_the_books_stay(fleet: Running) -> None:
    """No process is left; the next start shows no key and finds the books; a kill leaves none."""
    up, _ = fleet
    before = cli(up.directory, "report")["total"]
    below = descendants(up.process.pid)
    assert len(below) >= 5
    assert up.stop() == 0
    assert _gone(below) == {}
    assert not (up.directory / "fleet.json").exists()
    assert cli(up.directory, "report", code=3)["error"]["reason"] == "NO_FLEET"

    again = Up(up.directory)
    try:
        assert "admin_key" not in again.ready()
        assert cli(up.directory, "report")["total"] == before
        below = descendants(again.process.pid)
        again.process.kill()
        again.process.communicate()
        assert _gone(below) == {}
        assert cli(up.directory, "report", code=3)["error"]["reason"] == "NO_FLEET"
    finally:
        again.end()


def test_a_redis_of_ones_own_is_used(tmp_path: Path) -> None:
    """With SPENDGATE_REDIS_URL no redis is started; one that is away is told and done without.

    The same with every service in a process of its own.
    """
    up = Up(tmp_path / "d", "--apart", SPENDGATE_REDIS_URL=f"unix://{tmp_path}/none.sock")
    try:
        ready = up.ready()
        told = {line["name"] for line in up.lines if line["event"] == "ready"}
        assert {"tokenizer", "cache", "router", "ledger", "gateway"} <= told
        assert "without the cache" in up.lines[0]["detail"]
        assert not any("redis-server" in what for what in descendants(up.process.pid).values())
        assert "Paris" in cli(up.directory, "chat", "What is the capital of France?")["answer"]
        assert ready["admin_key"]
        assert up.stop() == 0
    finally:
        up.end()


@pytest.mark.parametrize(
    ("environ", "code", "words"),
    [
        ({"SPENDGATE_LOG_LEVEL": "loud"}, 3, "SPENDGATE_LOG_LEVEL"),
        ({"SPENDGATE_REDIS_TIMEOUT": "1"}, 5, "SPENDGATE_REDIS_TIMEOUT_MS"),
        ({"SPENDGATE_CONFIG": "/none.yaml"}, 5, "none.yaml"),
    ],
)
def test_a_wrong_setting_is_told_in_a_sentence(
    tmp_path: Path, environ: dict[str, str], code: int, words: str
) -> None:
    """What cannot start says which setting is wrong, leaves no process and no traceback."""
    up = Up(tmp_path / "d", **environ)
    _, error = up.process.communicate(timeout=WAIT_SECONDS_MAX)
    assert up.process.returncode == code
    assert words in json.loads(error)["error"]["message"]
    assert descendants(up.process.pid) == {}
