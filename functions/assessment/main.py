"""assessment: the website's assessment form enrolls in the campaign of that trigger, or only remembers who sent no scores."""

from shared import forms

handle = forms.website("assessment")
