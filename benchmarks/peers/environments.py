"""The contenders' virtual environments, each made on first use."""

from __future__ import annotations

import subprocess
import sys

from benchmarks.peers.contenders import FOLDER, Contender

INSTALL_WITHIN = 900  # seconds


def make(contender: Contender) -> bool:
    """Make its environment, or make it again after its requirements changed.

    Args:
        contender: whose.

    Returns:
        Whether it is there; what pip says is shown where it is not.
    """
    wanted = (FOLDER / contender.folder / "requirements.txt").read_text(encoding="utf-8")
    mark = contender.environment / "installed.txt"
    if mark.exists() and mark.read_text(encoding="utf-8") == wanted:
        return True
    print(f"Installing {contender.name} into {contender.environment} ...", flush=True)
    python = contender.environment / "bin" / "python"
    requirements = str(FOLDER / contender.folder / "requirements.txt")
    try:
        if not python.exists():
            subprocess.run(
                [sys.executable, "-m", "venv", str(contender.environment)], check=True, timeout=INSTALL_WITHIN
            )
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", requirements]
        subprocess.run(install, check=True, timeout=INSTALL_WITHIN)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        print(f"{contender.name} is left out: it could not be installed (see above)", flush=True)
        return False
    mark.write_text(wanted, encoding="utf-8")
    return True
