"""What the Dockerfile does, without an engine: the same script, then the service it laid out."""

import asyncio
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.k8s.conftest import FLEET

ROOT = Path(__file__).parents[2]
LOCKS = ROOT / "images" / "locks"
# What the slim base image takes, as its registry states it, and what an image may take.
BASE_MIB = 130
IMAGE_MIB_MAX = 250
PIN = re.compile(r"^([A-Za-z0-9_.\-]+)(?:\[[^\]]*\])?==(\S+)", re.MULTILINE)


@pytest.fixture(scope="module")
def laid_out(tmp_path_factory):
    out = tmp_path_factory.mktemp("image")
    subprocess.run(
        [ROOT / "images" / "assemble.sh", "tokenizer", out],
        check=True,
        env={**os.environ, "PYTHON": sys.executable, "PYTHONPATH": ""},
    )
    return out


async def test_the_service_starts_from_what_its_image_holds(laid_out):
    """No library, contract or file is missing, and the image's own health check says so."""
    environ = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{laid_out}/app:{laid_out}/lib",
        "PYTHONDONTWRITEBYTECODE": "1",
        "SPENDGATE_ADMIN_LISTEN": "127.0.0.1:0",
    }
    # -S: the test's own libraries must not help out.
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-S", "-m", "service"),
        env=environ,
        cwd=laid_out,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        address = ""
        while not address:
            line = (await process.stdout.readline()).decode()
            assert line, "the process ended"
            if found := re.search(r'"admin": ?"([^"]+)"', line):
                address = found[1]
        probe = await asyncio.create_subprocess_exec(
            *(sys.executable, "-S", "-m", "chassis.probe"),
            env={**environ, "SPENDGATE_ADMIN_LISTEN": address},
            cwd=laid_out,
        )
        assert await probe.wait() == 0
    finally:
        process.terminate()
        await process.wait()


def test_an_image_is_small_and_holds_one_service(laid_out):
    """Nobody pulls four services to run one."""
    size = sum(each.stat().st_size for each in laid_out.rglob("*") if each.is_file())
    assert size / 2**20 + BASE_MIB < IMAGE_MIB_MAX
    services = {each.name for each in (laid_out / "app" / "services").iterdir() if each.is_dir()}
    assert services == {"tokenizer"}
    assert not (laid_out / "app" / "gateway").exists()


@pytest.mark.parametrize("name", [*FLEET, "build"])
def test_an_images_requirements_are_those_the_tests_ran_with(name):
    """An image must not run versions that no test has seen."""
    tested = dict(PIN.findall((ROOT / "requirements.lock").read_text()))
    shipped = dict(PIN.findall((LOCKS / f"{name}.lock").read_text()))
    assert shipped
    unseen = {package for package in shipped if package not in tested}
    assert name == "build" or not unseen
    assert {p: v for p, v in shipped.items() if p not in unseen and tested[p] != v} == {}


def test_the_dockerfile_keeps_to_its_linters_rules():
    """Pinned, shell-safe, no cache left behind."""
    linter = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    assert linter is not None
    done = subprocess.run(
        [linter, str(ROOT / "Dockerfile")], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout
    text = (ROOT / "Dockerfile").read_text()
    assert re.search(r"^USER 10001", text, re.MULTILINE)
    assert "HEALTHCHECK" in text
