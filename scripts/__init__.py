"""Everything around the Rust code: servers to run against, build, install, tests.

Standard library only. Each module does one job and, where a command makes sense,
can be run as `python3 -m scripts.NAME` from the repository root.
"""
