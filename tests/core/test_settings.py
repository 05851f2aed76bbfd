"""Where settings come from, and what an invalid one leads to: a start that is refused, with every reason."""

from __future__ import annotations

from base64 import b64encode, b85encode, urlsafe_b64encode
from hashlib import sha256
from ipaddress import ip_network
from pathlib import Path

import pytest

from shared.core.errors import SettingsError
from shared.core.settings import PAIRS, SECRETS_DIR, Settings, load
from shared.core.value_types import seconds


def refusal(tmp_path: Path, **environ: str) -> str:
    """What `load` says about an environment that it must refuse."""
    with pytest.raises(SettingsError) as caught:
        load(environ, tmp_path)
    return str(caught.value)


class TestSources:
    """Secret file, then NAME_FILE, then the environment."""

    def test_the_environment(self, tmp_path: Path) -> None:
        """A setting is the environment variable of its name; empty is as if absent, and others are ignored."""
        found = load({"BUSINESS_NAME": "Northside", "POSTAL_ADDRESS": "", "PORT": "9000", "PATH": "/bin"}, tmp_path)
        assert (found.business_name, found.postal_address, found.port) == ("Northside", "", 9000)

    def test_this_process_is_the_default(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without arguments the process's own environment and the platform's folder of secrets count."""
        monkeypatch.setenv("BUSINESS_NAME", "Northside")
        assert load().business_name == "Northside"
        assert Path("/var/openfaas/secrets") == SECRETS_DIR

    def test_a_secret_file(self, tmp_path: Path) -> None:
        """A file in lower case with hyphens, its white space trimmed."""
        (tmp_path / "resend-api-key").write_text("re_file\n")
        assert load({}, tmp_path).resend_api_key == "re_file"

    def test_a_directory_with_the_key_inside(self, tmp_path: Path) -> None:
        """Some platforms mount a folder of the secret's name with a file of that name in it."""
        (tmp_path / "resend-api-key").mkdir()
        (tmp_path / "resend-api-key" / "resend-api-key").write_text("re_folder")
        assert load({}, tmp_path).resend_api_key == "re_folder"
        (tmp_path / "internal-token").mkdir()
        assert load({"INTERNAL_TOKEN": "internal-8f3b1d6c4e"}, tmp_path).internal_token == "internal-8f3b1d6c4e", (
            "an empty folder holds no secret"
        )

    def test_name_file(self, tmp_path: Path) -> None:
        """NAME_FILE names a file anywhere; one that is not there is an error that names the variable."""
        (tmp_path / "anywhere").write_text("re_named\n")
        assert load({"RESEND_API_KEY_FILE": str(tmp_path / "anywhere")}, tmp_path).resend_api_key == "re_named"
        message = refusal(tmp_path, RESEND_API_KEY_FILE="/nowhere/key", RESEND_API_KEY="re_environment")
        assert message.startswith("RESEND_API_KEY_FILE names /nowhere/key, which is not a file.")

    def test_the_order(self, tmp_path: Path) -> None:
        """A secret file wins over NAME_FILE, and that over the environment."""
        (tmp_path / "named").write_text("named")
        environ = {"RESEND_API_KEY": "environment"}
        assert load(environ, tmp_path).resend_api_key == "environment"
        environ["RESEND_API_KEY_FILE"] = str(tmp_path / "named")
        assert load(environ, tmp_path).resend_api_key == "named"
        (tmp_path / "resend-api-key").write_text("secret")
        assert load(environ, tmp_path).resend_api_key == "secret"

    def test_a_secret_that_is_not_text(self, tmp_path: Path) -> None:
        """A file that is not text is an invalid setting: it is named, and its content is not shown."""
        (tmp_path / "key").write_bytes(b"\xff\xfe\x00")
        assert "RESEND_API_KEY" in refusal(tmp_path, RESEND_API_KEY_FILE=str(tmp_path / "key"))


class TestValues:
    """What a setting may be."""

    def test_the_defaults_suit_production(self, tmp_path: Path) -> None:
        """Nothing is compressed, limits are tight, no proxy and no other origin is trusted."""
        found = load({}, tmp_path)
        assert (found.testing_mode, found.testing_step, found.backoff_divisor) == (False, None, 1)
        assert (found.webhook_rate_per_ip, found.webhook_rate_per_address, found.webhook_body_limit) == (
            "10/second",
            "5/hour",
            65_536,
        )
        assert (found.trusted_proxies, found.cors_origins) == ([], [])

    def test_the_ladder_of_timeouts(self, tmp_path: Path) -> None:
        """Provider < function < worker's HTTP < job < lease, and testing mode shortens none of them."""
        for environ in ({}, {"TESTING_MODE": "true"}):
            found = load(environ, tmp_path)
            ladder = [
                found.provider_timeout,
                found.function_timeout,
                found.http_timeout,
                found.job_timeout,
                found.lease,
            ]
            assert ladder == [10, 15, 20, 30, 45]
        assert found.backoff_divisor == 60

    def test_lists(self, tmp_path: Path) -> None:
        """Several values are separated by commas or white space."""
        found = load(
            {
                "TRUSTED_PROXIES": "10.0.0.0/8, 192.168.1.7 fd00::/8",
                "CORS_ORIGINS": "https://a.example.org,https://b.example.org",
            },
            tmp_path,
        )
        assert found.trusted_networks == [
            ip_network("10.0.0.0/8"),
            ip_network("192.168.1.7/32"),
            ip_network("fd00::/8"),
        ]
        assert found.cors_origins == ["https://a.example.org", "https://b.example.org"]

    @pytest.mark.parametrize(
        ("text", "length"),
        [("500ms", 0.5), ("5s", 5), (" 1.5 m ", 90), ("12h", 43_200), ("7d", 604_800), ("0", 0), (7, 7)],
    )
    def test_durations(self, text: str | int, length: float) -> None:
        """A number and a unit; zero needs none."""
        assert seconds(text) == length

    @pytest.mark.parametrize("text", ["", "s", "-5s", "5 minutes", "1h30m", "1e3s", "inf", "nan", "5,5s"])
    def test_an_invalid_duration(self, text: str) -> None:
        """The error for anything else shows what one looks like."""
        with pytest.raises(ValueError, match="write a number and a unit, such as 30s"):
            seconds(text)

    @pytest.mark.parametrize("text", ["30", " 1.5 "])
    def test_a_duration_without_a_unit(self, text: str) -> None:
        """It could mean seconds or days."""
        with pytest.raises(ValueError, match=r"has no unit; write [\d.]+s, [\d.]+m, [\d.]+h or [\d.]+d"):
            seconds(text)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("PORT", "http"),
            ("THREADS", "0"),
            ("PROVIDER_TIMEOUT", "soon"),
            ("PROVIDER_TIMEOUT", "0s"),
            ("TESTING_MODE", "perhaps"),
            ("TESTING_STEP", "0"),
            ("BRAND_COLOR", "green"),
            ("BUSINESS_TIMEZONE", "Toronto"),
            ("BUSINESS_TIMEZONE", "../UTC"),
            ("WEBHOOK_BODY_LIMIT", "64k"),
            ("RESEND_RATE", "-1"),
            ("WEBHOOK_RATE_PER_IP", "ten a second"),
            ("WEBHOOK_RATE_PER_ADDRESS", "5"),
            ("TRUSTED_PROXIES", "10.0.0.0/8, ingress"),
            ("WEBSITE_WEBHOOK_SECRET", "whsec_"),
            ("WEBSITE_WEBHOOK_SECRET", "whsec_!"),
            ("NOTION_PROPERTY_NAMES", "=x"),
            ("REDIS_URL", "localhost:6379"),
            ("REDIS_URL", "http://redis:6379"),
            ("REDIS_URL", "redis://redis:port/0"),
            ("REDIS_URL", "redis://redis:99999/0"),
            ("REDIS_URL", "redis://:pass#word@redis:6379/0"),
            ("REDIS_URL", "redis://[::1:6379/0"),
            ("REDIS_URL", "redis://redis:6379/first"),
            ("REDIS_URL", "redis://redis:6379/0?db=first"),
            ("REDIS_URL", "redis://redis:6379/0?retries=3"),
            ("REDIS_URL", "redis://redis:6379/0?ssl_ca_certs=/ca.pem"),
            ("REDIS_URL", "rediss://redis:6379/0?ssl_cert_reqs=perhaps"),
            ("REDIS_URL", "unix://"),
            ("BOOKING_URL", "cal.com/northside"),
            ("PUBLIC_URL", "www.example.org"),
            ("LOG_LEVEL", "LOUD"),
        ],
    )
    def test_a_wrong_value_is_named(self, tmp_path: Path, name: str, value: str) -> None:
        """A value that would fail at each request or email is refused at the start, by name, with where to read
        more."""
        message = refusal(tmp_path, **{name: value})
        assert f"{name}: " in message and message.endswith("See .env.example.")

    def test_a_log_level_may_be_lower_case(self, tmp_path: Path) -> None:
        """Most people write `info`."""
        assert load({"LOG_LEVEL": "debug"}, tmp_path).log_level.upper() == "DEBUG"

    def test_all_wrong_values_are_named(self, tmp_path: Path) -> None:
        """One start lists everything that must be fixed."""
        message = refusal(tmp_path, PORT="http", BRAND_COLOR="green", BUSINESS_TIMEZONE="Toronto")
        assert all(
            name in message
            for name in ("PORT: ", "BRAND_COLOR: ", "BUSINESS_TIMEZONE: ", "'Toronto' is not a valid time zone")
        )

    @pytest.mark.parametrize("rest", ["#u5", "/u5", "?u5", "%u5", "%ff"])
    def test_a_password_that_is_not_escaped(self, tmp_path: Path, rest: str) -> None:
        """A password in REDIS_URL that ends the address early is not shown; what to write is."""
        for secret in ("x7Kq", "6379"):
            message = refusal(tmp_path, REDIS_URL=f"redis://:{secret}{rest}@redis.example.org:6379/0")
            assert "%2" in message and "REDIS_PASSWORD" in message
            assert secret not in message.replace("redis://redis:6379/0", "") and "u5" not in message

    @pytest.mark.parametrize(
        "url",
        [
            "redis://evergreen@redis.example.org:6379/0",
            "rediss://redis.example.org/1?ssl_ca_certs=/etc/ssl/own.pem&ssl_check_hostname=false",
            "unix://:pass%23word-8f3b1d6c@/run/valkey/valkey.sock?db=1",
            " redis://127.0.0.1:6379/ ",
        ],
    )
    def test_an_address_of_redis_is_taken(self, tmp_path: Path, url: str) -> None:
        """A user, TLS, a socket and options."""
        assert load({"REDIS_URL": url, "REDIS_PASSWORD": "9b1f0c7d5e3a8f6e2b4d"}, tmp_path).redis_url == url.strip()

    def test_a_wrong_secret_is_not_shown(self, tmp_path: Path) -> None:
        """A refusal ends up in a log, so it never repeats a secret."""
        assert "hunter2" not in refusal(tmp_path, REDIS_PASSWORD="hunter2", RESEND_API_KEY="hunter2", PORT="http")

    @pytest.mark.parametrize(
        "weak",
        [
            "short",
            "changeme",
            "a" * 40,
            "ab" * 20,
            "1234567890123456",
            "change-me-please-now",
            "my-secret-password-123",
        ],
    )
    @pytest.mark.parametrize(
        "name",
        [
            "INTERNAL_TOKEN",
            "OPERATOR_TOKEN",
            "UNSUBSCRIBE_KEY",
            "CALCOM_WEBHOOK_SECRET",
            "CALENDLY_SIGNING_KEY",
            "CONSOLE_PASSWORD",
            "REDIS_PASSWORD",
            "WEBSITE_WEBHOOK_SECRET",
            "RESEND_WEBHOOK_SECRET",
        ],
    )
    def test_a_secret_that_can_be_guessed_is_refused(self, tmp_path: Path, name: str, weak: str) -> None:
        """Too short, a placeholder, or of few characters; the message says how to make a good one, and does not repeat
        it."""
        signs = name.endswith("WEBHOOK_SECRET") and not name.startswith("CALCOM")
        value = "whsec_" + b64encode((weak * 2).encode()).decode() if signs else weak
        message = refusal(tmp_path, **{"REDIS_URL": "redis://redis.example.org", name: value})
        assert f"{name}: can be guessed: " in message and "openssl rand" in message
        assert value not in message and weak not in message.replace("too short", "")

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("CONSOLE_PASSWORD", "purple spoon"),
            ("OPERATOR_TOKEN", "b7f2a90c41d8e653"),
            ("CALCOM_WEBHOOK_SECRET", "Rain over Springfield!"),
            ("UNSUBSCRIBE_KEY", "b7f2a90c41d8e653" * 2),
            ("RESEND_WEBHOOK_SECRET", "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
            ("REDIS_PASSWORD", "x"),  # on this machine
        ],
    )
    def test_a_good_secret_is_taken(self, tmp_path: Path, name: str, value: str) -> None:
        """A person types the password, so it may be shorter."""
        assert getattr(load({name: value}, tmp_path), name.lower()) == value

    def test_what_evergreen_generates_is_taken(self, tmp_path: Path) -> None:
        """However often: no random secret looks like a placeholder."""
        for number in range(2000):
            digest = sha256(str(number).encode())
            load(
                {
                    "UNSUBSCRIBE_KEY": digest.hexdigest(),
                    "OPERATOR_TOKEN": urlsafe_b64encode(digest.digest()).decode().rstrip("="),
                    "CONSOLE_PASSWORD": b85encode(digest.digest()[:12]).decode(),
                    "RESEND_WEBHOOK_SECRET": "whsec_" + b64encode(digest.digest()[:24]).decode(),
                },
                tmp_path,
            )

    @pytest.mark.parametrize("name", [name.upper() for name in PAIRS])
    def test_a_previous_value_needs_a_new_one(self, tmp_path: Path, name: str) -> None:
        """Otherwise what should have a proof would be open, or closed, by mistake; weak ones are refused there, too."""
        good = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
        assert f"{name}_PREVIOUS: is set without {name};" in refusal(tmp_path, **{f"{name}_PREVIOUS": good})
        assert f"{name}_PREVIOUS: " in refusal(tmp_path, **{name: good, f"{name}_PREVIOUS": "changeme"})

    def test_a_previous_value_is_read_beside_the_new_one(self, tmp_path: Path) -> None:
        """As a file, or in the folder of the new value where a platform mounts folders; an empty one is none."""
        (tmp_path / "operator-token").mkdir()
        (tmp_path / "operator-token" / "operator-token").write_text("b7f2a90c41d8e653")
        (tmp_path / "operator-token" / "operator-token-previous").write_text("53e6d8410c9af2b7")
        assert load({}, tmp_path).accepted("operator_token") == ("b7f2a90c41d8e653", "53e6d8410c9af2b7")
        (tmp_path / "operator-token-previous").write_text("")
        assert load({}, tmp_path).accepted("operator_token") == ("b7f2a90c41d8e653",)

    def test_settings_do_not_change(self) -> None:
        """You cannot change a setting in a running process."""
        with pytest.raises(ValueError, match="frozen"):
            Settings().port = 1


class TestRequire:
    """A process that cannot do its work does not start."""

    def test_all_missing_are_named(self) -> None:
        """Each missing setting, and where each can be put."""
        with pytest.raises(SettingsError) as caught:
            Settings(internal_token="internal-8f3b1d6c4e").require(
                "resend_api_key", "internal_token", "unsubscribe_key"
            )
        message = str(caught.value)
        assert message.startswith(
            "missing: RESEND_API_KEY, UNSUBSCRIBE_KEY. Set each in the environment, as NAME_FILE=<path>"
        )
        assert "/var/openfaas/secrets/resend-api-key" in message and "INTERNAL_TOKEN" not in message

    def test_nothing_missing(self) -> None:
        """It returns the settings."""
        found = Settings(internal_token="internal-8f3b1d6c4e")
        assert found.require("internal_token") is found
