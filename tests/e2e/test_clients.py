"""Clients of four languages against one running fleet, by one list (clients/conformance)."""

import asyncio
import json
import os
import re
import secrets
import shutil
import sys
from pathlib import Path

import pytest

# Tests share one loop, as they share the fleet.
pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
CLIENTS = ROOT / "clients"
LIST = (CLIENTS / "conformance" / "README.md").read_text()
CASES = set(re.findall(r"^\| `([a-z_]+)` \|", LIST, re.MULTILINE))


async def run(*command, cwd, **environ):
    """(exit code, standard output). Builders write what they fetch outside the project."""
    process = await asyncio.create_subprocess_exec(
        *(str(part) for part in command),
        cwd=cwd,
        env={**os.environ, **{name: str(value) for name, value in environ.items()}},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def built(*command, cwd, **environ):
    code, out, err = await run(*command, cwd=cwd, **environ)
    assert code == 0, f"{' '.join(map(str, command))}\n{out[-2000:]}{err[-2000:]}"
    return out.strip()


def copy(language, folder):
    """The client beside the contracts, as in the repository, where a build may leave things."""
    shutil.copytree(CLIENTS / language, folder / "clients" / language, dirs_exist_ok=True)
    shutil.copytree(ROOT / "protos", folder / "protos", dirs_exist_ok=True)
    return folder / "clients" / language


async def python(folder):
    home = copy("python", folder)
    return [sys.executable, "conformance.py"], home


async def node(folder):
    home = copy("node", folder)
    shutil.rmtree(home / "node_modules", ignore_errors=True)
    await built("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", cwd=home)
    return ["node", "conformance.js"], home


async def go(folder):
    home = copy("go", folder)
    await built("sh", "generate.sh", sys.executable, cwd=home)
    await built("go", "build", "-o", "conformance", "./cmd/conformance", cwd=home)
    return ["./conformance"], home


async def java(folder):
    home = copy("java", folder)
    listing = "-Dmdep.outputFile=target/classpath"
    await built("mvn", "-B", "-q", "compile", "dependency:build-classpath", listing, cwd=home)
    classpath = f"target/classes:{(home / 'target' / 'classpath').read_text()}"
    return ["java", "-cp", classpath, "dev.spendgate.client.Conformance"], home


BUILDS = {
    "python": (python, ()),
    "node": (node, ("node", "npm")),
    "go": (go, ("go",)),
    "java": (java, ("java", "mvn")),
}


@pytest.mark.parametrize("language", BUILDS)
async def test_a_client_does_all_of_the_list(house, tenant, tmp_path, language):
    """Whoever calls from another language gets the same answers, refusals and traces."""
    build, tools = BUILDS[language]
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"{' and '.join(missing)}, which the {language} client needs, not found")
    command, home = await build(tmp_path)
    await house.budget(f"{tenant}-poor", "poor", 1)
    trace_id = secrets.token_hex(16)
    code, out, err = await run(
        *command,
        cwd=home,
        SPENDGATE_ADDRESS=house.address("gateway"),
        SPENDGATE_KEY=await house.key(tenant),
        SPENDGATE_POOR_KEY=await house.key(f"{tenant}-poor"),
        SPENDGATE_HANG_MODEL="hang",
        SPENDGATE_TRACE_ID=trace_id,
    )
    told = [json.loads(line) for line in out.splitlines()]
    assert [each for each in told if not each["ok"]] == [], err[-2000:]
    assert {each["case"] for each in told} == CASES
    assert code == 0
