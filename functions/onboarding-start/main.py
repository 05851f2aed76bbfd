"""onboarding-start: the operator reports a new client, who gets the welcome and no more nurturing."""

from shared import forms
from shared.models import NewClient

handle = forms.operator("onboarding-start", NewClient)
