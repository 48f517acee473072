"""What a cluster is told is true of the code, and safe."""

import importlib
from typing import Any

import kubernetes_validate
import pytest
from pydantic import SecretStr

from catalog.fleet import load_fleet
from chassis.health import LIVENESS, READINESS
from chassis.server import CLEANUP_SECONDS_MAX
from chassis.settings import FILE_SUFFIX, ServiceSettings
from gateway.settings import GatewaySettings
from tests.k8s.conftest import FLEET, K8S, POD_OWNERS, Rendered

SCHEMA = "1.33"
# Objects of operators, whose schemas no release of Kubernetes holds.
FOREIGN_KINDS = {"Certificate", "Issuer"}


def settings_of(service: str) -> type[ServiceSettings]:
    module = "gateway" if service == "gateway" else f"services.{service}"
    found = importlib.import_module(f"{module}.settings")
    (settings,) = [
        each
        for each in vars(found).values()
        if isinstance(each, type)
        and issubclass(each, ServiceSettings)
        and each.__module__ == f"{module}.settings"
    ]
    return settings


def pods(rendered: Rendered) -> list[tuple[str, dict[str, Any]]]:
    return [
        (each["metadata"]["name"], each["spec"]["template"]) for each in rendered.kind(*POD_OWNERS)
    ]


def test_every_object_is_one_the_api_server_takes(rendered):
    """Unknown fields are mistakes, not extras."""
    for each in rendered.objects:
        if each["kind"] not in FOREIGN_KINDS:
            kubernetes_validate.validate(each, SCHEMA, strict=True)


@pytest.mark.parametrize("service", FLEET)
def test_a_service_is_told_only_what_it_knows_and_all_it_must(rendered, service):
    """An unknown variable stops a service at its start; better that a test says so."""
    settings = settings_of(service)
    told = {name for name in rendered.environment(service) if name.startswith("SPENDGATE_")}
    known = settings.variables()
    fields = {known.get(name) or known[name.removesuffix(FILE_SUFFIX)] for name in told}
    assert len(fields) == len(told)
    required = {name for name, field in settings.model_fields.items() if field.is_required()}
    assert required <= fields


@pytest.mark.parametrize("service", FLEET)
def test_secrets_come_as_files_never_as_values(rendered, service):
    """Whoever lists a pod or a ConfigMap must not see one."""
    for name, field in settings_of(service).model_fields.items():
        if field.annotation in (SecretStr, SecretStr | None) or name in (
            "database_url",
            "redis_url",
        ):
            assert f"SPENDGATE_{name.upper()}" not in rendered.environment(service)
    for config in rendered.kind("ConfigMap"):
        assert "for-development-only" not in str(config["data"])


@pytest.mark.parametrize("service", FLEET)
def test_probes_ask_names_that_the_chassis_answers_on_the_port_it_opens(rendered, service):
    """A probe for a name that nobody answers would restart a healthy pod for ever."""
    (container,) = rendered.workload(service)["spec"]["template"]["spec"]["containers"]
    port = int(rendered.environment(service)["SPENDGATE_ADMIN_LISTEN"].rpartition(":")[2])
    asked = {
        kind: container[kind]["grpc"]
        for kind in ("startupProbe", "readinessProbe", "livenessProbe")
    }
    assert {probe["port"] for probe in asked.values()} == {port}
    assert asked["livenessProbe"]["service"] == LIVENESS
    assert asked["readinessProbe"]["service"] == asked["startupProbe"]["service"] == READINESS


def test_services_disruption_budgets_and_autoscalers_find_their_pods(rendered):
    """A selector that matches nothing is silent in a cluster."""
    labels = {name: template["metadata"]["labels"] for name, template in pods(rendered)}
    ports = {
        name: {port["name"] for c in template["spec"]["containers"] for port in c["ports"]}
        for name, template in pods(rendered)
    }

    def selected(selector: dict[str, str]) -> list[str]:
        return [name for name, has in labels.items() if selector.items() <= has.items()]

    for service in rendered.kind("Service"):
        (name,) = selected(service["spec"]["selector"])
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports[name]
    for budget in rendered.kind("PodDisruptionBudget"):
        (name,) = selected(budget["spec"]["selector"]["matchLabels"])
        assert budget["spec"]["minAvailable"] < replicas_min(rendered, name)
    for scaler in rendered.kind("HorizontalPodAutoscaler"):
        target = scaler["spec"]["scaleTargetRef"]
        assert rendered.named(target["kind"], target["name"])
        assert "replicas" not in rendered.workload(target["name"])["spec"]


def replicas_min(rendered: Rendered, name: str) -> int:
    for scaler in rendered.kind("HorizontalPodAutoscaler"):
        if scaler["spec"]["scaleTargetRef"]["name"] == name:
            least: int = scaler["spec"]["minReplicas"]
            return least
    replicas: int = rendered.workload(name)["spec"]["replicas"]
    return replicas


def test_every_pod_keeps_to_the_restricted_level(rendered):
    """The namespace enforces it; a pod that breaks it would never start."""
    for name, template in pods(rendered):
        pod = template["spec"]
        assert pod["securityContext"]["runAsNonRoot"], name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert pod["automountServiceAccountToken"] is False, name
        assert pod["serviceAccountName"] == name
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, name
            assert container["resources"]["requests"].keys() == {"cpu", "memory"}, name
            assert container["resources"]["limits"].keys() == {"memory"}, name
            assert container["readinessProbe"], name
            assert container["livenessProbe"], name


def test_calls_allowed_are_the_calls_made(rendered):
    """The gateway's addresses are the call graph: no more is open, no less works."""
    callees = {
        name.removesuffix("_address")
        for name in GatewaySettings.model_fields
        if name.endswith("_address")
    }
    policy = rendered.named("NetworkPolicy", "gateway")["spec"]
    (inside,) = [
        to["podSelector"]["matchExpressions"][0]["values"]
        for rule in policy["egress"]
        for to in rule["to"]
        if "podSelector" in to
    ]
    assert set(inside) == callees
    for callee in callees:
        told = rendered.environment("gateway")[f"SPENDGATE_{callee.upper()}_ADDRESS"]
        assert told == f"dns:///{callee}:50051"
        ingress = rendered.named("NetworkPolicy", callee)["spec"]["ingress"]
        assert ingress == [
            {
                "from": [{"podSelector": {"matchLabels": {"app.kubernetes.io/name": "gateway"}}}],
                "ports": [{"port": 50051, "protocol": "TCP"}],
            }
        ]
    deny = rendered.named("NetworkPolicy", "default-deny")["spec"]
    assert deny == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_providers_are_reached_without_the_clouds_metadata(rendered):
    """A forged address must not fetch the node's credentials."""
    blocks = [
        to["ipBlock"]
        for rule in rendered.named("NetworkPolicy", "gateway")["spec"]["egress"]
        for to in rule["to"]
        if "ipBlock" in to
    ]
    assert any("169.254.0.0/16" in block["except"] for block in blocks)


@pytest.mark.parametrize("service", FLEET)
def test_a_pod_is_given_the_time_its_drain_takes(rendered, service):
    """A kill in the middle of a drain would cut calls under way."""
    told = rendered.environment(service)
    needed = (
        float(told["SPENDGATE_DRAIN_NOTICE_SECONDS"])
        + float(told["SPENDGATE_DRAIN_SECONDS_MAX"])
        + CLEANUP_SECONDS_MAX
    )
    pod = rendered.workload(service)["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] > needed


def test_images_are_pinned(renders):
    """Production runs digests; nobody runs whatever is newest."""
    for name, rendered in renders.items():
        images = [
            c["image"] for _, template in pods(rendered) for c in template["spec"]["containers"]
        ]
        for image in images:
            tag = image.rpartition("/")[2].partition(":")[2]
            assert tag not in ("", "latest"), image
            if name == "prod" and image.startswith("spendgate/"):
                assert "@sha256:" in image


def test_what_a_gateway_has_not_booked_outlives_its_pod(rendered):
    """The outbox is on a volume that is kept."""
    gateway = rendered.named("StatefulSet", "gateway")["spec"]
    (claim,) = gateway["volumeClaimTemplates"]
    (container,) = gateway["template"]["spec"]["containers"]
    mounts = {m["name"]: m["mountPath"] for m in container["volumeMounts"]}
    assert (
        mounts[claim["metadata"]["name"]] == rendered.environment("gateway")["SPENDGATE_OUTBOX_DIR"]
    )
    assert gateway["persistentVolumeClaimRetentionPolicy"]["whenScaled"] == "Retain"


def test_the_fleet_file_that_is_shipped_is_one(tmp_path):
    """It is the first thing that a new user changes; it must load as it is."""
    fleet = load_fleet(K8S / "base" / "fleet.yaml")
    assert fleet.config.baseline_model == "gpt-5.4"
