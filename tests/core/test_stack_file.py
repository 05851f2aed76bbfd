"""stack.yml is the only list of functions: it agrees with the folders, the settings and the platform's rules."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from typing import Any

import pytest
import yaml

from shared.core import stack_file
from shared.core.settings import Settings
from shared.core.stack_file import ROOT, STACK_FILE
from tests.support.waiting import WITHIN

SETTINGS = set(Settings.model_fields)
STACK: dict[str, Any] = yaml.safe_load(STACK_FILE.read_text(encoding="utf-8"))
NAMES = list(STACK["functions"])
# Ends the process as soon as a module connects to anything while it is imported.
LOAD_ALL = """
import sys
sys.addaudithook(lambda event, _: sys.exit(f"{event} at import") if event == "socket.connect" else None)
from shared import serve
serve.every_function()
"""


def test_every_folder_is_a_function_and_every_function_a_folder() -> None:
    """Every deployed function exists, and every existing function is deployed."""
    assert sorted(path.parent.name for path in (ROOT / "functions").glob("*/main.py")) == sorted(NAMES)


def test_openfaas_community_edition_allows_them_all() -> None:
    """The Community Edition allows 15 functions."""
    assert len(NAMES) <= 15


def test_the_image_is_built_once() -> None:
    """All functions share an image, so exactly one of them is built and the others skip it."""
    assert len({function["image"] for function in STACK["functions"].values()}) == 1
    assert [function["skip_build"] for function in STACK["functions"].values()].count(False) == 1


def test_the_inner_function_is_not_public() -> None:
    """Only Evergreen's own workers send email."""
    public = {function.name: function.public for function in stack_file.listed()}
    assert public.pop("send-email") is False
    assert all(public.values())


@pytest.mark.parametrize("name", NAMES)
def test_a_function_is_where_it_should_be(name: str) -> None:
    """Its source follows from its name, and the file holds its target with one parameter."""
    environment = STACK["functions"][name]["environment"]
    assert environment["FUNCTION_SOURCE"] == f"functions/{name}/main.py"
    tree = ast.parse((ROOT / environment["FUNCTION_SOURCE"]).read_text(encoding="utf-8"))
    targets = [
        node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == environment["FUNCTION_TARGET"]
    ]
    assert [len(target.args.args) for target in targets] == [1]


@pytest.mark.parametrize("name", NAMES)
def test_a_function_names_only_settings_that_exist(name: str) -> None:
    """A misspelled variable or secret would silently be ignored."""
    function = STACK["functions"][name]
    variables = {variable.lower() for variable in function["environment"]} - {"function_source", "function_target"}
    assert variables <= SETTINGS
    assert {secret.replace("-", "_") for secret in function["secrets"]} <= SETTINGS
    assert all(isinstance(value, str) for value in function["environment"].values()), "faas-cli reads texts only"


@pytest.mark.parametrize("name", NAMES)
def test_every_function_is_read_only_and_limited(name: str) -> None:
    """Read-only, limited and built from the Dockerfile."""
    function = STACK["functions"][name]
    assert function["readonly_root_filesystem"] is True
    assert (function["lang"], function["handler"]) == ("dockerfile", "./")
    assert function["limits"]["memory"] and function["requests"]["memory"]


def test_the_template_is_there() -> None:
    """Without it faas-cli would fetch templates from the network."""
    assert yaml.safe_load((ROOT / "template" / "dockerfile" / "template.yml").read_text()) == {"language": "dockerfile"}


def test_no_function_connects_when_it_is_loaded() -> None:
    """The server loads every function before it forks: a connection opened then would be shared by two processes."""
    environ = {
        **os.environ,
        "INTERNAL_TOKEN": "internal-8f3b1d6c4e",
        "OPERATOR_TOKEN": "operator-5c2e9a7f1b",
        "CALCOM_WEBHOOK_SECRET": "calcom-7e4a1c9d5b",
        "UNSUBSCRIBE_KEY": "unsubscribe-4d1f7a9c3e8b2056f1a3",
        "RESEND_API_KEY": "re_c",
        "RESEND_FROM_EMAIL": "Evergreen <hello@evergreen.example.org>",
        "POSTAL_ADDRESS": "1 Sample Street",
        "RESEND_WEBHOOK_SECRET": "whsec_" + "bWVhc3VyZWQsIGFuZCBub2JvZHkncyBvd24=",
    }
    loaded = subprocess.run(
        [sys.executable, "-c", LOAD_ALL], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=WITHIN
    )
    assert loaded.returncode == 0, loaded.stderr


def test_the_image_holds_only_what_it_needs() -> None:
    """The build sees nothing but what .dockerignore lets in, and the Dockerfile copies only that."""
    ignored, *rules = [
        line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")
    ]
    let_in = {rule[1:] for rule in rules if rule.startswith("!")}
    copied = {
        word
        for line in (ROOT / "Dockerfile").read_text().splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for word in line.split()[1:-1]
    }
    assert ignored == "*"
    assert (
        let_in
        == copied
        == {"requirements.txt", "stack.yml", "functions", "shared", "scheduler", "commands", "evergreen"}
    )
