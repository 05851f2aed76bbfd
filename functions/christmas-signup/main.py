"""christmas-signup: the website's Christmas form enrolls in the campaign of that trigger, or only remembers who signed up."""

from shared import forms

handle = forms.website("christmas-signup")
