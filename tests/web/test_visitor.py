"""Who visits: the right hop on every platform, in one form, no matter what strangers and proxies write."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
import yaml
from flask import Request
from werkzeug.test import EnvironBuilder

from shared.core.settings import load
from shared.core.stack_file import ROOT
from shared.domain.visitors import Visitor
from shared.web.visitor import identify
from tools import manifests
from tools.function_manifests import substituted

VISITOR, INVENTED = "203.0.113.9", "192.0.2.66"
TRAEFIK, KOURIER, ACTIVATOR, GATEWAY = "10.42.0.5", "10.42.0.6", "10.42.1.7", "10.42.1.8"


def seen(peer: str | None, forwarded: str | None, *trusted: str) -> Visitor:
    """The visitor, from the connection's peer and the header."""
    headers = [] if forwarded is None else [("X-Forwarded-For", forwarded)]
    environ = EnvironBuilder(headers=headers, environ_overrides={"REMOTE_ADDR": peer}).get_environ()
    return identify(Request(environ), [ip_network(network) for network in trusted])


def setting(file: str) -> list[str]:
    """TRUSTED_PROXIES of a file of settings."""
    (value,) = [
        line.partition("=")[2] for line in (ROOT / file).read_text().splitlines() if line.startswith("TRUSTED_PROXIES=")
    ]
    return [str(network) for network in load({"TRUSTED_PROXIES": value}).trusted_networks]


class TestPlatforms:
    """What each platform's proxies report, with the networks that its files trust."""

    @pytest.mark.parametrize("file", ["deploy/base/settings.env", "deploy/settings.example.env"])
    @pytest.mark.parametrize(
        ("peer", "forwarded"),
        [
            # plain: Traefik replaces what a stranger sends, and reports its own peer.
            (TRAEFIK, VISITOR),
            # The same where Traefik, behind another proxy that it trusts, adds to the header.
            (TRAEFIK, f"{INVENTED}, {VISITOR}"),
            # OpenFaaS: the gateway passes the header on as it is.
            (GATEWAY, VISITOR),
            # Knative: queue-proxy, in the same pod, adds its own peer, which is Kourier or the activator.
            ("127.0.0.1", f"{VISITOR}, {KOURIER}"),
            ("127.0.0.1", f"{VISITOR}, {TRAEFIK}, {KOURIER}, {ACTIVATOR}"),
            ("127.0.0.1", f"{INVENTED}, {VISITOR}, {KOURIER}"),
            ("::1", f"{VISITOR}, {KOURIER}"),
        ],
    )
    def test_a_cluster(self, file: str, peer: str, forwarded: str) -> None:
        """In a cluster it is the one whom the ingress saw."""
        assert seen(peer, forwarded, *setting(file)).address == VISITOR

    def test_openfaas_without_settings(self) -> None:
        """What stack.yml passes to the functions by default is the pods' network, for all that read it."""
        found = {
            substituted(function["environment"]["TRUSTED_PROXIES"], {})
            for function in manifests.functions().values()
            if "TRUSTED_PROXIES" in function["environment"]
        }
        (trusted,) = found
        assert seen(GATEWAY, VISITOR, *trusted.split(",")).address == VISITOR

    def test_the_gateway_of_openfaas_reports_its_peer_with_a_port(self) -> None:
        """Where the request had no such header."""
        assert seen(GATEWAY, f"{VISITOR}:51820", "10.42.0.0/16").address == VISITOR

    @pytest.mark.parametrize("bridge", ["172.18.0.1", "192.168.16.1", "10.89.0.1"])
    def test_compose(self, bridge: str) -> None:
        """Docker's or Podman's bridge stands between the gateway and the proxy on this machine, which saw the
        visitor."""
        services = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())["services"]
        trusted = services["gateway"]["environment"]["TRUSTED_PROXIES"].split(",")
        assert seen(bridge, VISITOR, *trusted).address == VISITOR
        assert seen(bridge, f"{INVENTED}, {VISITOR}", *trusted).address == VISITOR

    def test_a_proxy_on_the_same_machine(self) -> None:
        """systemd: Caddy connects from 127.0.0.1."""
        assert seen("127.0.0.1", VISITOR, "127.0.0.1").address == VISITOR


class TestTrust:
    """Only trusted proxies are believed."""

    @pytest.mark.parametrize("trusted", [(), ("10.42.0.0/16",), ("2001:db8::/32",)])
    def test_a_stranger_is_not(self, trusted: tuple[str, ...]) -> None:
        """Without a trusted proxy the header changes nothing."""
        assert seen(VISITOR, INVENTED, *trusted).address == VISITOR

    def test_what_a_stranger_wrote_is_left_of_what_the_proxy_saw(self) -> None:
        """Even if it is a trusted proxy's address."""
        assert seen(TRAEFIK, f"{INVENTED}, {TRAEFIK}, {VISITOR}", "10.42.0.0/16").address == VISITOR

    @pytest.mark.parametrize("forwarded", [None, "", " , ,", TRAEFIK])
    def test_with_nothing_but_proxies_it_is_the_last_of_them(self, forwarded: str | None) -> None:
        """A request from inside the cluster is that pod's."""
        assert seen(TRAEFIK, forwarded, "10.42.0.0/16").address == TRAEFIK

    def test_a_mapped_address_of_a_proxy_is_that_proxy(self) -> None:
        """A server that listens on IPv6 sees its IPv4 peers as ::ffff:a.b.c.d."""
        assert seen(f"::ffff:{TRAEFIK}", VISITOR, "10.42.0.0/16").address == VISITOR


class TestForm:
    """One visitor has one form."""

    @pytest.mark.parametrize(
        ("written", "address"),
        [
            ("203.0.113.7", "203.0.113.7"),
            ("203.0.113.7:40001", "203.0.113.7"),
            ("\t203.0.113.7:40002  ", "203.0.113.7"),
            ('"203.0.113.7"', "203.0.113.7"),
            ("::ffff:203.0.113.7", "203.0.113.7"),
            ("[::FFFF:203.0.113.7]:443", "203.0.113.7"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("[2001:DB8:0:0::1]", "2001:db8::1"),
            ('"[2001:db8::1]:443"', "2001:db8::1"),
            ("2001:0db8:0000::0001", "2001:db8::1"),
            ("fe80::1%eth0", "fe80::1"),
            ("[fe80::1%25eth0]:80", "fe80::1"),
        ],
    )
    def test_ports_zones_and_spellings_make_no_difference(self, written: str, address: str) -> None:
        """Neither as the peer nor in the header."""
        assert seen(written, None).address == address
        assert seen("127.0.0.1", written, "127.0.0.1").address == address

    @pytest.mark.parametrize(
        "garbage",
        ["unknown", "_hidden", "localhost", "1.2.3", "010.0.0.1", "1.2.3.4.5", "[", "[]", "[::1", ":", "::1::", "%",
         "203.0.113.7/32", "<script>", "1" * 8000, "\xff"],
    )  # fmt: skip
    def test_garbage_is_unknown_and_one_visitor(self, garbage: str) -> None:
        """What stands left of it is not believed."""
        found = seen("127.0.0.1", f"{VISITOR}, {garbage}", "127.0.0.1")
        assert found == Visitor("unknown", ("unknown",)) or garbage == "[::1"

    @pytest.mark.parametrize("peer", [None, "", "unix:"])
    def test_no_peer_is_unknown(self, peer: str | None) -> None:
        """Such as behind a socket of the file system: the header is not believed then."""
        assert seen(peer, VISITOR, "0.0.0.0/0", "::/0") == Visitor("unknown", ("unknown",))


class TestNetworks:
    """What limits count."""

    def test_an_ipv4_address_is_its_own_network(self) -> None:
        """A visitor with one has no other."""
        assert seen("203.0.113.9", None).networks == ("203.0.113.9/32",)

    def test_an_ipv6_address_is_in_three(self) -> None:
        """A subscriber's, a household's and a company's."""
        assert seen("2001:db8:1:2ff:3:4:5:6", None).networks == (
            "2001:db8:1:2ff::/64",
            "2001:db8:1:200::/56",
            "2001:db8:1::/48",
        )

    def test_a_mapped_address_is_counted_as_ipv4(self) -> None:
        """Else all of IPv4 would be one /64."""
        assert seen("::ffff:203.0.113.9", None).networks == ("203.0.113.9/32",)
