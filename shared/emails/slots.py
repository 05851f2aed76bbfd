"""How the `{{ placeholders }}` of a template are checked, and how they pass safely through Markdown.

Each becomes an opaque word while Markdown and CSS are processed, and a Jinja expression only at the very end, so a
contact's value is never read as Markdown, HTML, a header or another placeholder. What people typed is printed so that
no mail program makes a link of it.
"""

from __future__ import annotations

import hashlib
import re
from typing import NamedTuple

import jinja2
from jinja2 import nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from shared.emails.placeholders import PLACEHOLDERS, TYPED, cleaned, defused

HTML = ImmutableSandboxedEnvironment(undefined=jinja2.StrictUndefined, autoescape=True)
TEXT = ImmutableSandboxedEnvironment(undefined=jinja2.StrictUndefined, autoescape=False)
for _environment in (HTML, TEXT):
    _environment.filters["defused"] = lambda value, name: defused(name, value) if isinstance(value, str) else value
_FIX = 'write {{ first_name }} or {{ first_name | default("there") }}'


class Fault(Exception):
    """What is wrong with a template, and on which line (from 1)."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line


class Placeholder(NamedTuple):
    """One placeholder: its name, the default for a missing value, and whether it is part of a link's address."""

    name: str
    default: str | None = None
    in_address: bool = False

    def expression(self) -> nodes.Expr:
        """The Jinja expression that prints it. In a link's address, and where the author wrote the words, nothing is
        defused."""
        expression: nodes.Expr = nodes.Name(self.name, "load")
        if self.name in TYPED and not self.in_address:
            expression = nodes.Filter(expression, "defused", [nodes.Const(self.name)], [], None, None)
        if self.default is not None:
            expression = nodes.Filter(expression, "default", [nodes.Const(self.default)], [], None, None)
        return nodes.Filter(expression, "urlencode", [], [], None, None) if self.in_address else expression


class Slots:
    """The placeholders of one template, each replaced by a word that Markdown, URL encoding and CSS inlining leave
    alone.

    Args:
        source: the template.
    """

    def __init__(self, source: str) -> None:
        # No text contains its own digest, so no template contains such a word by itself.
        digest = hashlib.sha256(source.encode("utf-8", "replace")).hexdigest()[:16]
        self.word = re.compile(rf"slot{digest}n(\d+)n")
        self.used: list[Placeholder] = []
        self._form = f"slot{digest}n{{}}n"

    def add(self, placeholder: Placeholder) -> str:
        """The word that stands for a placeholder."""
        if placeholder not in self.used:
            self.used.append(placeholder)
        return self._form.format(self.used.index(placeholder))

    def fill(self, text: str) -> str:
        """Replace the placeholders with words.

        Args:
            text: a part of the template, after enough empty lines to keep its line numbers.

        Raises:
            Fault: if it contains anything but known names, with or without a constant default.
        """
        if foreign := re.search(r"\{[%#]|\{\{-|-\}\}", text):
            raise Fault(1 + text.count("\n", 0, foreign.start()), f"{foreign[0]} is not supported here; {_FIX}")
        try:
            tree = TEXT.parse(text)
        except (jinja2.TemplateSyntaxError, ValueError, RecursionError) as error:
            line = getattr(error, "lineno", 1 + text.count("\n", 0, text.find("{{")))
            raise Fault(line, f"a placeholder is not well-formed; {_FIX}") from None
        parts = [part for output in tree.find_all(nodes.Output) for part in output.nodes]
        return "".join(
            part.data if isinstance(part, nodes.TemplateData) else self.add(_checked(part)) for part in parts
        )

    def address(self, text: str) -> str:
        """A link's address whose words are URL-encoded when they are filled, except one that it begins with."""
        return self.word.sub(
            lambda word: self.add(self.used[int(word[1])]._replace(in_address=True)) if word.start() else word[0], text
        )

    def template(self, text: str, environment: jinja2.Environment) -> jinja2.Template:
        """Compile a text whose words become placeholders again; everything else, including braces, is printed as it
        is."""
        pieces = self.word.split(text)
        output: list[nodes.Expr] = [nodes.TemplateData(piece) for piece in pieces]
        output[1::2] = [self.used[int(index)].expression() for index in pieces[1::2]]
        tree = nodes.Template([nodes.Output(output)])
        tree.set_lineno(1)
        tree.set_environment(environment)
        return environment.from_string(tree)


def _checked(part: nodes.Expr) -> Placeholder:
    match part:
        case nodes.Name(name=name):
            default = None
        case nodes.Filter(
            node=nodes.Name(name=name),
            name="default",
            args=[nodes.Const(value=str() | int() | float() as constant)],
            kwargs=[],
        ):
            default = str(constant)
        case _:
            raise Fault(
                part.lineno, f"only a name, with or without a constant default, is allowed in {{{{ }}}}; {_FIX}"
            )
    if name not in PLACEHOLDERS:
        raise Fault(part.lineno, f"there is no placeholder {name!r}; use one of {', '.join(PLACEHOLDERS)}")
    if default is None:
        return Placeholder(name)
    if "{" in default:
        raise Fault(part.lineno, "a default cannot contain braces; write the words to use for a missing value")
    try:
        return Placeholder(name, cleaned(name, default))
    except ValueError as error:
        raise Fault(part.lineno, str(error)) from None
