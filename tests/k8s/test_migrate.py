"""The job that brings the ledger's tables up to date is true of the code, and safe."""

import importlib.util

import kubernetes_validate
import pytest
import yaml

from chassis.settings import FILE_SUFFIX
from services.ledger.settings import LedgerSettings
from tests.k8s.conftest import K8S
from tests.k8s.test_overlays import SCHEMA

FOLDER = K8S / "migrate"
JOB = yaml.safe_load((FOLDER / "job.yaml").read_text())
POD = JOB["spec"]["template"]


@pytest.mark.parametrize("name", ["job.yaml", "network-policy.yaml"])
def test_every_object_is_one_the_api_server_takes(name: str) -> None:
    """And all of them are applied."""
    kubernetes_validate.validate(yaml.safe_load((FOLDER / name).read_text()), SCHEMA, strict=True)
    told = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
    assert name in told["resources"]


def test_it_runs_what_is_there_with_settings_that_are_known() -> None:
    """All that are required, secrets as files, and no others."""
    (container,) = POD["spec"]["containers"]
    *_, module = container["command"]
    assert importlib.util.find_spec(module) is not None
    told = {each["name"] for each in container["env"]}
    fields = {LedgerSettings.variables()[name.removesuffix(FILE_SUFFIX)] for name in told}
    required = {n for n, field in LedgerSettings.model_fields.items() if field.is_required()}
    assert fields == required | {"database_url"}
    assert all(name.endswith(FILE_SUFFIX) for name in told)


def test_no_call_is_sent_to_it() -> None:
    """The ledger's service finds its pods by their name."""
    workload = yaml.safe_load((K8S / "base/ledger/kustomization.yaml").read_text())
    name = workload["labels"][0]["pairs"]["app.kubernetes.io/name"]
    assert POD["metadata"]["labels"]["app.kubernetes.io/name"] != name
    assert POD["spec"]["containers"][0]["image"] == "spendgate/ledger"
