"""What the sources, the image and the local stack must not do: read from them, because it cannot be seen from
outside."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from redis import Redis
from rq.serializers import DefaultSerializer, JSONSerializer
from standardwebhooks import Webhook

from local import stack, valkey
from scheduler.rq_schedule import Job
from shared.core import proofs
from shared.core.stack_file import ROOT
from shared.integrations import calendly

SOURCES = [
    ROOT / "evergreen",
    *(
        path
        for top in ("shared", "functions", "scheduler", "commands", "local", "tools")
        for path in sorted((ROOT / top).rglob("*.py"))
    ),
]


def trees() -> Iterator[tuple[str, ast.Module]]:
    """Every source of the project with its name."""
    for path in SOURCES:
        yield str(path.relative_to(ROOT)), ast.parse(path.read_text(encoding="utf-8"))


def breaches(rule: Callable[[ast.AST], bool], tree: ast.AST) -> list[int]:
    """The lines of a source that break a rule."""
    return [getattr(node, "lineno", 0) for node in ast.walk(tree) if rule(node)]


class TestComparisons:
    """How a secret is compared."""

    SECRET = re.compile(
        r"secret|token|password|signature|signing|digest|api_?key|unsubscribe_?key|expected", re.IGNORECASE
    )

    def compares_a_secret(self, node: ast.AST) -> bool:
        """Whether a secret is compared, by an operator that stops at the first difference, with anything but a text of
        the source."""
        if not isinstance(node, ast.Compare) or not any(
            isinstance(op, ast.Eq | ast.NotEq | ast.In | ast.NotIn) for op in node.ops
        ):
            return False
        sides = [node.left, *node.comparators]
        if any(isinstance(side, ast.Constant) for side in sides):
            return False
        names = {getattr(part, "id", getattr(part, "attr", "")) for side in sides for part in ast.walk(side)}
        return any(self.SECRET.search(name) for name in names)

    HARMLESS = (
        "shared/notion/template_push.py",
        "local/welcome.py",
    )  # digests of the owner's texts; a file of this machine beside a setting

    def test_no_secret_is_compared_with_an_operator(self) -> None:
        """hmac.compare_digest takes as long for a near miss as for a far one."""
        found = {name: breaches(self.compares_a_secret, tree) for name, tree in trees()}
        assert not {name: lines for name, lines in found.items() if lines and name not in self.HARMLESS}

    @pytest.mark.parametrize(
        ("code", "caught"), [("given == settings.api_key", True), ("t in SECRETS", True), ("token == ''", False)]
    )
    def test_the_scan_finds_a_comparison(self, code: str, caught: bool) -> None:
        """It would see a comparison."""
        assert bool(breaches(self.compares_a_secret, ast.parse(code))) is caught

    def test_every_proof_takes_constant_time(self) -> None:
        """Where a proof is checked, compare_digest does it, on bytes: on texts it raises for a letter beyond ASCII."""
        for name in (
            "shared/web/guards",
            "shared/sending/signed_tokens",
            "shared/integrations/calcom",
            "shared/integrations/calendly",
            "shared/console/session",
            "scheduler/dashboard_guards",
        ):
            assert "proofs.is_one_of(" in (ROOT / f"{name}.py").read_text()
        assert "hmac.compare_digest(" in inspect.getsource(proofs.is_one_of)
        assert "hmac.compare_digest(" in inspect.getsource(Webhook.verify)
        for name in ("shared/web/guards", "shared/integrations/resend_events"):
            assert "proofs.is_signed(" in (ROOT / f"{name}.py").read_text()
        assert "Webhook(secret).verify(" in inspect.getsource(proofs)

    def test_every_accepted_value_is_tried(self) -> None:
        """How long a proof takes does not say which of two values it was: no search stops at the first that fits."""
        for made in (proofs.is_one_of, proofs.is_signed, calendly.verify):
            source = inspect.getsource(made)
            assert "any([" in source and not re.search(r"any\((?!\[|keys\))", source)


class TestCode:
    """What the sources must not do."""

    RUNS_DATA = frozenset(
        {"eval", "exec", "compile", "__import__", "os.system", "os.popen", "yaml.load", "yaml.unsafe_load"}
    )
    UNPICKLES = frozenset({"pickle", "cPickle", "_pickle", "marshal", "shelve", "dill", "cloudpickle"})
    CONNECTS = frozenset(
        {"requests", "httpx", "aiohttp", "urllib3", "http", "socket", "notion_client", "resend", "smtplib", "ftplib"}
    )

    @staticmethod
    def imported(tree: ast.AST) -> set[str]:
        """The packages that a source imports, wherever in it."""
        found = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        found |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        return {"urllib3" if name == "urllib.request" else name.split(".")[0] for name in found}

    def runs_data(self, node: ast.AST) -> bool:
        """Whether a call would run what it is given."""
        if not isinstance(node, ast.Call):
            return False
        through_a_shell = any(word.arg == "shell" and getattr(word.value, "value", True) for word in node.keywords)
        return ast.unparse(node.func) in self.RUNS_DATA or through_a_shell

    def test_no_code_runs_data(self) -> None:
        """No pickle, no eval, no shell, no YAML that makes objects."""
        for name, tree in trees():
            assert not self.imported(tree) & self.UNPICKLES, name
            assert not breaches(self.runs_data, tree), name

    @pytest.mark.parametrize(
        "code", ["eval(x)", "yaml.load(x)", "run(x, shell=True)", "run(x, shell=wanted)", "os.system(x)"]
    )
    def test_the_scan_finds_each(self, code: str) -> None:
        """It would see each of them."""
        assert breaches(self.runs_data, ast.parse(code))

    def test_every_queue_and_worker_reads_json_only(self) -> None:
        """Each is given our Job, which is JSON, regardless of the serializer that it is asked for."""
        made = [
            node
            for _, tree in trees()
            for node in ast.walk(tree)
            if isinstance(node, ast.Call)
            and ast.unparse(node.func) in ("Queue", "Worker", "SimpleWorker", "kind", "Scheduler")
        ]
        given = [{word.arg: ast.unparse(word.value) for word in call.keywords} for call in made]
        assert given and all(words.get("job_class") == "Job" for words in given)
        assert Job("one", connection=Redis(), serializer=DefaultSerializer).serializer is JSONSerializer

    # Each calls an address from the settings only: the provider's, Notion's, the channel's, the send function's.
    CALLERS = frozenset(
        {
            "shared/integrations/resend.py",
            "shared/integrations/notion.py",
            "shared/integrations/discord.py",
            "scheduler/jobs.py",
        }
    )

    SERVER = "shared/web/worker.py"

    def test_only_listed_modules_open_connections(self) -> None:
        """An address from a visitor is never called: only these modules can open a connection, and none of them sees
        one."""
        found = {
            name
            for name, tree in trees()
            if name.startswith(("shared/", "functions/", "scheduler/"))
            and self.imported(tree) & (self.CONNECTS - {"http"})
        }
        assert found - {self.SERVER} <= self.CALLERS

    def test_the_server_accepts_connections_and_opens_none(self) -> None:
        """It knows sockets, but makes and connects none."""
        (tree,) = [tree for name, tree in trees() if name == self.SERVER]
        called = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
        assert not {name for name in called if name.startswith("socket.") or name.endswith((".connect", ".connect_ex"))}

    def test_rendering_an_email_loads_nothing(self) -> None:
        """The inliner would fetch style sheets; it is configured not to."""
        assert "load_remote_stylesheets=False" in (ROOT / "shared" / "emails" / "page.py").read_text()

    def test_no_function_redirects(self) -> None:
        """No link of ours can be made to lead elsewhere; the console leads from page to page, below its own path."""
        for name, tree in trees():
            if name.startswith(("shared/", "functions/")) and not name.startswith("shared/console/"):
                assert not breaches(
                    lambda node: isinstance(node, ast.Call) and ast.unparse(node.func).endswith("redirect"), tree
                ), name
                assert not breaches(lambda node: isinstance(node, ast.Constant) and node.value == "Location", tree), (
                    name
                )


class TestPlaces:
    """Where secrets are, and where the local stack can be reached from."""

    SECRETS = frozenset(
        {
            *(
                "REDIS_PASSWORD",
                "NOTION_TOKEN",
                "RESEND_API_KEY",
                "RESEND_WEBHOOK_SECRET",
                "CALCOM_WEBHOOK_SECRET",
                "CALENDLY_SIGNING_KEY",
            ),
            *(
                "WEBSITE_WEBHOOK_SECRET",
                "OPERATOR_TOKEN",
                "CONSOLE_PASSWORD",
                "INTERNAL_TOKEN",
                "UNSUBSCRIBE_KEY",
                "CHALLENGE_KEY",
                "DISCORD_WEBHOOK_URL",
            ),
        }
    )

    def test_no_secret_is_in_the_image_or_its_description(self) -> None:
        """The image is built from no file and no variable that holds one; stack.yml names them as secrets only."""
        stack_file = yaml.safe_load((ROOT / "stack.yml").read_text())
        for name, function in stack_file["functions"].items():
            assert not self.SECRETS & function["environment"].keys(), name
            assert function["readonly_root_filesystem"] is True, name
        image = (ROOT / "Dockerfile").read_text()
        assert not [secret for secret in self.SECRETS if secret in image]
        assert int(re.findall(r"^USER (\d+)", image, re.MULTILINE)[-1]) > 0, "it does not run as root"

    def test_the_local_stack_is_for_this_machine_only(self, tmp_path: Path) -> None:
        """Every part listens on 127.0.0.1, regardless of HOST."""
        where = stack.Place(tmp_path, 8080, 8090, 6390)
        # that it is not used is the point
        assert stack.environment(where, {"HOST": "0.0.0.0"})["HOST"] == "127.0.0.1"  # noqa: S104
        valkey.command(tmp_path, 6390, "a-password")
        assert "bind 127.0.0.1\n" in (tmp_path / "valkey.conf").read_text()
        assert not [
            path for path in SOURCES if "local" in path.parts and re.search(r"0\.0\.0\.0|\"::\"", path.read_text())
        ]

    def test_the_demo_that_signs_is_not_deployed(self) -> None:
        """Deployed code imports nothing of it: the server of the image knows no such path."""
        deployed_paths = {"shared", "functions", "scheduler", "commands"}
        for name, tree in trees():
            if name.split("/")[0] in deployed_paths:
                assert "local" not in TestCode.imported(tree), name


class TestPatience:
    """What a test must not rely on."""

    HERE = sorted(path for path in (ROOT / "tests").rglob("*.py"))

    @staticmethod
    def is_in_a_hurry(node: ast.AST) -> bool:
        """Whether a call waits for less than a minute: only SOON may be that short, and it is for what never comes."""
        if not isinstance(node, ast.Call):
            return False
        given = [word.value for word in node.keywords if word.arg in ("timeout", "timeout_ms", "within")]
        if isinstance(node.func, ast.Attribute) and node.func.attr in ("wait", "join"):
            given += node.args
        return any(
            isinstance(length, ast.Constant) and isinstance(length.value, int | float) and length.value < 60
            for length in given
        )

    def test_no_test_relies_on_a_fast_machine(self) -> None:
        """On a busy machine everything takes long."""
        found = {
            str(path.relative_to(ROOT)): breaches(self.is_in_a_hurry, ast.parse(path.read_text("utf-8")))
            for path in self.HERE
        }
        assert not {name: lines for name, lines in found.items() if lines}

    @pytest.mark.parametrize(
        "code", ["get(url, timeout=5)", "until(done, within=0.5)", "process.wait(10)", "thread.join(5)"]
    )
    def test_the_scan_finds_each(self, code: str) -> None:
        """It would see each of them."""
        assert breaches(self.is_in_a_hurry, ast.parse(code))
