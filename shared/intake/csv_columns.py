"""The columns that an import reads, what other programs call them, and what can be wrong with a line."""

from __future__ import annotations

from dataclasses import dataclass

from shared.domain.enrollments import SCORES

PERSONAL = ("email", "name", "first_name", "business_name", "timezone", *SCORES, "consent", "consent_text")
COLUMNS = (*PERSONAL, "campaign", "start")
ALIASES = {
    # Outlook ("E-mail Address"), Mailchimp ("Email Address"), Kit (email_address), spreadsheets
    "e_mail": "email",
    "mail": "email",
    "e_mail_address": "email",
    "email_address": "email",
    "subscriber_email": "email",
    # Google Contacts: "E-mail 1 - Value", "Given Name", "Organization 1 - Name", and since 2024 "Organization Name"
    "e_mail_1_value": "email",
    "given_name": "first_name",
    "organization_1_name": "business_name",
    "organization_name": "business_name",
    # HubSpot ("Company name"), Outlook and Mailchimp ("Company")
    "company_name": "business_name",
    "company": "business_name",
    "organization": "business_name",
    "business": "business_name",
    # Brevo: EMAIL, FIRSTNAME, CONTACT_TIMEZONE; Loops: firstName
    "firstname": "first_name",
    "fname": "first_name",
    "contact_timezone": "timezone",
    "time_zone": "timezone",
    "full_name": "name",
    "fullname": "name",
    # Outlook and Excel in German and French
    "e_mail_adresse": "email",
    "vorname": "first_name",
    "firma": "business_name",
    "unternehmen": "business_name",
    "adresse_e_mail": "email",
    "adresse_de_messagerie": "email",
    "prénom": "first_name",
    "prenom": "first_name",
    "société": "business_name",
    "entreprise": "business_name",
}


@dataclass(frozen=True)
class Fault:
    """What is wrong with a line.

    Attributes:
        line: where it begins in the file, from 1.
        field: the column; empty if it is the whole line.
        message: what is wrong, without an address.
    """

    line: int
    field: str
    message: str


def normalized(header: str) -> str:
    """A column's name as the tables here have it: `E-mail 1 - Value` is `e_mail_1_value`."""
    return "_".join(header.strip("\ufeff?:* ").casefold().replace("-", " ").replace("_", " ").split())
