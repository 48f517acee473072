"""Dashboards and alert rules as files: in step with what makes them, and right when they fire."""

import importlib.util
import json
import shutil
import subprocess

import pytest

from tests.k8s.conftest import K8S

DASHBOARDS = K8S / "dashboards"


def test_the_dashboards_are_what_their_source_makes():
    """Who changes a panel runs build.py; a file changed by hand would be lost."""
    spec = importlib.util.spec_from_file_location("build", DASHBOARDS / "build.py")
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    assert {path.stem for path in DASHBOARDS.glob("*.json")} == build.DASHBOARDS.keys()
    for uid, (title, panels) in build.DASHBOARDS.items():
        kept = json.loads((DASHBOARDS / f"{uid}.json").read_text())
        assert kept == build.dashboard(uid, title, panels)


def test_every_alert_fires_when_it_must_and_only_then():
    """By the rules' own tests, run with Prometheus's own tool."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool, which runs the rules' tests, is not on this machine")
    done = subprocess.run(
        [promtool, "test", "rules", str(K8S / "alerts" / "tests.yaml")],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_jaegers_menu_is_what_its_source_makes_and_what_the_docs_say():
    """A search that is written down in two places and works in one is worse than none."""
    path = K8S / "components" / "jaeger"
    spec = importlib.util.spec_from_file_location("jaeger_build", path / "build.py")
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    assert json.loads((path / "ui.json").read_text()) == build.menu()
    docs = (K8S.parent / "docs" / "jaeger.md").read_text()
    for label, tags in build.SEARCHES.items():
        # Jaeger takes it for a group of its own when it writes the page.
        assert "$" not in label
        told = " ".join(f"{name}={value}" for name, value in tags.items())
        assert f"| {label} | `{told}` |" in docs
