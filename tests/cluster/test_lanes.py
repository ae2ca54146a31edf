"""The steps of a test run: what needs another waits for it, and is not run where that has failed."""

import sys

from scripts.lanes import Step, run_all, with_needed

# Writes down when it begins and ends; a step of the name `bad...` fails.
PROGRAM = """
import sys, time
log, name = sys.argv[1:]
def note(what):
    with open(log, "a") as file:
        print(what, name, file=file)
note("begin")
time.sleep(0.3)
print("said by", name)
note("end")
sys.exit(name.startswith("bad"))
"""


def step(name, *after, builds=False):
    return Step(name, lambda: None, after, builds)


def run(tmp_path, steps, lanes=2):
    """The names that failed, and the lines of the log."""
    log = tmp_path / "log"
    log.write_text("")
    failed = run_all(steps, [sys.executable, "-c", PROGRAM, str(log)], lanes)
    return failed, log.read_text().splitlines()


def test_two_run_at_a_time_and_in_their_order(tmp_path):
    failed, log = run(tmp_path, [step("c", "a", "b"), step("a"), step("b")])
    assert failed == []
    assert set(log[:2]) == {"begin a", "begin b"}
    assert log[-2:] == ["begin c", "end c"]


def test_of_those_that_build_one_runs_at_a_time(tmp_path):
    _, log = run(tmp_path, [step("a", builds=True), step("b", builds=True), step("c")])
    assert log.index("end a") < log.index("begin b")
    assert log.index("begin c") < log.index("end a")


def test_what_needs_a_step_that_failed_fails_unrun_and_others_go_on(tmp_path, capfd):
    steps = [step("bad"), step("needs it", "bad"), step("needs that", "needs it"), step("other")]
    failed, log = run(tmp_path, steps)
    assert failed == ["bad", "needs it", "needs that"]
    assert "end other" in log and not any("needs" in line for line in log)
    shown = capfd.readouterr()
    assert "said by bad\n" in shown.out and "NOT RUN, for want of bad" in shown.err


def test_a_step_is_chosen_with_all_that_it_needs():
    steps = [step("a"), step("b", "a"), step("c", "b"), step("d")]
    assert [each.name for each in with_needed(steps, ["c"])] == ["a", "b", "c"]
