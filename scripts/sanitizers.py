"""The core's concurrent tests under ThreadSanitizer and AddressSanitizer.

    python3 -m scripts.sanitizers [thread] [address]

Every Rust toolchain has the libraries of the sanitizers, and hides the option that links them
behind `RUSTC_BOOTSTRAP`. The standard library comes compiled without them: tests that run under
ThreadSanitizer wait for threads and locks in ways that it can follow, and the few reports about
the library itself are suppressed (`tests/tsan.suppressions`).

A sanitizer that sees nothing finds nothing, so each is first shown a test that is wrong.
"""

import os
import subprocess
import sys

from scripts import extension
from scripts.host import ROOT, main, output_of, run, say

CORE = ROOT / "crates/chronomind-core"
# What is wrong on purpose: the test, and what the sanitizer says about it.
WRONG = {
    "thread": ("a_vector_is_measured_while_it_is_written", "data race"),
    "address": ("a_vector_is_measured_that_is_too_short", "heap-buffer-overflow"),
}
# Cargo's arguments, and those of the test programs. ThreadSanitizer knows nothing of what other
# processes do, so `processes` is for the other one alone.
TESTS = {
    "thread": [
        (["--lib"], ["whoever_sees", "one_of_several", "who_reads", "while_others_arrive"]),
        (["--test", "threads", "--test", "tree"], []),
    ],
    "address": [
        (["--lib", "--test", "threads", "--test", "tree", "--test", "processes"], []),
    ],
}


def run_all(names=tuple(TESTS)):
    """Runs the tests of each sanitizer; raises `CalledProcessError` at the first that fails."""
    for name in names:
        say(f"{name} sanitizer")
        test, report = WRONG[name]
        wrong = _command(name, ["--test", "sanitizers"], ["--ignored", test])
        result = subprocess.run(**wrong, stderr=subprocess.PIPE, text=True)
        if result.returncode == 0 or report not in result.stderr:
            sys.stderr.write(result.stderr)
            say(f"the {name} sanitizer does not report a {report} that is there")
            raise subprocess.CalledProcessError(1, wrong["args"])
        for targets, arguments in TESTS[name]:
            command = _command(name, targets, arguments)
            run(*command.pop("args"), **command)


def _command(name, targets, arguments):
    """Arguments for `subprocess` to run tests of the core with a sanitizer."""
    flags = ["-Zsanitizer=" + name, "-Cunsafe-allow-abi-mismatch=sanitizer"]
    flags += ["--cfg=tsan"] if name == "thread" else []
    environment = {
        **os.environ,
        "RUSTC_BOOTSTRAP": "1",
        "RUSTFLAGS": " ".join(flags),
        "TSAN_OPTIONS": f"suppressions={CORE}/tests/tsan.suppressions",
    }
    # With a target named, build scripts and macros are compiled without the flags.
    target = ["--target", output_of("rustc", "--print", "host-tuple")]
    directory = ["--target-dir", extension.target_dir() / name]
    command = ["cargo", "test", "-p", CORE.name, "--release", *target, *directory, *targets]
    command += ["--", *arguments]
    return {"args": [str(word) for word in command], "cwd": ROOT, "env": environment}


if __name__ == "__main__":
    main(lambda: run_all(sys.argv[1:] or TESTS))
