"""Builds the contracts' Python modules into the wheel, as the top-level package `spendgate`."""

import tempfile
from pathlib import Path
from typing import Any

import google.rpc
from grpc_tools import protoc
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOMS = ("chat", "ledger", "gateway")


class Contracts(BuildHookInterface):  # type: ignore[type-arg]
    """Runs before a wheel is put together."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Generates into a folder of its own and has it taken along."""
        protos = Path(self.root).parents[1] / "protos"
        out = Path(tempfile.mkdtemp())
        google_protos = Path(next(iter(google.rpc.__path__))).parents[1]
        files = [str(p) for room in ROOMS for p in (protos / "spendgate" / room).rglob("*.proto")]
        includes = (f"-I{protos}", f"-I{google_protos}")
        outputs = (f"--python_out={out}", f"--pyi_out={out}", f"--grpc_python_out={out}")
        if protoc.main(["protoc", *includes, *outputs, *files]) != 0:
            raise RuntimeError("the contracts could not be built")
        build_data["force_include"][str(out / "spendgate")] = "spendgate"
