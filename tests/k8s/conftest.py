"""The overlays as the cluster would get them."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

K8S = Path(__file__).parents[2] / "k8s"
FLEET = ("gateway", "tokenizer", "cache", "router", "ledger")
OVERLAYS = ("dev", "prod")
POD_OWNERS = ("Deployment", "StatefulSet")


@dataclass(frozen=True)
class Rendered:
    """One overlay: its text and its objects."""

    overlay: str
    text: str
    objects: tuple[dict[str, Any], ...]

    def kind(self, *kinds: str) -> list[dict[str, Any]]:
        return [each for each in self.objects if each["kind"] in kinds]

    def named(self, kind: str, name: str) -> dict[str, Any]:
        (found,) = [e for e in self.kind(kind) if e["metadata"]["name"] == name]
        return found

    def workload(self, name: str) -> dict[str, Any]:
        (found,) = [e for e in self.kind(*POD_OWNERS) if e["metadata"]["name"] == name]
        return found

    def config(self, name: str) -> dict[str, str]:
        (found,) = [
            e for e in self.kind("ConfigMap") if e["metadata"]["name"].rpartition("-")[0] == name
        ]
        data: dict[str, str] = found["data"]
        return data

    def environment(self, name: str) -> dict[str, str]:
        """What the service's process is started with."""
        (container,) = self.workload(name)["spec"]["template"]["spec"]["containers"]
        own = {each["name"]: each["value"] for each in container["env"] or []}
        return {**self.config("common"), **own}


@pytest.fixture(scope="session")
def renders() -> dict[str, Rendered]:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl, which renders the overlays, is not on this machine")
    found = {}
    for overlay in OVERLAYS:
        command = [kubectl, "kustomize", str(K8S / "overlays" / overlay)]
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        objects = tuple(each for each in yaml.safe_load_all(text) if each)
        found[overlay] = Rendered(overlay, text, objects)
    return found


@pytest.fixture(params=OVERLAYS)
def rendered(request: pytest.FixtureRequest, renders: dict[str, Rendered]) -> Rendered:
    return renders[request.param]
