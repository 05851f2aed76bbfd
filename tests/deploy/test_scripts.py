"""The scripts that deploy: they stop early with the fix, never show a secret, and the smoke test tries a real
Evergreen."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.core.settings import PAIRS
from shared.core.stack_file import ROOT
from tests.support.deploy_files import DEPLOY, PLATFORMS, Desk, documents, fill_in, validate


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """The owner of a plain deployment."""
    return Desk(tmp_path)


@pytest.fixture
def registry() -> Iterator[str]:
    """A registry that gives strangers a token, and `ada/public:1` to those who have one; everything else is refused."""

    class Registry(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            own = f"http://{self.headers['Host']}"
            body = b""
            if self.path.startswith("/token"):
                status, body = 200, b'{"token":"anonymous"}'
            elif self.headers.get("Authorization") != "Bearer anonymous":
                status = 401
            else:
                status = 200 if self.path == "/v2/ada/public/manifests/1" else 404
            self.send_response(status)
            if status == 401:
                self.send_header("WWW-Authenticate", f'Bearer realm="{own}/token",service="registry"')
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Registry) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


def test_the_shell_scripts_are_clean() -> None:
    """shellcheck finds nothing."""
    found = subprocess.run(
        [
            str(Path(sys.executable).with_name("shellcheck")),
            "--external-sources",
            *map(str, sorted(DEPLOY.glob("*.sh"))),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0, found.stdout


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    """Each unit is one that systemd understands, with the interpreter where it looks for it."""
    for unit in (DEPLOY / "systemd").glob("evergreen*"):
        (tmp_path / unit.name).write_text(unit.read_text().replace("/opt/evergreen/.venv/bin/python", sys.executable))
    found = subprocess.run(["systemd-analyze", "verify", *map(str, tmp_path.iterdir())], capture_output=True, text=True)
    assert not [line for line in found.stderr.splitlines() if "evergreen" in line], found.stderr


def test_init_overwrites_nothing(desk: Desk) -> None:
    """A second `init` overwrites nothing that the owner has filled in."""
    before = (desk.mine / "settings.env").read_text()
    again = desk.run("deploy.sh", "init", "plain")
    assert again.returncode == 0
    assert "Kept:" in again.stdout
    assert (desk.mine / "settings.env").read_text() == before
    assert (desk.mine / "secrets.env").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("name", "value", "fix"),
    [
        ("POSTAL_ADDRESS", "", "Fill it in"),
        ("EVERGREEN_IMAGE", "", "Fill it in"),
        ("PUBLIC_URL", "http://mail.example.org", "Write https://"),
        ("PUBLIC_URL", "https://mail.example.org/", "Remove the slash"),
        ("EVERGREEN_IMAGE", "ghcr.io/example/evergreen:0.1.0", "docker build"),
    ],
)
def test_a_wrong_setting_stops_before_anything_happens(desk: Desk, name: str, value: str, fix: str) -> None:
    """A forgotten or wrong setting is named with its fix, and the cluster was not touched."""
    fill_in(desk.mine / "settings.env", **{name: value})
    ended = desk.run("deploy.sh")
    assert ended.returncode == 1
    assert name in ended.stderr
    assert fix in ended.stderr
    assert not [call for call in desk.calls() if "apply" in call or "create" in call]


def test_a_missing_secret_stops_with_its_fix(desk: Desk) -> None:
    """Without Resend's key nothing is created, and the message says where to get one."""
    fill_in(desk.mine / "secrets.env", RESEND_API_KEY="")
    ended = desk.run("secrets.sh")
    assert ended.returncode == 1
    assert "https://resend.com/api-keys" in ended.stderr
    assert not [call for call in desk.calls() if "create" in call]


def test_a_missing_requirement_of_the_cluster_is_named(desk: Desk, registry: str) -> None:
    """A missing cert-manager is reported before anything is applied."""
    ended = desk.run("deploy.sh", MISSING="certificates.cert-manager.io", **_on(desk, registry, "public:1"))
    assert ended.returncode == 1
    assert "https://cert-manager.io" in ended.stderr
    assert not [call for call in desk.calls() if "apply" in call]


@pytest.mark.parametrize("kind", ["scaledobjects.keda.sh", "servicemonitors.monitoring.coreos.com"])
def test_the_needs_of_a_component_are_checked_only_if_it_is_on(desk: Desk, registry: str, kind: str) -> None:
    """A cluster without KEDA or Prometheus' operator is fine, until the owner takes the `#` off the component that
    wants it."""
    on = {"MISSING": kind, **_on(desk, registry, "public:1")}
    assert desk.run("deploy.sh", "--dry-run", **on).returncode == 0
    file = desk.mine / "kustomization.yaml"
    file.write_text(file.read_text().replace("# - ../components/", "- ../components/"))
    ended = desk.run("deploy.sh", "--dry-run", **on)
    assert (ended.returncode, f"does not know {kind}" in ended.stderr) == (1, True)


def _on(desk: Desk, registry: str, image: str) -> dict[str, str]:
    fill_in(desk.mine / "settings.env", EVERGREEN_IMAGE=f"{registry}/ada/{image}")
    return {"EVERGREEN_REGISTRY_SCHEME": "http"}


@pytest.mark.parametrize(("platform", "status"), [("openfaas", 1), ("plain", 0)])
def test_an_image_that_is_not_public(tmp_path: Path, registry: str, platform: str, status: int) -> None:
    """OpenFaaS Community Edition could never start it, so that ends the deployment; elsewhere it is only reported."""
    desk = Desk(tmp_path, platform)
    ended = desk.run("deploy.sh", "--dry-run", **_on(desk, registry, "private:1"))
    assert ended.returncode == status, ended.stderr
    assert "missing or private" in ended.stdout + ended.stderr


def test_a_dry_run_changes_nothing(desk: Desk, registry: str) -> None:
    """It shows each command, and neither the cluster nor the owner's files change."""
    on = _on(desk, registry, "public:1")
    before = {file: file.read_bytes() for file in desk.mine.iterdir()}
    ended = desk.run("deploy.sh", "--dry-run", **on)
    assert ended.returncode == 0, ended.stderr
    assert "exists and is public" in ended.stdout
    assert "$ kubectl apply -k" in ended.stdout
    assert not [call for call in desk.calls() if "apply" in call]
    assert {file: file.read_bytes() for file in desk.mine.iterdir()} == before


@pytest.mark.parametrize("platform", ["plain", "openfaas"])
def test_a_second_deployment_does_the_same(tmp_path: Path, registry: str, platform: str) -> None:
    """Deploying again makes the same requests, with the same secrets; on OpenFaaS the functions go through faas-cli."""
    desk = Desk(tmp_path, platform)
    on = _on(desk, registry, "public:1")
    first = desk.run("deploy.sh", **on)
    assert first.returncode == 0, first.stderr
    calls, secrets = desk.calls(), (desk.mine / "secrets.env").read_text()
    desk.calls_file.write_text("")
    assert desk.run("deploy.sh", **on).returncode == 0
    assert desk.calls() == calls
    assert (desk.mine / "secrets.env").read_text() == secrets
    assert any(call[0] == "faas-cli" for call in calls) == (platform == "openfaas")


def test_no_secret_is_shown(desk: Desk) -> None:
    """Every secret reaches the cluster through stdin; neither the output nor any argument holds a value."""
    ended = desk.run("secrets.sh")
    assert ended.returncode == 0, ended.stderr
    lines = (desk.mine / "secrets.env").read_text().splitlines()
    given = {
        name: value for name, _, value in (line.partition("=") for line in lines) if value and not name.startswith("#")
    }
    assert set(given) >= {
        "REDIS_PASSWORD",
        "INTERNAL_TOKEN",
        "UNSUBSCRIBE_KEY",
        "OPERATOR_TOKEN",
        "CALCOM_WEBHOOK_SECRET",
    }
    assert len(set(given.values())) == len(given)
    shown = ended.stdout + ended.stderr + desk.calls_file.read_text()
    sent = Path(f"{desk.calls_file}.stdin").read_text()
    for name, value in given.items():
        assert value not in shown, name
        assert value in sent, name
    created = {call[call.index("generic") + 1] for call in desk.calls() if "generic" in call}
    assert created >= {"redis-password", "resend-api-key", "website-webhook-secret"}


def test_a_secret_is_replaced_in_two_steps(desk: Desk) -> None:
    """The old value goes into the new one's Secret, which every pod that needs it mounts whole; then it is gone."""
    assert desk.run("secrets.sh").returncode == 0
    file = desk.mine / "secrets.env"
    before = file.read_text()
    (old,) = re.findall(r"^OPERATOR_TOKEN=(.+)$", before, re.MULTILINE)
    file.write_text(before.replace(f"OPERATOR_TOKEN={old}", f"OPERATOR_TOKEN=\nOPERATOR_TOKEN_PREVIOUS={old}"))
    sent = Path(f"{desk.calls_file}.stdin")
    for given, there in ((f"OPERATOR_TOKEN_PREVIOUS={old}", True), ("OPERATOR_TOKEN_PREVIOUS=", False)):
        file.write_text(re.sub("^OPERATOR_TOKEN_PREVIOUS=.*$", given, file.read_text(), flags=re.MULTILINE))
        sent.write_text("")
        ended = desk.run("secrets.sh")
        assert ended.returncode == 0, ended.stderr
        (new,) = re.findall(r"^OPERATOR_TOKEN=(.+)$", file.read_text(), re.MULTILINE)
        assert (new != old, new in sent.read_text(), old in sent.read_text()) == (True, True, there)
        assert old not in ended.stdout + ended.stderr + desk.calls_file.read_text()
    keys = {word.split("=")[1] for call in desk.calls() for word in call if word.startswith("--from-file=")}
    assert keys >= {"operator-token", *(f"{name.replace('_', '-')}-previous" for name in PAIRS)}


@pytest.mark.parametrize("platform", PLATFORMS)
def test_every_pod_mounts_its_secrets_whole(tmp_path: Path, platform: str) -> None:
    """No mount picks single keys: the previous value comes with the new one."""
    files = [*DEPLOY.glob("base/*.yaml"), *DEPLOY.glob(f"overlays/{platform}/*.yaml")]
    mounted = [source["secret"] for file in files for source in _sources(documents(file))]
    assert mounted and all(set(secret) == {"name"} for secret in mounted)


def _sources(value: Any) -> Iterator[dict[str, Any]]:
    """The sources of every projected volume in a document that are secrets."""
    if isinstance(value, dict):
        found = (value.get("projected") or {}).get("sources", []) if "projected" in value else []
        yield from (source for source in found if "secret" in source)
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _sources(inner)


def test_a_box_without_a_cluster_gets_its_secrets(desk: Desk) -> None:
    """`--local` fills in the file, asks no cluster, and changes nothing the second time."""
    assert desk.run("secrets.sh", "--local").returncode == 0
    filled = (desk.mine / "secrets.env").read_text()
    assert re.search(r"^REDIS_PASSWORD=\S{40,}$", filled, re.MULTILINE)
    assert desk.run("secrets.sh", "--local").returncode == 0
    assert (desk.mine / "secrets.env").read_text() == filled
    assert desk.calls() == []
    files = desk.mine / "secrets"
    assert files.stat().st_mode & 0o077 == 0
    assert f"REDIS_PASSWORD={(files / 'redis-password').read_text()}\n" in filled
    compose = yaml.safe_load((desk.deploy / "compose.yaml").read_text())
    for secret in compose["secrets"].values():
        assert (desk.deploy / secret["file"]).stat().st_mode & 0o777 == 0o644, "a container's user reads it"


@pytest.mark.parametrize(("trusted", "status"), [("10.42.0.0/16", 1), ("10.42.0.0/16,127.0.0.1", 0)])
def test_knative_needs_its_own_proxy_trusted(tmp_path: Path, registry: str, trusted: str, status: int) -> None:
    """Settings that would make all visitors one are not deployed."""
    desk = Desk(tmp_path, "knative")
    fill_in(desk.mine / "settings.env", TRUSTED_PROXIES=trusted)
    ended = desk.run("deploy.sh", "--dry-run", **_on(desk, registry, "public:1"))
    assert (ended.returncode, "queue-proxy" in ended.stderr) == (status, bool(status)), ended.stderr


def test_restore_stops_everything_first(desk: Desk) -> None:
    """Nothing runs while a backup is restored, Kubernetes would accept the pod that does it, and only Valkey is started
    again."""
    ended = desk.run("restore.sh", "evergreen-20270115T031700Z.rdb")
    assert ended.returncode == 0, ended.stderr
    steps = [" ".join(call[1:]) for call in desk.calls()]
    scaled = [step.removeprefix("-n evergreen ") for step in steps if " scale " in step]
    assert scaled == [
        "scale deployment --all --replicas=0",
        "scale statefulset valkey --replicas=0",
        "scale statefulset valkey --replicas=1",
    ]
    (pod,) = [call for call in desk.calls() if "run" in call]
    (given,) = [json.loads(word.removeprefix("--overrides=")) for word in pod if word.startswith("--overrides=")]
    validate({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "valkey-restore"}, **given})
    copied = given["spec"]["containers"][0]["command"]
    assert copied == ["sh", "/tool/put-back.sh", "/backup/evergreen-20270115T031700Z.rdb", "/data"]
    assert desk.run("restore.sh", "../../etc/passwd").returncode == 1


def test_rollback_deploys_the_previous_image(desk: Desk, registry: str) -> None:
    """The image that ran before is written to the settings and deployed."""
    (desk.mine / "images.log").write_text(
        f"2026-01-01T00:00:00Z {registry}/ada/public:1\n2026-01-02T00:00:00Z {registry}/ada/public:2\n"
    )
    on = _on(desk, registry, "public:2")
    ended = desk.run("rollback.sh", **on)
    assert ended.returncode == 0, ended.stderr
    assert f"EVERGREEN_IMAGE={registry}/ada/public:1\n" in (desk.mine / "settings.env").read_text()
