"""A PostgreSQL compiled from Debian's copy of the upstream release, with pgvector.

Debian's patches force system-wide paths, on which two builds would overwrite each other, so
only the upstream tarball inside the source package is used. Needs root only to install
missing build tools.

pg_cron comes in binary form, as Debian packages it: two files that are put where the compiled
server looks for them. It needs Debian's libpq.
"""

import hashlib
import os
import shutil
import sysconfig
import urllib.error
import urllib.request

from scripts.host import SetupError, cache_dir, cached, need_tools, output_of, run, run_logged, say

# The Debian release that carries each major version. Only released ones, whose packages stay
# where they are; none of them has a pgvector for PostgreSQL 18 yet, which comes embedded.
SUITES = {"15": "bookworm", "17": "trixie"}
PGVECTOR_SUITE = "trixie"
# The release before, with its checksum: a mirror may list a new one before it has it.
BEFORE = {
    "postgresql-17": (
        "postgresql-17_17.11.orig.tar.bz2",
        "dd27f2b3c59e73ed14aa3324901242bf69a032a6347805f274e6260322d42979",
    ),
}
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"

BUILD_TOOLS = {
    "gcc": "gcc",
    "make": "make",
    "bison": "bison",
    "flex": "flex",
    "perl": "perl",
    "xz": "xz-utils",
    "bzip2": "bzip2",
    "apt-get": "apt",
    "/usr/include/string.h": "libc6-dev",
    "/usr/include/zlib.h": "zlib1g-dev",
    KEYRING: "debian-archive-keyring",
}


FLAVOURS = ("", "cassert", "suites")
# Of PostgreSQL's own tests, what their drivers read; below `suites` of a server that has them.
SUITE_FILES = ("sql", "specs", "expected", "data", "*_schedule", "resultmap", "*.so")


def provision(major, flavour=""):
    """The prefix of PostgreSQL `major`, compiled when absent. Flavours: `cassert`, with assertions on;
    `suites`, with PostgreSQL's own tests."""
    cassert = flavour == "cassert"
    name = "-".join(filter(None, [f"postgres-{major}", flavour]))
    prefix = cache_dir() / name

    def make(partial):
        need_tools(BUILD_TOOLS)
        say(f"compiling PostgreSQL {major}{' with assertions' if cassert else ''}: a few minutes")
        build = cache_dir() / f"{name}.build"
        shutil.rmtree(build, ignore_errors=True)
        build.mkdir()
        log = build / "log"
        source = _fetch(f"postgresql-{major}", SUITES[major], build, log)
        vector = _fetch("pgvector", PGVECTOR_SUITE, build, log)
        options = ["--enable-cassert", "--enable-debug"] if cassert else []
        options += ["--without-icu", "--without-readline"]
        run_logged(log, "./configure", f"--prefix={prefix}", "--quiet", *options, cwd=source)
        # Nothing here uses contrib, which is a sixth of the work.
        run_logged(log, *_make("all"), cwd=source)
        # Staged under its final path, so that what records that path is right after the rename.
        stage = build / "stage"
        run_logged(log, *_make(f"DESTDIR={stage}", "install"), cwd=source)
        staged = stage / prefix.relative_to("/")

        if flavour == "suites":
            for suite in ("regress", "isolation"):
                run_logged(log, *_make("-C", f"src/test/{suite}"), cwd=source)
                _copy_suite(source / "src/test" / suite, staged / "suites" / suite)

        say("compiling pgvector for it")
        pg_config = staged / "bin/pg_config"
        # No -march=native: the cache may outlive the processor.
        arguments = (f"PG_CONFIG={pg_config}", "OPTFLAGS=")
        run_logged(log, *_make(*arguments), cwd=vector)
        run_logged(log, *_make(*arguments, "install"), cwd=vector)

        partial.rmdir()
        staged.rename(partial)
        shutil.rmtree(build)

    return cached(name, make)


def _copy_suite(source, target):
    target.mkdir(parents=True)
    for pattern in SUITE_FILES:
        for path in source.glob(pattern):
            copy = shutil.copytree if path.is_dir() else shutil.copy
            copy(path, target / path.name)


def provision_with_cron(major):
    """The prefix of PostgreSQL `major` with the pg_cron of the same Debian release."""
    plain = provision(major)

    def make(partial):
        need_tools({f"/usr/lib/{sysconfig.get_config_var('MULTIARCH')}/libpq.so.5": "libpq5"})
        build = cache_dir() / f"{plain.name}-cron.build"
        shutil.rmtree(build, ignore_errors=True)
        build.mkdir()
        log = build / "log"
        say(f"adding pg_cron to PostgreSQL {major}")
        options = _private_apt("deb", SUITES[major], build, log)
        run_logged(
            log, "apt-get", *options, "download", "-q", f"postgresql-{major}-cron", cwd=build
        )
        (package,) = build.glob("*.deb")
        run("dpkg-deb", "-x", package, build / "files")
        run("cp", "-al", f"{plain}/.", partial)
        packaged = build / "files/usr"
        library = packaged / f"lib/postgresql/{major}/lib/pg_cron.so"
        shutil.copy(library, output_of(partial / "bin/pg_config", "--pkglibdir"))
        share = output_of(partial / "bin/pg_config", "--sharedir")
        for script in (packaged / f"share/postgresql/{major}/extension").iterdir():
            shutil.copy(script, f"{share}/extension")
        shutil.rmtree(build)

    return cached(f"{plain.name}-cron", make)


def _make(*arguments):
    """`make` over all processors, yielding to whatever else the machine does."""
    return ["nice", "make", "-s", f"-j{os.cpu_count()}", *arguments]


def _fetch(package, suite, directory, log):
    """Downloads the source package and unpacks the upstream tarball in it; its directory."""
    options = _private_apt("deb-src", suite, directory, log)
    command = ["apt-get", *options, "source", "-q", "--download-only", package]
    try:
        run_logged(log, *command, cwd=directory)
        (tarball,) = directory.glob(f"{package}_*.orig.tar.*")
    except SetupError:
        if package not in BEFORE:
            raise
        tarball = _fetch_before(package, directory)
    source = directory / package
    source.mkdir()
    run("tar", "-xf", tarball, "-C", source, "--strip-components=1")
    return source


def _fetch_before(package, directory):
    """Downloads the upstream tarball of the release before that which the suite lists; its path."""
    name, checksum = BEFORE[package]
    url = f"{_mirror().rstrip('/')}/pool/main/{package[0]}/{package}/{name}"
    say(f"the mirror has no {package} of the version that it lists: taking {name}")
    try:
        with urllib.request.urlopen(url, timeout=120) as answer:
            content = answer.read()
    except urllib.error.URLError as error:
        raise SetupError(f"{url}: {error}") from error
    if hashlib.sha256(content).hexdigest() != checksum:
        raise SetupError(f"{url} is not what it was: its checksum differs")
    tarball = directory / name
    tarball.write_bytes(content)
    return tarball


def _private_apt(kind, suite, directory, log):
    """The options for apt to work on a suite, on lists of its own, which are fetched here.

    `kind` is `deb` for packages and `deb-src` for sources. apt's own lists and configuration stay
    as they are.
    """
    state = directory / f"apt-{suite}"
    for part in ("lists/partial", "cache/archives/partial"):
        (state / part).mkdir(parents=True, exist_ok=True)
    sources = state / "sources.list"
    sources.write_text(f"{kind} [signed-by={KEYRING}] {_mirror()} {suite} main\n")
    options = [
        *("-o", f"Dir::Etc::SourceList={sources}", "-o", "Dir::Etc::SourceParts=/dev/null"),
        *("-o", f"Dir::State::Lists={state}/lists", "-o", f"Dir::Cache={state}/cache"),
        # The sandbox user cannot read below a private directory, and nothing here needs it.
        *("-o", "APT::Sandbox::User=root"),
    ]
    run_logged(log, "apt-get", *options, "update", "-q")
    return options


def _mirror():
    """The Debian mirror that this machine is set up with: it has every suite."""
    uris = output_of("apt-get", "indextargets", "--format", "$(REPO_URI)", "Component: main")
    for uri in uris.splitlines():
        if uri.rstrip("/").endswith("/debian"):
            return uri
    raise SetupError("compiling a server needs a Debian machine; set PG_CONFIG to one you have")
