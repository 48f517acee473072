"""What the docs tell people to type does what the docs say."""

import asyncio
import json
import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from tests.e2e.house import ROOT

BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
EXAMPLES = BLOCK.findall((ROOT / "docs" / "contracts.md").read_text())


def told(command):
    """A word that says which example it is."""
    return re.sub(r"\W+", "-", command.split("/")[-1].strip())[-40:]


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("command", EXAMPLES, ids=told)
async def test_an_example_works(house, tenant, command):
    """Typed as it stands, from the repository's folder, against a running fleet."""
    tool = command.split()[0]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    path += f"{os.pathsep}{Path.home() / 'go' / 'bin'}"
    if shutil.which(tool, path=path) is None:
        pytest.skip(f"{tool} is not on this machine; `go install` brings grpcurl")
    if not (ROOT / "gen" / "include").exists():
        pytest.skip("gen/include is not there: make protos")
    environ = {
        **os.environ,
        "PATH": path,
        "GATEWAY": house.address("gateway"),
        "ADMIN": house.address("admin"),
        "KEY": await house.key(tenant),
    }
    process = await asyncio.create_subprocess_shell(
        command,
        cwd=ROOT,
        env=environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, error = await process.communicate()
    assert process.returncode == 0, error.decode()
    if "Complete" in command:
        assert '"costNanos"' in out.decode()
    elif "Health" in command:
        assert json.loads(out)["status"] == "SERVING"
    elif "Channelz" in command:
        assert json.loads(out)["server"]
    else:
        assert (
            "spendgate.gateway.v1.GatewayService" in out.decode() or "rpc Complete" in out.decode()
        )


def test_the_docs_show_both_tools():
    """So that a renamed fence does not empty the test above."""
    assert [command.split()[0] for command in EXAMPLES].count("buf") == 4
    assert [command.split()[0] for command in EXAMPLES].count("grpcurl") == 5
