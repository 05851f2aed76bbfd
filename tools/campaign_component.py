"""A folder of the owner's campaigns as a kustomize component."""

from __future__ import annotations

from pathlib import Path

import yaml

from tools.function_manifests import Manifest


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
        "patches": [{"target": target, "patch": yaml.safe_dump(patch)} for target in targets],
    }
