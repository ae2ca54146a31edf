"""Runs steps beside each other, so that what waits leaves the processors to what computes.

A step says which others it needs. It runs in a process of its own, and its output is shown when it has
ended, whole and unmixed. The first of the list that can run is started whenever there is room: so what
others wait for stands at the beginning.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass

from scripts.host import ROOT, die_with_parent, say

POLLED = 0.1  # seconds


@dataclass(frozen=True)
class Step:
    """Something to run, by a name that its process finds it by again."""

    name: str
    run: Callable[[], None]
    after: tuple[str, ...] = ()
    # Of those that work in cargo's target directory, one at a time: they would wait for its lock.
    builds: bool = False


@dataclass
class _Running:
    step: Step
    process: subprocess.Popen
    output: object  # a file, or nothing where the output is shown as it comes
    started: float


def with_needed(steps, chosen):
    """The steps of the names `chosen` and all that they need, in the order of `steps`."""
    by_name = {step.name: step for step in steps}
    wanted, open_names = set(), list(chosen)
    while open_names:
        name = open_names.pop()
        if name not in wanted:
            wanted.add(name)
            open_names += by_name[name].after
    return [step for step in steps if step.name in wanted]


def run_all(steps, command, lanes):
    """Runs `[*command, name]` for each of the steps, `lanes` at a time; the names of those that failed.

    What needs a step that failed is not run, and counts as failed too.
    """
    waiting, running, passed, failed = list(steps), [], set(), []
    try:
        while waiting or running:
            for step in list(waiting):
                if lost := set(step.after).intersection(failed):
                    waiting.remove(step)
                    failed.append(step.name)
                    say(f"{step.name}: NOT RUN, for want of {', '.join(sorted(lost))}")
                elif _has_room(step, running, lanes) and passed.issuperset(step.after):
                    waiting.remove(step)
                    running.append(_start(step, command, shown=lanes == 1))
            if not running:
                assert not waiting, f"steps need each other: {[step.name for step in waiting]}"
                break
            time.sleep(POLLED)
            for each in [each for each in running if each.process.poll() is not None]:
                running.remove(each)
                if _conclude(each):
                    passed.add(each.step.name)
                else:
                    failed.append(each.step.name)
    finally:
        for each in running:
            each.process.terminate()
        for each in running:
            each.process.wait()
            _show(each)
    return failed


def _has_room(step, running, lanes):
    others_build = any(each.step.builds for each in running)
    return len(running) < lanes and not (step.builds and others_build)


def _start(step, command, shown):
    say(f"{step.name} ...")
    output = None if shown else tempfile.TemporaryFile()  # noqa: SIM115
    process = subprocess.Popen(
        [*command, step.name],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=None if shown else subprocess.STDOUT,
        preexec_fn=die_with_parent,
    )
    return _Running(step, process, output, time.monotonic())


def _conclude(each):
    """Shows what a step that has ended said; whether it passed."""
    _show(each)
    has_passed = each.process.returncode == 0
    seconds = time.monotonic() - each.started
    say(f"{each.step.name}: {'ok' if has_passed else 'FAILED'}, {seconds:.0f} s")
    return has_passed


def _show(each):
    if each.output is not None:
        each.output.seek(0)
        sys.stdout.flush()
        sys.stdout.buffer.write(each.output.read())
        sys.stdout.flush()
        each.output.close()
