"""The compose file tells services what they know, and the same as the manifests do."""

from pathlib import Path

import pytest
import yaml

from chassis.settings import FILE_SUFFIX
from tests.k8s.conftest import FLEET
from tests.k8s.test_overlays import settings_of

COMPOSE = yaml.safe_load((Path(__file__).parents[2] / "compose.yaml").read_text())


@pytest.mark.parametrize("service", FLEET)
def test_a_composed_service_is_told_only_what_it_knows_and_all_it_must(service):
    """An unknown variable stops a service at its start."""
    settings = settings_of(service)
    known = settings.variables()
    told = {n for n in COMPOSE["services"][service]["environment"] if n.startswith("SPENDGATE_")}
    fields = {known.get(name) or known[name.removesuffix(FILE_SUFFIX)] for name in told}
    required = {name for name, field in settings.model_fields.items() if field.is_required()}
    assert required <= fields


@pytest.mark.parametrize("service", FLEET)
def test_every_secret_file_named_is_mounted(service):
    """A missing one shows at the first start only, on somebody's machine."""
    composed = COMPOSE["services"][service]
    named = {
        value.removeprefix("/run/secrets/")
        for value in composed["environment"].values()
        if str(value).startswith("/run/secrets/")
    }
    assert named == set(composed["secrets"])
    assert named <= COMPOSE["secrets"].keys()


def test_only_the_door_and_jaegers_page_are_open_and_on_this_machine():
    """A database on a laptop's network is a breach."""
    published = {
        name: each["ports"] for name, each in COMPOSE["services"].items() if "ports" in each
    }
    assert published.keys() == {"gateway", "jaeger"}
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)
