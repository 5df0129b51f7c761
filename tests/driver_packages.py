"""Driver packages, installed where the `netyard` of a test finds them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parent / "driver_package"


class Site:
    """A directory of installed packages, on the path of this process and of those it starts."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.directory = directory
        directory.mkdir()
        monkeypatch.syspath_prepend(str(directory))
        before = os.environ.get("PYTHONPATH")
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [before, str(directory)])))

    def install_example(self) -> None:
        """Have pip build and install the example package, without any index."""
        command = "-m pip install -q --no-deps --no-index --no-build-isolation --target".split()
        subprocess.run([sys.executable, *command, self.directory, EXAMPLE], check=True)

    def add(self, package: str, drivers: Mapping[str, str], code: str = "") -> None:
        """A package as pip leaves it behind, with a module of its name.

        Args:
            drivers: Entry points by name, such as ``module:Class``.
        """
        (self.directory / f"{package}.py").write_text(code)
        about = self.directory / f"{package}-1.0.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        lines = [f"{name} = {value}\n" for name, value in drivers.items()]
        (about / "entry_points.txt").write_text("".join(["[netyard.drivers]\n", *lines]))

    def clear(self) -> None:
        """Uninstall everything."""
        for path in self.directory.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def forget_modules(self) -> None:
        """Have this process import them anew the next time."""
        for name, module in list(sys.modules.items()):
            if str(getattr(module, "__file__", None) or "").startswith(str(self.directory)):
                del sys.modules[name]
