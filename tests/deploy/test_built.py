"""Each platform as kustomize builds it from an owner's own folder: everything named is there, and nothing has more
rights than it needs."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.core import stack_file
from shared.core.settings import Settings
from shared.domain import campaign_files
from tests.support.deploy_files import OWN, PLATFORMS, Document, build, own_folder, validate
from tools.campaign_component import own_campaigns

ELSEWHERE = {"gateway"}  # in openfaas and knative a name for a Service of another namespace
TMP = "/tmp"  # noqa: S108 - the container's own
PROBES = {"/_/health", "/_/ready"}


@pytest.fixture(scope="module", params=PLATFORMS)
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[Document]]:
    """A platform and all its documents, with every component that an owner can add."""
    mine = own_folder(tmp_path_factory.mktemp("owner"), request.param) / "mine"
    file = mine / "kustomization.yaml"
    file.write_text(file.read_text().replace("# - ../components/", "- ../components/"))
    return request.param, build(mine)


def of_kind(documents: list[Document], *kinds: str) -> list[Document]:
    """Those of one kind."""
    return [document for document in documents if document["kind"] in kinds]


def name(document: Document) -> str:
    """A document's name."""
    return str(document["metadata"]["name"])


def pods(documents: list[Document]) -> Iterator[tuple[str, Document, Document]]:
    """Every pod that would run: its name, its labels and its spec."""
    for document in documents:
        if document["kind"] in ("Deployment", "StatefulSet") or document["apiVersion"].startswith(
            "serving.knative.dev"
        ):
            template = document["spec"]["template"]
        elif document["kind"] == "CronJob":
            template = document["spec"]["jobTemplate"]["spec"]["template"]
        else:
            continue
        yield name(document), template["metadata"]["labels"], template["spec"]


def values(node: Any, key: str) -> Iterator[Any]:
    """Every value of a key, however deep."""
    if isinstance(node, dict):
        for own, value in node.items():
            if own == key:
                yield value
            yield from values(value, key)
    elif isinstance(node, list):
        for item in node:
            yield from values(item, key)


Built = tuple[str, list[Document]]


def test_every_document_is_valid(built: Built) -> None:
    """Kubernetes would accept what kustomize has built, too."""
    for document in built[1]:
        validate(document)


def test_the_owners_settings_are_used_everywhere(built: Built) -> None:
    """The image, the host and the address for certificates are written once; no example is left over."""
    _, documents = built
    text = str([document for document in documents if document["kind"] != "ConfigMap"])
    assert "evergreen.example.org" not in text
    assert "owner@example.org" not in text
    assert "ghcr.io/example" not in text
    images = {image for image in values(documents, "image") if "valkey" not in image}
    assert images == {OWN["EVERGREEN_IMAGE"]}
    hosts = set(re.findall(r"Host\(`([^`]+)`\)", text))
    assert hosts == {"mail.ada.example.org"} == set(of_kind(documents, "Certificate")[0]["spec"]["dnsNames"])


def test_every_pod_is_limited_and_unprivileged(built: Built) -> None:
    """No root, no writable paths except mounts, no capabilities, no cluster token, and limits."""
    for pod, _, spec in pods(built[1]):
        assert spec["automountServiceAccountToken"] is False, pod
        (container,) = spec["containers"]
        assert container["securityContext"]["readOnlyRootFilesystem"] is True, pod
        assert {"memory", "cpu"} <= set(container["resources"]["limits"]), pod
        assert {mount["name"] for mount in container["volumeMounts"]} == {
            volume["name"] for volume in spec["volumes"]
        } | ({"data"} if pod == "valkey" else set())


def test_every_pod_fits_the_restricted_standard(built: Built) -> None:
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted, which the namespace enforces."""
    (namespace,) = of_kind(built[1], "Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for pod, _, spec in pods(built[1]):
        assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers", "ephemeralContainers"} & set(spec), pod
        for volume in spec["volumes"]:
            assert set(volume) - {"name"} <= {"configMap", "emptyDir", "persistentVolumeClaim", "projected", "secret"}
        for container in spec["containers"]:
            both = {**spec.get("securityContext", {}), **container["securityContext"]}
            assert both["runAsNonRoot"] is True, pod
            assert both.get("runAsUser") != 0, pod
            assert both["seccompProfile"] == {"type": "RuntimeDefault"}, pod
            assert both["allowPrivilegeEscalation"] is False, pod
            assert both["capabilities"] == {"drop": ["ALL"]}, pod
            assert not both.get("privileged"), pod
            assert not any("hostPort" in port for port in container.get("ports", [])), pod


def test_evergreens_pods_have_what_the_image_needs(built: Built) -> None:
    """Settings, secrets where they are read, HOME in a /tmp that can be written to, and time to finish a job."""
    for pod, labels, spec in pods(built[1]):
        (container,) = spec["containers"]
        if container["name"] != "evergreen":
            continue
        assert {entry["name"]: entry["value"] for entry in container["env"]}["HOME"] == TMP, pod
        mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
        assert (mounts[TMP], mounts["/var/openfaas/secrets"]) == ("tmp", "secrets")
        assert spec.get("terminationGracePeriodSeconds", 45) > Settings().job_timeout
        assert labels["evergreen/redis"] == "allowed", pod
        assert "redis-password" in set(values(spec["volumes"], "name"))


def test_every_reference_exists(built: Built) -> None:
    """ConfigMaps, secrets, volumes, ports and Services that something refers to exist."""
    _, documents = built
    config_maps = {name(document) for document in of_kind(documents, "ConfigMap")}
    for kind in ("configMapRef", "configMap"):
        assert {entry["name"] for entry in values(documents, kind)} <= config_maps
    known = {field.replace("_", "-") for field in Settings.model_fields} | {"console-password"}
    used = {secret.get("name") or secret.get("secretName") for secret in values(documents, "secret")}
    assert used <= known
    claims = {claim["claimName"] for claim in values(documents, "persistentVolumeClaim")}
    assert claims <= {name(document) for document in of_kind(documents, "PersistentVolumeClaim")}
    middlewares = {name(document) for document in of_kind(documents, "Middleware")}
    services = {
        name(document): document["spec"]
        for document in documents
        if (document["apiVersion"], document["kind"]) == ("v1", "Service")
    }
    for ingress in of_kind(documents, "IngressRoute"):
        for route in ingress["spec"]["routes"]:
            assert {entry["name"] for entry in route.get("middlewares", [])} <= middlewares
            for service in route["services"]:
                assert service["port"] in {port["name"] for port in services[service["name"]]["ports"]}


def test_every_service_finds_its_pods(built: Built) -> None:
    """A Service selects exactly one kind of pod, by a port that the pod has; or it is a name for one elsewhere."""
    _, documents = built
    for service in [
        document for document in documents if (document["apiVersion"], document["kind"]) == ("v1", "Service")
    ]:
        if service["spec"].get("type") == "ExternalName":
            assert name(service) in ELSEWHERE
            continue
        found = [spec for _, labels, spec in pods(documents) if service["spec"]["selector"].items() <= labels.items()]
        assert len(found) == 1
        ports = {port["name"] for port in found[0]["containers"][0]["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports


def test_the_network_is_closed_except_for_what_is_needed(built: Built) -> None:
    """All is denied first; only labelled pods reach Valkey, and each policy names pods that exist."""
    platform, documents = built
    policies = {name(document): document["spec"] for document in of_kind(documents, "NetworkPolicy")}
    assert policies["deny-all"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for policy in policies.values():
        if policy["podSelector"].get("matchLabels") == {"app": "valkey"}:
            for rule in policy["ingress"]:
                assert all("podSelector" in peer or "keda" in str(peer) for peer in rule["from"])
    internet = {pod for pod, labels, _ in pods(documents) if labels.get("evergreen/internet") == "allowed"}
    assert internet == {"scheduler", "worker-record", "worker-notify"} | (
        {"gateway"} if platform == "plain" else {"send-email", "console"} if platform == "knative" else set()
    )
    assert [pod for pod, labels, _ in pods(documents) if "evergreen/sends" in labels] == ["worker-send"]


def test_the_dashboard_cannot_be_reached_over_the_network(built: Built) -> None:
    """No policy lets traffic in and no route leads there, so kubectl port-forward is the only way; it reaches only
    Valkey."""
    _, documents = built
    (labels,) = [labels for pod, labels, _ in pods(documents) if pod == "dashboard"]
    assert labels == {"app": "dashboard", "evergreen/redis": "allowed"}
    assert let_in(documents, labels) == []
    (service,) = [document["spec"] for document in of_kind(documents, "Service") if name(document) == "dashboard"]
    assert service["type"] == "ClusterIP"
    routed = {
        service["name"]
        for ingress in of_kind(documents, "IngressRoute")
        for route in ingress["spec"]["routes"]
        for service in route["services"]
    }
    assert routed == {"gateway"}


def let_in(documents: list[Document], labels: Document) -> list[Document]:
    """Who may reach pods of Evergreen's namespace with these labels, according to the policies."""
    found = []
    for policy in of_kind(documents, "NetworkPolicy"):
        selector = policy["spec"]["podSelector"]
        keys = {rule["key"] for rule in selector.get("matchExpressions", [])}
        here = policy["metadata"]["namespace"] == "evergreen"
        if here and keys <= set(labels) and selector.get("matchLabels", {}).items() <= labels.items():
            found += policy["spec"].get("ingress", [])
    return found


def test_prometheus_finds_the_metrics(built: Built) -> None:
    """The Service says where, both ways of finding it lead to the scheduler's port, and only a labelled namespace gets
    there."""
    _, documents = built
    (service,) = [document for document in of_kind(documents, "Service") if name(document) == "scheduler"]
    (port,) = service["spec"]["ports"]
    (spec,) = [spec for pod, _, spec in pods(documents) if pod == "scheduler"]
    assert spec["containers"][0]["ports"] == [{"name": port["targetPort"], "containerPort": port["port"]}]
    assert service["metadata"]["annotations"] == {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": str(port["port"]),
        "prometheus.io/path": "/metrics",
    }
    (monitor,) = [document["spec"] for document in of_kind(documents, "ServiceMonitor")]
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert monitor["endpoints"][0]["port"] == port["name"]
    assert let_in(documents, {"app": "scheduler"}) == [
        {
            "from": [{"namespaceSelector": {"matchLabels": {"evergreen/monitoring": "allowed"}}}],
            "ports": [{"protocol": "TCP", "port": port["targetPort"]}],
        }
    ]


def test_probes_use_paths_that_the_server_answers(built: Built) -> None:
    """Each HTTP probe is one of the server's two, on the port that the container has."""
    for pod, _, spec in pods(built[1]):
        for container in spec["containers"]:
            for kind in ("livenessProbe", "readinessProbe", "startupProbe"):
                if "httpGet" in container.get(kind, {}):
                    assert container[kind]["httpGet"]["path"] in PROBES, pod


def test_nothing_blocks_a_drain(built: Built) -> None:
    """No disruption budget covers a workload with one replica."""
    assert not of_kind(built[1], "PodDisruptionBudget")


def test_the_platform_serves_every_function(built: Built) -> None:
    """Knative has a Service for each; `plain` serves all of stack.yml; OpenFaaS deploys them itself.

    The worker knows the way."""
    platform, documents = built
    listed = {function.name for function in stack_file.listed()}
    served = {name(document) for document in documents if document["apiVersion"] == "serving.knative.dev/v1"}
    assert served == (listed if platform == "knative" else set())
    settings = next(
        document["data"]
        for document in of_kind(documents, "ConfigMap")
        if name(document).startswith("evergreen-settings")
    )
    assert settings["SEND_FUNCTION_URL"].removeprefix("http://").partition(".")[0] == (
        "send-email" if platform == "knative" else "gateway"
    )
    Settings.model_validate({key.lower(): value for key, value in settings.items() if value})


def test_the_owners_campaigns_reach_every_pod(tmp_path: Path) -> None:
    """The component that the command writes builds, and its files are mounted where CAMPAIGNS_DIR says."""
    mine = own_folder(tmp_path, "knative") / "mine"
    shutil.copytree(campaign_files.CAMPAIGNS / "christmas", mine / "campaigns" / "christmas")
    (mine / "campaigns" / "kustomization.yaml").write_text(yaml.dump(own_campaigns(mine / "campaigns")))
    file = mine / "kustomization.yaml"
    file.write_text(file.read_text().replace("# - campaigns", "- campaigns"))
    documents = build(mine)
    for pod, _, spec in pods(documents):
        if spec["containers"][0]["name"] == "evergreen":
            assert "/campaigns" in [mount["mountPath"] for mount in spec["containers"][0]["volumeMounts"]], pod
    for document in documents:
        validate(document)
