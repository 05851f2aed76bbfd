"""`make manifests`: the Knative and OpenFaaS functions and the public routes, generated from stack.yml into deploy/."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click
import yaml

from commands.printing import console, speaks_plainly
from shared.core.stack_file import PUBLIC, ROOT, STACK_FILE
from shared.domain import catalog

HEAD = "# Generated from stack.yml by `make manifests`; change that file, not this one.\n"
HEAD_OF_CAMPAIGNS = (
    "# Generated from these folders by `make manifests`, with --campaigns; rerun it when you add or remove files.\n"
)
HOST = "Host(`evergreen.example.org`)"  # kustomize inserts the host of PUBLIC_URL: deploy/components/settings
PAGES = ("unsubscribe", "console", "health")  # public at the root too
VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")
TIMEOUT = 20  # seconds: a function has 15 for a request, its caller waits 20
PORT = 8080
Manifest = dict[str, Any]


def functions(stack_file: Path = STACK_FILE) -> dict[str, Manifest]:
    """The functions of stack.yml, by name.

    Args:
        stack_file: an OpenFaaS stack file.
    """
    found: dict[str, Manifest] = yaml.safe_load(stack_file.read_text(encoding="utf-8"))["functions"]
    return found


def substituted(text: str, environ: Mapping[str, str]) -> str:
    """A text of stack.yml with its `${NAME:-default}` filled in, as faas-cli does it.

    Args:
        text: a value.
        environ: the values of the names.
    """
    return VARIABLE.sub(lambda match: environ.get(match[1]) or match[2] or "", text)


def is_public(function: Manifest) -> bool:
    """Whether this function is public."""
    return bool(function.get("annotations", {}).get(PUBLIC) == "true")


def openfaas(name: str, function: Manifest) -> Manifest:
    """A function for the OpenFaaS operator.

    Args:
        name: its name.
        function: its part of stack.yml.
    """
    kept: Manifest = {
        key: function[key] for key in ("annotations", "labels", "requests", "limits", "secrets") if key in function
    }
    environment = {variable: substituted(value, {}) for variable, value in function["environment"].items()}
    spec: Manifest = {
        "name": name,
        "image": substituted(function["image"], {}),
        "readOnlyRootFilesystem": True,
        "environment": environment,
        **kept,
    }
    return {
        "apiVersion": "openfaas.com/v1",
        "kind": "Function",
        "metadata": {"name": name, "namespace": "openfaas-fn"},
        "spec": spec,
    }


def knative(name: str, function: Manifest) -> Manifest:
    """A function as a Knative Service, reachable only inside the cluster; values that stack.yml takes from the shell
    come from the settings.

    Args:
        name: its name.
        function: its part of stack.yml.
    """
    labels = {key: value for key, value in function.get("labels", {}).items() if key.startswith("evergreen/")}
    replicas = {
        "autoscaling.knative.dev/min-scale": "1" if is_public(function) else "0",
        "autoscaling.knative.dev/max-scale": "5",
    }
    spec = {
        "timeoutSeconds": TIMEOUT,
        "enableServiceLinks": False,
        "containers": [_container(function)],
        "volumes": [
            {"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}},
            {
                "name": "secrets",
                "projected": {"sources": [{"secret": {"name": secret}} for secret in function["secrets"]]},
            },
        ],
    }
    metadata = {
        "name": name,
        "namespace": "evergreen",
        "labels": {"app.kubernetes.io/part-of": "evergreen", "networking.knative.dev/visibility": "cluster-local"},
    }
    template = {"metadata": {"labels": labels, "annotations": replicas}, "spec": spec}
    return {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": metadata,
        "spec": {"template": template},
    }


def _container(function: Manifest) -> Manifest:
    own = {variable: value for variable, value in function["environment"].items() if not VARIABLE.search(value)}
    return {
        "name": "evergreen",
        "image": substituted(function["image"], {}),
        "envFrom": [{"configMapRef": {"name": "evergreen-settings"}}],
        # an emptyDir
        "env": [{"name": variable, "value": value} for variable, value in {**own, "HOME": "/tmp"}.items()],  # noqa: S108
        "ports": [{"name": "http1", "containerPort": PORT}],
        "livenessProbe": {"httpGet": {"path": "/_/health"}, "periodSeconds": 10, "timeoutSeconds": 5},
        "readinessProbe": {"httpGet": {"path": "/_/ready"}, "periodSeconds": 1, "timeoutSeconds": 2},
        "resources": {"requests": function["requests"], "limits": function["limits"]},
        "securityContext": {
            "runAsNonRoot": True,
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumeMounts": [
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - an emptyDir of this container
            {"name": "secrets", "mountPath": "/var/openfaas/secrets", "readOnly": True},
        ],
    }


def _paths(name: str) -> str:
    alternatives = f"/webhook/{name}|/{name}" if name in PAGES else f"/webhook/{name}"
    return f"{HOST} && PathRegexp(`^({alternatives})(/|$)`)"


def _middleware(name: str, **spec: Any) -> Manifest:
    return {
        "apiVersion": "traefik.io/v1alpha1",
        "kind": "Middleware",
        "metadata": {"name": name, "namespace": "evergreen"},
        "spec": spec,
    }


def _ingress(routes: list[tuple[str, list[str]]]) -> Manifest:
    rules = [
        {
            "kind": "Rule",
            "match": match,
            "middlewares": [{"name": name} for name in ("rate", "safe-headers", *middlewares)],
            "services": [{"name": "gateway", "port": "http"}],
        }
        for match, middlewares in routes
    ]
    spec = {"entryPoints": ["websecure"], "routes": rules, "tls": {"secretName": "evergreen-tls"}}
    return {
        "apiVersion": "traefik.io/v1alpha1",
        "kind": "IngressRoute",
        "metadata": {"name": "evergreen", "namespace": "evergreen"},
        "spec": spec,
    }


def routes(listed: dict[str, Manifest]) -> list[Manifest]:
    """The public functions by path, for a gateway that serves /function/<name>; every other path is a 404.

    Args:
        listed: see `functions`.
    """
    public = [name for name, function in listed.items() if is_public(function)]
    to_function = _middleware(
        "to-function", replacePathRegex={"regex": "^/(?:webhook/)?([^/]+)(/.*)?$", "replacement": "/function/$1$2"}
    )
    return [to_function, _ingress([(_paths(name), ["to-function"]) for name in public])]


def knative_routes(listed: dict[str, Manifest]) -> list[Manifest]:
    """The public functions by path, for Knative, which finds a function by its host.

    Args:
        listed: see `functions`.
    """
    public = [name for name, function in listed.items() if is_public(function)]
    strip = _middleware("from-root", replacePathRegex={"regex": "^/(?:webhook/)?[^/]+/?(.*)$", "replacement": "/$1"})
    hosts = [
        _middleware(f"to-{name}", headers={"customRequestHeaders": {"Host": f"{name}.evergreen.svc.cluster.local"}})
        for name in public
    ]
    return [strip, *hosts, _ingress([(_paths(name), ["from-root", f"to-{name}"]) for name in public])]


GENERATED: dict[str, Callable[[dict[str, Manifest]], list[Manifest]]] = {
    "overlays/knative/functions.yaml": lambda listed: [knative(name, function) for name, function in listed.items()],
    "components/openfaas-operator/functions.yaml": lambda listed: [
        openfaas(name, function) for name, function in listed.items()
    ],
    "components/ingress/routes.yaml": routes,
    "components/ingress-knative/routes.yaml": knative_routes,
}


def own_campaigns(folder: Path) -> Manifest:
    """A kustomize component that mounts the owner's campaigns instead of those in the image.

    Args:
        folder: one folder per campaign, each with its campaign.yaml; files are named relative to it.
    """
    files = {
        place.parent.name: sorted(file.name for file in place.parent.iterdir())
        for place in sorted(folder.glob("*/campaign.yaml"))
    }
    sources = [
        {
            "configMap": {
                "name": f"campaign-{slug}",
                "items": [{"key": name, "path": f"{slug}/{name}"} for name in names],
            }
        }
        for slug, names in files.items()
    ]
    mount = {"name": "campaigns", "mountPath": "/campaigns", "readOnly": True}
    patch = [
        {
            "op": "add",
            "path": "/spec/template/spec/volumes/-",
            "value": {"name": "campaigns", "projected": {"sources": sources}},
        },
        {"op": "add", "path": "/spec/template/spec/containers/0/volumeMounts/-", "value": mount},
    ]
    targets = [{"kind": "Deployment"}, {"group": "serving.knative.dev", "kind": "Service"}]
    settings = {
        "name": "evergreen-settings",
        "namespace": "evergreen",
        "behavior": "merge",
        "literals": ["CAMPAIGNS_DIR=/campaigns"],
    }
    maps = [
        {"name": f"campaign-{slug}", "namespace": "evergreen", "files": [f"{slug}/{name}" for name in names]}
        for slug, names in files.items()
    ]
    return {
        "apiVersion": "kustomize.config.k8s.io/v1alpha1",
        "kind": "Component",
        "configMapGenerator": [settings, *maps],
        "patches": [{"target": target, "patch": yaml.dump(patch, Dumper=_WholeTexts)} for target in targets],
    }


class _WholeTexts(yaml.SafeDumper):
    """YAML without references: each function is complete."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def texts(stack_file: Path = STACK_FILE) -> dict[str, str]:
    """The content of each generated file, by its path under deploy/.

    Args:
        stack_file: see `functions`.
    """
    listed = functions(stack_file)
    return {
        path: HEAD + yaml.dump_all(make(listed), Dumper=_WholeTexts, sort_keys=False, width=140)
        for path, make in GENERATED.items()
    }


@click.command("manifests")
@click.option("--check", is_flag=True, help="Write nothing; exit status 1 if a file does not match stack.yml.")
@click.option(
    "--campaigns",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Instead, write the component that mounts your own campaigns into their folder.",
)
@speaks_plainly
def write_manifests(check: bool, campaigns: Path | None) -> None:
    """Write the files in deploy/ that are generated from stack.yml: functions and public routes."""
    if campaigns:
        found = catalog.load(campaigns).campaigns
        file = campaigns / "kustomization.yaml"
        file.write_text(
            HEAD_OF_CAMPAIGNS + yaml.dump(own_campaigns(campaigns), Dumper=_WholeTexts, sort_keys=False),
            encoding="utf-8",
        )
        console.print(f"written: {file}, with {', '.join(found)}", soft_wrap=True)
        return
    stale = False
    for path, text in texts().items():
        file = ROOT / "deploy" / path
        if file.exists() and file.read_text(encoding="utf-8") == text:
            continue
        stale = True
        console.print(f"{'out of date' if check else 'written'}: deploy/{path}")
        if not check:
            file.write_text(text, encoding="utf-8")
    if not stale:
        console.print("Everything in deploy/ matches stack.yml.")
    elif check:
        console.print("Fix it with: make manifests")
        sys.exit(1)


if __name__ == "__main__":
    write_manifests()
