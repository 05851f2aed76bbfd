"""The files of deploy/ for tests: read as they lie there, or built by kustomize as an owner's own folder would be."""

from __future__ import annotations

import json
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate  # type: ignore[import-untyped]  # ships no types
import pytest
import yaml

from shared.functions import ROOT

DEPLOY = ROOT / "deploy"
PLATFORMS = ("plain", "knative", "openfaas")
OWN = {
    "EVERGREEN_IMAGE": "ghcr.io/ada/evergreen:7",
    "PUBLIC_URL": "https://mail.ada.example.net",
    "ACME_EMAIL": "ada@example.net",
    "BUSINESS_NAME": "Ada & Co",
    "POSTAL_ADDRESS": "1 Main Street, Springfield",
    "RESEND_FROM_EMAIL": "Ada <hello@mail.ada.example.net>",
    "BOOKING_URL": "https://cal.com/ada",
}
Document = dict[str, Any]
REFUSED = (jsonschema.ValidationError, kubernetes_validate.ValidationError)


def own_folder(place: Path, platform: str, **settings: str) -> Path:
    """A copy of deploy/ with a filled in deploy/mine/, as `deploy.sh init` and its owner leave it.

    Args:
        place: where to copy to.
        platform: which example.
        settings: what differs from OWN.
    """
    deploy = place / "deploy"
    shutil.copytree(DEPLOY, deploy, ignore=shutil.ignore_patterns("mine"))
    subprocess.run([str(deploy / "deploy.sh"), "init", platform], check=True, capture_output=True)
    fill_in(deploy / "mine" / "settings.env", **{**OWN, **settings})
    fill_in(deploy / "mine" / "secrets.env", RESEND_API_KEY="re_made_up")
    return deploy


def fill_in(file: Path, **values: str) -> None:
    """Give values to names of a file of NAME=value lines."""
    lines = file.read_text().splitlines()
    file.write_text(
        "".join(
            f"{name}={values.get(name, rest)}\n" if "=" in line else f"{line}\n"
            for line in lines
            for name, _, rest in [line.partition("=")]
        )
    )


def build(folder: Path) -> list[Document]:
    """What kustomize makes of a folder; skips the test where no kustomize is."""
    for tool in (["kubectl", "kustomize"], ["kustomize", "build"]):
        if shutil.which(tool[0]):
            built = subprocess.run([*tool, str(folder)], capture_output=True, text=True)
            assert built.returncode == 0, built.stderr
            return [document for document in yaml.safe_load_all(built.stdout) if document]
    pytest.skip("neither kubectl nor kustomize is installed: https://kubectl.docs.kubernetes.io/installation/kustomize/")


def documents(file: Path) -> list[Document]:
    """The documents of one YAML file."""
    return [document for document in yaml.safe_load_all(file.read_text(encoding="utf-8")) if document]


@cache
def schema(name: str) -> Any:
    """A schema of deploy/schemas."""
    return json.loads((DEPLOY / "schemas" / f"{name}.json").read_text())


def validate(document: Document) -> None:
    """Check a document against Kubernetes' own schema, strictly, or against ours for what others have added to Kubernetes.

    Raises:
        jsonschema.ValidationError: when it does not fit.
    """
    group = document["apiVersion"].partition("/")[0]
    ours = DEPLOY / "schemas" / f"{group}_{document['kind']}.json"
    if not ours.exists():
        kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)
        return
    jsonschema.validate(document, schema(ours.stem))
    if group == "serving.knative.dev":
        template = document["spec"]["template"]
        spec = {key: value for key, value in template["spec"].items() if key not in ("timeoutSeconds", "containerConcurrency")}
        for container in spec["containers"]:  # Knative adds the port of a probe itself
            for probe in ("livenessProbe", "readinessProbe"):
                container = {**container, probe: {**container[probe], "httpGet": {**container[probe]["httpGet"], "port": 8080}}}
            spec = {**spec, "containers": [container]}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod", **template["metadata"]}, "spec": spec}
        kubernetes_validate.validate(pod, kubernetes_validate.latest_version(), strict=True)
