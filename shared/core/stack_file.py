"""The list of functions: stack.yml says which exist, where their code is and who may call them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

from shared.core.errors import SettingsError

ROOT = Path(__file__).resolve().parents[2]
STACK_FILE = ROOT / "stack.yml"
PUBLIC = "evergreen/public"


@dataclass(frozen=True)
class Function:
    """One function of stack.yml.

    Attributes:
        name: its key in stack.yml and the last part of its URL.
        source: the Python file that holds it.
        target: the name of the Python function in that file.
        public: whether anyone may call it, at /webhook/<name>.
    """

    name: str
    source: Path
    target: str
    public: bool


def listed(stack_file: Path = STACK_FILE) -> list[Function]:
    """Every function in stack.yml, in order; sources are relative to the file's folder.

    Args:
        stack_file: an OpenFaaS stack file whose functions each set FUNCTION_SOURCE and FUNCTION_TARGET.

    Raises:
        SettingsError: when the file is missing, is not YAML or leaves one of the two out.
    """
    try:
        functions = yaml.safe_load(stack_file.read_text(encoding="utf-8"))["functions"]
        return [
            Function(
                name,
                stack_file.parent / function["environment"]["FUNCTION_SOURCE"],
                function["environment"]["FUNCTION_TARGET"],
                (function.get("annotations") or {}).get(PUBLIC) == "true",
            )
            for name, function in functions.items()
        ]
    except FileNotFoundError:
        raise SettingsError(
            f"there is no {stack_file}. Put the project's stack.yml there, or set FUNCTION_SOURCE to serve one "
            "function."
        ) from None
    except yaml.YAMLError as error:
        raise SettingsError(f"{stack_file} is not YAML: {error}") from None
    except (KeyError, TypeError, AttributeError) as error:
        raise SettingsError(
            f"{stack_file} lacks {error}: each function needs FUNCTION_SOURCE and FUNCTION_TARGET in its environment."
        ) from None
