"""The assessment: eight systems of a business, a question for each, and four answers from the worst to the best."""

from __future__ import annotations

from dataclasses import dataclass

COLORS = ("red", "orange", "yellow", "green")


@dataclass(frozen=True)
class Question:
    """What is asked about one system; the answers are in the order of COLORS."""

    system: str
    text: str
    answers: tuple[str, str, str, str]

    @property
    def choices(self) -> list[tuple[str, str]]:
        """Each color with its answer."""
        return list(zip(COLORS, self.answers, strict=True))


QUESTIONS = (
    Question(
        "Marketing",
        "Where do new customers come from?",
        (
            "We wait for the phone to ring",
            "Word of mouth, and an ad when it gets quiet",
            "One or two channels, without numbers",
            "Several channels, and we know what each one brings",
        ),
    ),
    Question(
        "Sales",
        "What happens after someone asks about your work?",
        (
            "It depends on who picks up; some get forgotten",
            "We answer, but rarely follow up",
            "We follow up when there is time",
            "We follow up with everyone, on a schedule",
        ),
    ),
    Question(
        "Quoting",
        "How long does a quote take?",
        (
            "More than a week, or it never goes out",
            "Several days",
            "A day or two",
            "The same day, from a price list we trust",
        ),
    ),
    Question(
        "Delivery",
        "How does the work get done the same way twice?",
        (
            "It doesn't; every job is a surprise",
            "One person knows how",
            "There are checklists that some people use",
            "Everyone uses checklists, and we fix them when a job goes wrong",
        ),
    ),
    Question(
        "Scheduling",
        "Who knows what's happening next week?",
        (
            "No one, until Monday morning",
            "I do, in my head",
            "There is a calendar, often out of date",
            "There is one calendar that everyone uses, a month ahead",
        ),
    ),
    Question(
        "Money",
        "When do you know whether last month made money?",
        (
            "When the accountant tells us, once a year",
            "When the bank balance drops",
            "A few weeks later",
            "Within the first week, job by job",
        ),
    ),
    Question(
        "People",
        "What happens when someone is away for two weeks?",
        (
            "Work stops",
            "I do their work at night",
            "We manage, with a few calls to the beach",
            "Someone else takes over, and customers don't notice",
        ),
    ),
    Question(
        "Data",
        "Where do you keep what you know about a customer?",
        (
            "In my head and in old emails",
            "On paper and in several spreadsheets",
            "In one place, half of it up to date",
            "In one place, and the whole team relies on it",
        ),
    ),
)
