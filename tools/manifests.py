"""`make manifests`: the Knative and OpenFaaS functions and the public routes, generated from stack.yml into deploy/."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import yaml

from commands.printing import console, speaks_plainly
from shared.core.stack_file import ROOT, STACK_FILE
from shared.domain import campaign_files
from tools.campaign_component import own_campaigns
from tools.function_manifests import Manifest, knative, openfaas
from tools.route_manifests import knative_routes, routes

HEAD = "# Generated from stack.yml by `make manifests`; change that file, not this one.\n"
HEAD_OF_CAMPAIGNS = (
    "# Generated from these folders by `make manifests`, with --campaigns; rerun it when you add or remove files.\n"
)


def functions(stack_file: Path = STACK_FILE) -> dict[str, Manifest]:
    """The functions of stack.yml, by name.

    Args:
        stack_file: an OpenFaaS stack file.
    """
    found: dict[str, Manifest] = yaml.safe_load(stack_file.read_text(encoding="utf-8"))["functions"]
    return found


GENERATED: dict[str, Callable[[dict[str, Manifest]], list[Manifest]]] = {
    "overlays/knative/functions.yaml": lambda listed: [knative(name, function) for name, function in listed.items()],
    "components/openfaas-operator/functions.yaml": lambda listed: [
        openfaas(name, function) for name, function in listed.items()
    ],
    "components/ingress/routes.yaml": routes,
    "components/ingress-knative/routes.yaml": knative_routes,
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
        _write_component(campaigns)
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


def _write_component(campaigns: Path) -> None:
    found = campaign_files.load(campaigns).campaigns
    file = campaigns / "kustomization.yaml"
    component = yaml.dump(own_campaigns(campaigns), Dumper=_WholeTexts, sort_keys=False)
    file.write_text(HEAD_OF_CAMPAIGNS + component, encoding="utf-8")
    console.print(f"written: {file}, with {', '.join(found)}", soft_wrap=True)


if __name__ == "__main__":
    write_manifests()
