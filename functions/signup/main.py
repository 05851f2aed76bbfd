"""signup: the website's newsletter form. No campaign of this release begins here: it remembers who signed up, and to what they agreed."""

from shared import forms

handle = forms.website("signup")
