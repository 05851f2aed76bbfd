"""christmas-assessment: the website's Christmas assessment enrolls in the five-day campaign, whose first email the website sends itself."""

from shared import forms

handle = forms.website("christmas-assessment")
