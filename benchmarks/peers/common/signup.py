# mypy: ignore-errors
# Runs in the contenders' virtual environments, whose packages the project's own lacks.
"""The sign-up form of every contender: FastAPI over its `enroll`.

A customer is one request, with seven due instants."""

from __future__ import annotations

import inspect

import app as contender
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()


class SignUp(BaseModel):
    """Who signs up, and when (seconds since 1970) their emails are due."""

    customer: int
    dues: list[float]


if inspect.iscoroutinefunction(contender.enroll):

    @app.post("/signup", status_code=202)
    async def sign_up(form: SignUp):
        """Enroll."""
        await contender.enroll(form.customer, form.dues)
        return {"status": "accepted"}

else:

    @app.post("/signup", status_code=202)
    def sign_up(form: SignUp):
        """Enroll."""
        contender.enroll(form.customer, form.dues)
        return {"status": "accepted"}
