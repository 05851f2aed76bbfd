"""What docs/webhooks.md and docs/funnels.md say must be true: every field, every webhook, every curl, every named
test."""

from __future__ import annotations

import os
import re
import subprocess
import threading
from collections.abc import Iterator

import pytest
from redis import Redis
from werkzeug.serving import make_server

from local import valkey
from shared.core.stack_file import ROOT
from shared.domain.forms import NewClient, NoShow, PostCall, SignUp
from shared.serve import every_function
from tests.support.functions_client import Functions
from tests.support.waiting import WITHIN
from tests.support.webhook_calls import PROOFS, webhooks
from tools import openapi
from tools.openapi_schemas import FIELDS

WEBHOOKS = (ROOT / "docs" / "webhooks.md").read_text(encoding="utf-8")
FUNNELS = (ROOT / "docs" / "funnels.md").read_text(encoding="utf-8")
SETUP, *CURLS = re.findall(r"^```sh\n(.*?)^```$", WEBHOOKS, re.MULTILINE | re.DOTALL)
NAMES = [path.removeprefix("/webhook/") for path in openapi.document()["paths"]]


@pytest.fixture
def functions(redis: Redis, valkey_server: valkey.Valkey, monkeypatch: pytest.MonkeyPatch) -> Iterator[Functions]:
    """All webhooks with their secrets."""
    with webhooks(valkey_server, monkeypatch) as ready:
        yield ready


@pytest.fixture
def url(functions: Functions) -> Iterator[str]:
    """Where they are served."""
    server = make_server("127.0.0.1", 0, every_function(), threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()


@pytest.mark.parametrize(
    "field", sorted({name for model in (SignUp, NoShow, PostCall, NewClient) for name in model.model_fields})
)
def test_every_field_is_documented(field: str) -> None:
    """Each field has its line, in the words of the OpenAPI document."""
    assert re.search(rf"\| `{field}`[^|]* \| {re.escape(FIELDS[field])} \|$", WEBHOOKS, re.MULTILINE)


@pytest.mark.parametrize("name", NAMES)
def test_every_webhook_is_documented(name: str) -> None:
    """Each has its line, its curl, and its rows among the funnels."""
    assert f"\n| `{name}` |" in WEBHOOKS
    assert any(f"/webhook/{name}" in curl for curl in CURLS)
    assert f"`{name}`" in FUNNELS


@pytest.mark.parametrize("curl", CURLS, ids=lambda curl: re.findall(r"/webhook/([a-z-]+)", curl)[0])
def test_every_curl_is_accepted(functions: Functions, url: str, curl: str) -> None:
    """Typed as documented, it gets a 2xx."""
    script = f'{SETUP}\ncurl() {{ command curl -sS --fail-with-body "$@"; }}\n{curl}'
    environ = {"PATH": os.environ["PATH"], "URL": url, **PROOFS}
    done = subprocess.run(
        ["bash", "-euc", script], env=environ, capture_output=True, text=True, timeout=WITHIN, check=False
    )
    assert (done.returncode, '"accepted"' in done.stdout) == (0, True), done.stdout + done.stderr


@pytest.mark.parametrize(
    "named", sorted(set(re.findall(r"`tests/([\w/]+\.py)::([\w:]+)`", FUNNELS))), ids=lambda named: "::".join(named)
)
def test_every_named_test_exists(named: tuple[str, str]) -> None:
    """A proof that docs/funnels.md names can be run."""
    file, test = named
    source = (ROOT / "tests" / file).read_text(encoding="utf-8")
    *classes, function = test.split("::")
    assert re.search(rf"^ *def {function}\(", source, re.MULTILINE)
    assert all(re.search(rf"^class {name}\b", source, re.MULTILINE) for name in classes)
