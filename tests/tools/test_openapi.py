"""The OpenAPI document: current, valid, complete, and true to the functions."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator

from shared.core import stack_file
from shared.domain.forms import NewClient, NoShow, PostCall, SignUp
from tests.support.webhook_calls import FORMS, OPERATOR, good
from tools import openapi
from tools.openapi_schemas import FIELDS

NO_WEBHOOKS = {"health", "unsubscribe", "console"}  # public, but pages and checks rather than webhooks
DOCUMENT = openapi.document()


def test_the_file_is_current() -> None:
    """docs/openapi.json is what the models say today; `make openapi` writes it."""
    result = CliRunner().invoke(openapi.write_openapi, ["--check"])
    assert result.exit_code == 0, result.output


def test_a_stale_file_is_noticed(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--check` fails and says what to do; without it the file is written."""
    monkeypatch.setattr(openapi, "ROOT", tmp_path)
    monkeypatch.setattr(openapi, "FILE", tmp_path / "openapi.json")
    monkeypatch.setattr(openapi, "rendered", lambda: "{}\n")
    openapi.FILE.write_text("old")
    stale = CliRunner().invoke(openapi.write_openapi, ["--check"])
    assert (stale.exit_code, "make openapi" in stale.output) == (1, True)
    assert CliRunner().invoke(openapi.write_openapi).exit_code == 0
    assert openapi.FILE.read_text() == "{}\n"


def test_every_public_webhook_is_in_it() -> None:
    """What stack.yml lets the world call is described."""
    public = {
        f"/webhook/{function.name}"
        for function in stack_file.listed()
        if function.public and function.name not in NO_WEBHOOKS
    }
    assert public <= DOCUMENT["paths"].keys()


def test_every_field_is_described() -> None:
    """No model has a field that the document leaves unexplained, and no explanation is left over."""
    fields = {name for model in (SignUp, NoShow, PostCall, NewClient) for name in model.model_fields}
    assert fields == FIELDS.keys()


def test_references_lead_somewhere() -> None:
    """Each $ref and each security scheme is defined."""
    text = json.dumps(DOCUMENT)
    for part in text.split('"$ref": "#/components/schemas/')[1:]:
        assert part.split('"')[0] in DOCUMENT["components"]["schemas"]
    for path in DOCUMENT["paths"].values():
        for scheme in path["post"]["security"]:
            assert scheme.keys() <= DOCUMENT["components"]["securitySchemes"].keys()


@pytest.mark.parametrize("name", [*FORMS, *OPERATOR, "calcom-booking", "calendly-noshow"])
def test_a_good_body_fits_its_schema(name: str) -> None:
    """What the tests post is what the document asks for."""
    schema = DOCUMENT["paths"][f"/webhook/{name}"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    validator = Draft202012Validator(schema | {"components": DOCUMENT["components"]})
    validator.validate(json.loads(good(name)))
    assert not validator.is_valid({})
