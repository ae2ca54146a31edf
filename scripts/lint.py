"""Format and lints, warnings as errors, for the core and for the extension, and names in its SQL.

    python3 -m scripts.lint     # the extension against PG_CONFIG's server
"""

from scripts import extension, postgres, sql_names
from scripts.host import ROOT, main, run, say

# In the profile of the library that is installed: what it is built with need not be compiled twice.
STRICT = ["--release", "--all-targets", "--", "-D", "warnings"]


def _command():
    say("format")
    run("cargo", "fmt", "--all", "--check", cwd=ROOT)
    say("lints of the core")
    run("cargo", "clippy", "-p", "chronomind-core", *STRICT, cwd=ROOT)
    say("names in SQL")
    if found := sql_names.check():
        raise SystemExit("\n".join([*found, sql_names.ADVICE]))
    pg = postgres.default()
    say(f"lints of the extension, for PostgreSQL {pg.major}")
    environment = extension.cargo_environment(pg)
    for extra in ([], ["faults"]):
        run("cargo", "clippy", *extension.features(pg, *extra), *STRICT, cwd=ROOT, env=environment)


if __name__ == "__main__":
    main(_command)
