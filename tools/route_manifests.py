"""The public functions' routes as resources of Traefik, for a gateway and for Knative."""

from __future__ import annotations

from typing import Any

from tools.function_manifests import Manifest, is_public

HOST = "Host(`evergreen.example.org`)"  # kustomize inserts the host of PUBLIC_URL: deploy/components/settings
PAGES = ("unsubscribe", "console", "health")  # public at the root too
CONFIRM = f"{HOST} && PathRegexp(`^/confirm/?$`)"  # a second page of the function unsubscribe


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
    to_confirm = _middleware(
        "to-confirm", replacePathRegex={"regex": "^/confirm/?$", "replacement": "/function/unsubscribe/confirm"}
    )
    matches = [(_paths(name), ["to-function"]) for name in public]
    return [to_function, to_confirm, _ingress([*matches, (CONFIRM, ["to-confirm"])])]


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
    matches = [(_paths(name), ["from-root", f"to-{name}"]) for name in public]
    return [strip, *hosts, _ingress([*matches, (CONFIRM, ["to-unsubscribe"])])]
