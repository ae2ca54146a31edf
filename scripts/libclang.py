"""libclang, which pgrx's bindgen loads to read PostgreSQL's headers.

The machine's own where there is one; else the one that travels as a Python wheel. That one
comes without the compiler's own headers (stddef.h and the like): gcc's serve.
"""

import os
import shutil
import subprocess
from pathlib import Path

from scripts.host import cached, output_of
from scripts.pypi import unpack_wheel

WHEEL = "libclang==18.1.1"


def environment():
    """The variables that make bindgen find a libclang; none where it finds one by itself."""
    if "LIBCLANG_PATH" in os.environ or _installed():
        return {}
    directory = cached("libclang", lambda partial: unpack_wheel(WHEEL, partial)) / "clang/native"
    headers = output_of("gcc", "-print-file-name=include")
    return {"LIBCLANG_PATH": str(directory), "BINDGEN_EXTRA_CLANG_ARGS": f"-isystem {headers}"}


def _installed():
    """Whether a libclang lies where bindgen looks."""
    if any(Path("/usr/lib").glob("llvm-*/lib/libclang*.so*")):
        return True
    ldconfig = shutil.which("ldconfig", path="/sbin:/usr/sbin:" + os.environ["PATH"])
    if not ldconfig:
        return False
    known = subprocess.run([ldconfig, "-p"], stdout=subprocess.PIPE, text=True).stdout
    return "libclang.so" in known or "libclang-" in known
