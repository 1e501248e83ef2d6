"""tests/device, which runs tests on a real GPU, over the emulated one. Usage: check_device.py
PROGRAMS, the folder of the emulated programs, beside which the emulated tests lie."""

import os
import pathlib
import subprocess
import sys

from tools_harness import ENVIRONMENT, run_checks

SCRIPT = pathlib.Path(__file__).resolve().parent / "device"
# In place of compute-sanitizer: notes how it is called, and finds something in one of the tests.
SANITIZER = """#!/bin/sh
echo "$@" >> called.txt
for program; do :; done
case $*:$program in
*racecheck*test_adamw_device) exit 86 ;;
esac
exec "$program"
"""


def script(path, text):
    path.write_text(text)
    path.chmod(0o755)


def make_folder(tools, *tests):
    """What --pack makes, of the emulated programs and tests."""
    built = tools / "built"
    built.mkdir()
    for program in tools.programs.iterdir():
        (built / program.name).symlink_to(program)
    for test in tests:
        (built / f"{test}_device").symlink_to(tools.programs.parent / f"{test}_cuda")
    return built


def run(tools, built, *options, code=0, **environment):
    env = dict(ENVIRONMENT, **environment)
    done = subprocess.run([sys.executable, SCRIPT, "--built", built, *options], cwd=tools.folder,
                          env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          check=False)
    assert done.returncode == code, done.stdout
    return done.stdout


def told(out):
    """What became of each test, by its name."""
    lines = [line.split() for line in out.splitlines() if line.startswith(("passed ", "FAILED "))]
    return {" ".join(line[1:line.index("s") - 1]): line[0] for line in lines}


def check_tests(tools):
    built = make_folder(tools, "test_op_values", "test_dropout_sites")
    out = run(tools, built, "--only", "test_*", PATH="/usr/bin:/bin")
    lines = out.splitlines()
    assert lines[0].startswith("GPU 0: "), out
    assert lines[1].startswith("compute-sanitizer is neither on the PATH nor in"), out
    assert told(out) == {"test_op_values": "passed", "test_dropout_sites": "passed"}, out
    assert lines[-1].startswith("2 of 2 passed in "), out


def check_models(tools):
    """Those on the command line are compared, each in all ways."""
    built = make_folder(tools, "test_op_values")
    tools.make_model("tiny.gguf")
    out = run(tools, built, "tiny.gguf", "--only", "*tf32", "--logs", "logs")
    assert told(out) == {"compare tiny learner tf32": "passed"}, out
    assert "0 out of tolerance" in tools.read("logs/compare-tiny-learner-tf32.txt").decode()
    out = run(tools, built, "none.gguf", "--only", "compare", code=1)
    assert list(told(out)) == [f"compare none {how}" for how in (
        "full f32", "learner f32", "learner tf32", "learner bf16")], out
    assert "none.gguf: No such file" in out and "0 of 4 passed" in out, out


def check_failures(tools):
    """A test that fails, one that hangs and one that cannot be started."""
    built = make_folder(tools)
    script(built / "test_good_device", "#!/bin/sh\n")
    script(built / "test_bad_device", "#!/bin/sh\necho 1 is 2\nexit 3\n")
    script(built / "test_long_device", "#!/bin/sh\nsleep 600\n")
    script(built / "test_none_device", "#!/no/such/shell\n")
    out = run(tools, built, "--only", "test_*", "--time-limit", "5", code=1)
    assert told(out) == {"test_good": "passed", "test_bad": "FAILED", "test_long": "FAILED",
                         "test_none": "FAILED"}, out
    for words in ("ended with 3\n    1 is 2\n", "took more than 5 s", "No such file",
                  "1 of 4 passed", "failed: test_bad, test_long, test_none"):
        assert words in out, out


def check_sanitizer(tools):
    built = make_folder(tools, "test_adamw", "test_op_values")
    (tools / "bin").mkdir()
    script(tools / "bin/compute-sanitizer", SANITIZER.replace("called.txt", f"{tools / 'called'}"))
    path = f"{tools / 'bin'}:{os.environ['PATH']}"
    out = run(tools, built, "--only", "*check test_*", code=1, PATH=path)
    assert told(out) == {"memcheck test_adamw": "passed", "memcheck test_op_values": "passed",
                         "racecheck test_adamw": "FAILED", "initcheck test_adamw": "passed"}, out
    assert "the sanitizer found something" in out and "neither" not in out, out
    called = tools.read("called").decode().splitlines()
    assert len(called) == 4 and all("--error-exitcode 86" in line for line in called), called


def check_nothing_to_run_on(tools):
    built = make_folder(tools, "test_op_values")
    out = run(tools, built, code=1, PR_EMULATED_MACHINE="no-device")
    assert out == "No GPU: no NVIDIA GPU was found\n", out
    (built / "test_op_values_device").unlink()
    out = run(tools, built, code=1)
    assert out == f"{built}: no device tests are there: tests/device --pack DIR makes them\n", out


run_checks(globals())
