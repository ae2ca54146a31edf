"""Things that travel as Python packages: wheels to unpack, and tools in a private venv."""

import hashlib
import importlib.util
import shutil
import sys
import zipfile
from contextlib import contextmanager
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
    options = ["--only-binary=:all:", "--python-version", python]
    with _downloaded(requirement, directory, options) as wheel, zipfile.ZipFile(wheel) as archive:
        archive.extractall(directory)


def unpack_sdist(requirement, directory):
    """Downloads the source package of `requirement` and unpacks it into `directory`."""
    options = ["--no-binary", requirement.partition("==")[0]]
    with _downloaded(requirement, directory, options) as archive:
        shutil.unpack_archive(archive, directory)


@contextmanager
def _downloaded(requirement, directory, options):
    """The one file that pip downloads for `requirement`; it is gone afterwards."""
    say(f"downloading {requirement}")
    downloads = directory / "download"
    command = [*_pip(), "download", "--no-deps", "--dest", downloads, *options, requirement]
    run_logged(cache_dir() / "pip.log", *command)
    (file,) = downloads.iterdir()
    yield file
    shutil.rmtree(downloads)


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
