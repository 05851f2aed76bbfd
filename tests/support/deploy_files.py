"""The files of deploy/ for tests: read as they are, or built by kustomize as an owner's own folder would be."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate  # type: ignore[import-untyped]  # ships no types
import pytest
import yaml

from shared.core.stack_file import ROOT
from tests.support.waiting import WITHIN

DEPLOY = ROOT / "deploy"
PLATFORMS = ("plain", "knative", "openfaas")
OWN = {
    "EVERGREEN_IMAGE": "ghcr.io/ada/evergreen:7",
    "PUBLIC_URL": "https://mail.ada.example.org",
    "ACME_EMAIL": "ada@example.org",
    "BUSINESS_NAME": "Ada & Co",
    "POSTAL_ADDRESS": "1 Main Street, Springfield",
    "RESEND_FROM_EMAIL": "Ada <hello@mail.ada.example.org>",
    "BOOKING_URL": "https://cal.com/ada",
}
# Notes what it was asked, in JSON; answers as a cluster would in which everything is installed. `kustomize` is not
# asked for here.
CLUSTER = """#!{python}
import json, os, sys
stdin = "" if sys.stdin.isatty() or not any(word in sys.argv for word in ("create", "apply")) else sys.stdin.read()
for word in sys.argv:
    if word.startswith("--from-file=") and not word.endswith("=/dev/stdin"):
        stdin += open(word.rpartition("=")[2]).read()
with open(os.environ["CALLS"], "a") as calls:
    calls.write(json.dumps([os.path.basename(sys.argv[0]), *sys.argv[1:]]) + "\\n")
with open(os.environ["CALLS"] + ".stdin", "a") as inputs:
    inputs.write(stdin)
if "crd" in sys.argv and sys.argv[-1] in os.environ.get("MISSING", "").split():
    sys.exit(1)
if "-o" in sys.argv and "name" in sys.argv:
    print("deployment.apps/scheduler")
"""
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
    pytest.skip(
        "neither kubectl nor kustomize is installed: https://kubectl.docs.kubernetes.io/installation/kustomize/"
    )


def documents(file: Path) -> list[Document]:
    """The documents of one YAML file."""
    return [document for document in yaml.safe_load_all(file.read_text(encoding="utf-8")) if document]


@cache
def schema(name: str) -> Any:
    """A schema of deploy/schemas."""
    return json.loads((DEPLOY / "schemas" / f"{name}.json").read_text())


def validate(document: Document) -> None:
    """Check a document against Kubernetes' own schema, strictly, or against ours for what others have added to
    Kubernetes.

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
        spec = {
            key: value
            for key, value in template["spec"].items()
            if key not in ("timeoutSeconds", "containerConcurrency")
        }
        for container in spec["containers"]:  # Knative adds the port of a probe itself
            for probe in ("livenessProbe", "readinessProbe"):
                container = {
                    **container,
                    probe: {**container[probe], "httpGet": {**container[probe]["httpGet"], "port": 8080}},
                }
            spec = {**spec, "containers": [container]}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod", **template["metadata"]}, "spec": spec}
        kubernetes_validate.validate(pod, kubernetes_validate.latest_version(), strict=True)


class Desk:
    """An owner's machine: a filled in folder, and programs that stand for the cluster.

    Args:
        place: an empty folder.
        platform: which platform the owner has chosen.
    """

    def __init__(self, place: Path, platform: str = "plain") -> None:
        self.deploy = own_folder(place, platform)
        self.mine = self.deploy / "mine"
        self.calls_file = place / "calls"
        self.calls_file.touch()
        programs = place / "programs"
        programs.mkdir()
        for program in ("kubectl", "faas-cli"):
            (programs / program).write_text(CLUSTER.format(python=sys.executable))
            (programs / program).chmod(0o755)
        self.environ = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "CALLS": str(self.calls_file)}

    def run(self, script: str, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run a script in deploy/."""
        return subprocess.run(
            [str(self.deploy / script), *arguments],
            env={**self.environ, **environ},
            capture_output=True,
            text=True,
            timeout=WITHIN,
        )

    def calls(self) -> list[list[str]]:
        """What the programs were asked, in order."""
        return [json.loads(line) for line in self.calls_file.read_text().splitlines()]
