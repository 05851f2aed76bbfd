"""A function of stack.yml as a resource of the cluster: for the OpenFaaS operator, and as a Knative Service."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from shared.core.stack_file import PUBLIC

VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")
TIMEOUT = 20  # seconds: a function has 15 for a request, its caller waits 20
PORT = 8080
Manifest = dict[str, Any]


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
        "automountServiceAccountToken": False,
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
