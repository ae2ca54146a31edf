"""libclang, which pgrx's bindgen loads to read PostgreSQL's headers.

The machine's own where there is one; else the one that travels as a Python wheel. That one
comes without the compiler's own headers (stddef.h and the like): gcc's serve.
"""

import os
import shutil
from pathlib import Path

from scripts.host import cached, output_of
from scripts.pypi import unpack_wheel

WHEEL = "libclang==18.1.1"


def environment():
    """The variables that make bindgen find a libclang; none where it finds one by itself."""
    if "LIBCLANG_PATH" in os.environ or _installed():
        return {}
    unpacked = cached("libclang", lambda partial: unpack_wheel(WHEEL, partial))
    library = next(unpacked.rglob("libclang.so"))
    headers = output_of("gcc", "-print-file-name=include")
    return {"LIBCLANG_PATH": str(library.parent), "BINDGEN_EXTRA_CLANG_ARGS": f"-isystem {headers}"}


def _installed():
    """Whether a libclang lies where bindgen looks."""
    if any(Path("/usr/lib").glob("llvm-*/lib/libclang.so*")):
        return True
    ldconfig = shutil.which("ldconfig", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    return ldconfig is not None and "libclang.so" in output_of(ldconfig, "-p")
