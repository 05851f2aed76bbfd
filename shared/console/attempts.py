"""How often the console's password may be tried: slow for people who guess, and never closed to its owner.

Only wrong passwords count. Three rules, each for a reason:

- A browser that has signed in before (see known_browser) has a budget of its own, which no one else can spend.
- Any other browser shares its network's budget: 5 wrong passwords in 5 minutes, 20 in an hour. An IPv6 network is
  counted by its /64, and with twice and four times as many by its /56 and /48, because single addresses cost nothing.
- Above 100 wrong passwords in an hour from all networks together, a network that has had 2 in that hour waits. No limit
  for all refuses a password unseen: the right one, from a network that has not guessed, opens the console at any time
  (OWASP ASVS 5.0, 6.1.1). A limit that refused it would be a stop button for strangers.

So what limits guessing from many networks is their number: 100,000 addresses have 200,000 guesses in an hour. That is
safe because a weak password is refused at start (secret_strength): against 12 random letters and digits, ten years of
it have less than one chance in a hundred million, and a password that Evergreen generates is far longer.

An attempt is counted before the password is looked at and given back if it was right: attempts at the same time do not
get past a budget, and a refusal says nothing about the password.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from redis.exceptions import RedisError

from shared import services
from shared.core.errors import TooManyRequests
from shared.ledger import limits
from shared.ledger.orders import Limit
from shared.web import known_browser

SHORT, LONG, LONG_UNDER_ATTACK = (5, "5 minutes"), (20, "hour"), (2, "hour")
OVERALL = "100/hour"  # wrong passwords of unknown browsers; above it, networks have LONG_UNDER_ATTACK


@dataclass(frozen=True)
class Attempt:
    """One that may be made: what it was counted towards, and whether the browser has signed in before."""

    budgets: Sequence[Limit]
    is_known: bool


def count(browser: str | None, networks: Sequence[str]) -> Attempt:
    """Count an attempt, before the password is compared.

    Args:
        browser: the name of a browser that has signed in before.
        networks: where it comes from, the narrowest first.

    Raises:
        TooManyRequests: if the budget is spent. A known browser's attempt then counts as any other.
    """
    ledger = services.ledger()
    if browser:
        own = limits.limit("console browser", browser, known_browser.GUESSES)
        if not limits.wait(ledger, own) and not ledger.limit(own).wait:
            return Attempt([own], is_known=True)
    budgets = _budgets(networks, under_attack=bool(limits.wait(ledger, _overall())))
    for budget in budgets:  # first of all look: a refused attempt counts nowhere, so it cannot spend a wider budget
        if wait := limits.wait(ledger, budget):
            raise TooManyRequests(wait)
    for budget in budgets:
        if wait := ledger.limit(budget).wait:  # another attempt was quicker
            raise TooManyRequests(wait)
    return Attempt(budgets, is_known=False)


def succeeded(attempt: Attempt) -> None:
    """Give back an attempt that was right; the sign-in does not depend on it."""
    with suppress(RedisError):
        for budget in attempt.budgets:
            limits.give_back(services.ledger(), budget)


def failed(attempt: Attempt) -> None:
    """Count a wrong password towards those of all networks together."""
    if not attempt.is_known:
        services.ledger().limit(_overall())


def _overall() -> Limit:
    return limits.limit("console logins", "all", OVERALL)


def _budgets(networks: Sequence[str], *, under_attack: bool) -> list[Limit]:
    """Two budgets for each network; both lengths of the longer one are counted under the same key."""
    found = []
    for wider, network in enumerate(networks):
        short = limits.limit("console login", network, f"{SHORT[0] << wider}/{SHORT[1]}")
        long = limits.limit("console login", network, f"{LONG[0] << wider}/{LONG[1]}")
        most = LONG_UNDER_ATTACK[0] << wider if under_attack else long.most
        found += [short, Limit(key=long.key, most=most, window=long.window)]
    return found
