"""`spendgate demo` as a user runs it: real fleet, real model, nothing left behind."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

REQUESTS = 45
RUN_SECONDS_MAX = 170

pytestmark = [
    pytest.mark.timeout(RUN_SECONDS_MAX + 10),
    pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc"),
]


def start(tmp_path, *arguments, stdout=subprocess.PIPE, **variables):
    """The demo; the name of `tmp_path` in PYTHONPATH marks every process that it starts."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith("SPENDGATE_")}
    path = os.pathsep.join([os.getcwd(), str(tmp_path)])
    return subprocess.Popen(
        [sys.executable, "-m", "cli.main", "demo", *arguments],
        env={**environ, **variables, "PYTHONPATH": path},
        cwd=tmp_path,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    """Exit code, standard output, standard error."""
    try:
        out, err = process.communicate(timeout=RUN_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
        raise
    return process.returncode, out, err


def processes_of(tmp_path):
    """Command lines of running processes that bear the mark."""
    found = []
    for place in Path("/proc").iterdir():
        if not place.name.isdigit() or int(place.name) == os.getpid():
            continue
        try:
            if str(tmp_path).encode() in (place / "environ").read_bytes():
                found.append((place / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


def leftovers(process):
    """Folders that the demo should have removed."""
    return list(Path(tempfile.gettempdir()).glob(f"spendgate-demo-{process.pid}-*"))


def wait_for(condition, seconds_max=100.0):
    """Waits until `condition` holds."""
    give_up = time.monotonic() + seconds_max
    while not condition():
        assert time.monotonic() < give_up, "it did not happen in time"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """The figures of a small day, what was said, and what was left."""
    tmp_path = tmp_path_factory.mktemp("demo")
    # Another fleet's stores, which the demo must not touch.
    others = {"SPENDGATE_REDIS_URL": "redis://127.0.0.1:1/0", "SPENDGATE_DATABASE_URL": "x://y"}
    process = start(tmp_path, "--json", "--requests", str(REQUESTS), **others)
    code, out, err = finish(process)
    assert code == 0, err
    left = [*processes_of(tmp_path), *leftovers(process)]
    return json.loads(out), err, left


def test_the_figures_add_up_to_the_nano(told):
    """Spent and saved make up the counterfactual; so do the features and the models."""
    day, _, _ = told
    assert day["spent_nanos"] + day["saved_nanos"] == day["counterfactual_nanos"] > 0
    assert sum(day["saved_by_cause_nanos"].values()) == day["saved_nanos"]
    for rows in (day["by_feature"], day["by_model"]):
        assert sum(row["spent_nanos"] for row in rows) == day["spent_nanos"]
        assert sum(row["counterfactual_nanos"] for row in rows) == day["counterfactual_nanos"]
    assert day["spent_nanos"] > 0
    assert day["problems"] == []


def test_every_request_has_an_end(told):
    """Calls, hits and refusals are all the requests; repeats were served from the cache."""
    day, _, _ = told
    hits = sum(day["hits"].values())
    assert day["provider_calls"] + hits + day["refused"]["count"] == day["requests"] == REQUESTS
    assert hits >= 5
    assert day["failed"] == {}
    assert day["wrong_hits"] == []


def test_the_traces_carry_the_cost(told):
    """The root of the shown trace charges what its ledger step booked; a hit charges nothing."""
    day, _, _ = told
    paid, hit = day["traces"]
    cost = "spendgate.cost.nano_usd"
    by_name = {step["name"]: step["attributes"] for step in paid["steps"]}
    assert paid["steps"][0]["depth"] == 0
    assert paid["steps"][0]["attributes"][cost] == by_name["ledger.settle"][cost] > 0
    assert hit["steps"][0]["attributes"][cost] == 0
    services = {step["service"] for step in paid["steps"]}
    assert len(services) == 5


def test_it_says_whose_answers_and_whose_prices(told):
    """With --json standard output is the object alone; people read the rest beside it."""
    day, err, _ = told
    assert day["answers_by"] == "SmolLM2-135M"
    assert all(price["price_version"] for price in day["prices"])
    assert "SmolLM2-135M" in err
    assert f"{REQUESTS}/{REQUESTS}" in err


def test_nothing_is_left(told):
    """No process, no folder."""
    _, _, left = told
    assert left == []


@pytest.fixture
def begun(tmp_path):
    """A demo in the middle of its day, and the file that it writes to."""
    said = tmp_path / "said.txt"
    with said.open("w") as file:
        process = start(tmp_path, stdout=file)
    try:
        wait_for(lambda: "started in" in said.read_text() or process.poll() is not None)
        assert process.poll() is None, process.communicate()
        yield process, said
    finally:
        process.kill()
        process.communicate(timeout=10)


@pytest.mark.parametrize(
    ("sign", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["ctrl-c", "terminated"]
)
def test_a_stopped_demo_leaves_nothing(tmp_path, begun, sign, code):
    """Stopped in the middle of the day: every process ends, the folder goes, the code says so."""
    process, said = begun
    assert processes_of(tmp_path)
    process.send_signal(sign)
    ended, _, err = finish(process)
    assert ended == code, err
    assert "stopping the fleet" in said.read_text()
    assert "Traceback" not in said.read_text() + err
    assert processes_of(tmp_path) == []
    assert leftovers(process) == []


def test_a_demo_stopped_while_it_starts_leaves_nothing(tmp_path):
    """Ctrl-C before the fleet is up is no worse than after."""
    process = start(tmp_path)
    wait_for(lambda: any("cli.embedded.together" in line for line in processes_of(tmp_path)))
    process.send_signal(signal.SIGINT)
    ended, _, err = finish(process)
    assert ended == 130, err
    assert "Traceback" not in err
    assert processes_of(tmp_path) == []
    assert leftovers(process) == []


def test_a_killed_demo_leaves_no_process(tmp_path, begun):
    """Even SIGKILL, which nobody can answer, leaves no process behind."""
    process, _ = begun
    process.kill()
    process.communicate(timeout=10)
    wait_for(lambda: processes_of(tmp_path) == [])
    for folder in leftovers(process):
        shutil.rmtree(folder)


FLEET = """\
providers:
  mine: {base_url_env: SPENDGATE_LOCAL_MODEL_URL, priced_as: openai}
models:
  gpt-5.4: {provider: mine, upstream_model: smollm2, priced_as: openai/gpt-5.4}
  gpt-4o-mini: {provider: mine, upstream_model: smollm2, priced_as: openai/gpt-4o-mini}
baseline_model: gpt-5.4
"""


def test_a_configured_provider_runs_the_same_day(tmp_path):
    """--upstream takes a provider of the fleet file; what it may cost at worst is said first."""
    (tmp_path / "spendgate.yaml").write_text(FLEET)
    code, out, err = finish(start(tmp_path, "--upstream", "mine", "--requests", "3"))
    assert code == 0, err
    assert "billed to your account" in out
    assert "at worst" in out
    assert out.index("at worst") < out.index("started in") < out.index("wrong hits")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--upstream", "openai"), "OPENAI_API_KEY"),
        (("--upstream", "nobody"), "no upstream is called 'nobody'"),
        (("--requests", "0"), "--requests"),
    ],
)
def test_what_cannot_run_says_so_and_starts_nothing(tmp_path, monkeypatch, arguments, words):
    """Wrong usage ends with 2 and the thing to change, before any process is started."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    code, out, err = finish(start(tmp_path, *arguments))
    assert code == 2
    assert words in err
    assert out == ""
