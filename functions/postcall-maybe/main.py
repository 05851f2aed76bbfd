"""postcall-maybe: the operator reports a call that ended with a maybe; the person gets the follow-up."""

from shared import forms
from shared.models import PostCall

handle = forms.operator("postcall-maybe", PostCall)
