"""A client that somebody makes himself, with the template that is shipped."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.house import ROOT

BUF = Path(sys.executable).parent / "buf"


def run(*command, cwd=ROOT, **environ):
    env = {**os.environ, **environ}
    return subprocess.run(command, cwd=cwd, env=env, check=False, capture_output=True, text=True)


def test_users_can_make_a_client_of_their_own(tmp_path):
    """With the template that is shipped, in the one language whose plugins can be built here."""
    if shutil.which("go") is None:
        pytest.skip("go, which builds the plugins, is not on this machine")
    plugins = (
        "google.golang.org/protobuf/cmd/protoc-gen-go",
        "google.golang.org/grpc/cmd/protoc-gen-go-grpc",
    )
    built = run("go", "build", "-o", tmp_path, *plugins, cwd=ROOT / "clients" / "go")
    if built.returncode != 0:
        pytest.skip("Go's modules cannot be had here")
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = run(BUF, "generate", "-o", tmp_path / "client", PATH=path)
    assert done.returncode == 0, done.stderr
    made = tmp_path / "client" / "out" / "go" / "spendgate" / "gateway" / "v1"
    assert "package gatewayv1" in (made / "gateway_service.pb.go").read_text()
    assert (made / "gateway_service_grpc.pb.go").exists()
