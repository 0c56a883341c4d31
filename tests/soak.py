#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Goes on trying what draws: simulated meshes, histories without a mesh, kills of the real binary
and fuzzers, each round with seeds that were never used, until the hours are over or somebody
interrupts it. Reports each round; ends with a summary, and with 1 when anything failed."""

import argparse
import os
import shutil
import signal
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import plan  # noqa: E402  (found beside this file)
import run  # noqa: E402

# Of a whole round, which takes about ten minutes on two cores.
ROUND_SECONDS = 600
ROUND = {"swarm": 400, "schedules": 20000, "kills": 150, "fuzz_seconds": 60}
FOREVER = 10 ** 9  # Seconds.


class SoakReport(run.Report):
    """Keeps the logs of what failed, whose names the next round would take."""

    def __init__(self, log_dir):
        super().__init__(log_dir)
        self.round = 0
        self.stopping = threading.Event()
        self.kept = []

    def add(self, job, problem, seconds):
        if self.stopping.is_set():
            return  # It was ended, not finished.
        super().add(job, problem, seconds)
        if problem is not None:
            path = self.log_path(job.name)
            kept = os.path.join(self.log_dir, f"failed-round-{self.round}-"
                                + os.path.basename(path))
            shutil.copyfile(path, kept)
            self.kept.append(kept)

    def stop(self, *_):
        self.stopping.set()
        run.end_all()


def round_stages(seed, share):
    """The stages of a round; share: of a whole one."""
    def more(name):
        return max(2, int(ROUND[name] * share))

    def kills(context):
        del context
        count = more("kills")
        return [plan.Job("kills", [sys.executable, "tests/e2e/test_kill.py"], 120 + 3 * count,
                         plan.environment_of("plain", MESHSYNC_KILLS=count, MESHSYNC_SEED=seed,
                                             PYTHONDONTWRITEBYTECODE=1), shows=True)]

    def schedules(context):
        return plan.tests("plain", ("laws/test_schedules",), 1800, label="soak", MESHSYNC_SEED=seed,
                          MESHSYNC_SCHEDULES=more("schedules"))(context)

    def fuzzers(context):
        os.environ["FUZZ_SECONDS"] = str(more("fuzz_seconds"))
        os.environ["FUZZ_SEED"] = str(1 + seed % 2 ** 31)  # 0 would mean the time of day.
        return plan.fuzz(context) if shutil.which("clang") else []

    yield plan.Stage(plan.swarm(more("swarm"), seed, 3600))
    yield plan.Stage(lambda context: schedules(context) + kills(context))
    yield plan.Stage(fuzzers)


def soak(report, context, scratch, hours, seed):
    begin = time.monotonic()
    end = begin + (hours * 3600 if hours > 0 else FOREVER)
    while not report.stopping.is_set():
        left = end - time.monotonic()
        if report.round > 0 and left <= 0:
            break
        report.round += 1
        passed, failed = report.passed, len(report.failed)
        for stage in round_stages(seed, min(1, max(left, 1) / ROUND_SECONDS)):
            if not report.stopping.is_set():
                run.run_stage(stage, context, report, scratch, time.monotonic() + FOREVER)
        print(f"round {report.round}, seeds from {seed}: {report.passed - passed} passed, "
              f"{len(report.failed) - failed} failed; "
              f"{(time.monotonic() - begin) / 3600:.2f} hours so far", flush=True)
        seed += ROUND["swarm"] + ROUND["schedules"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=0, help="0: until it is interrupted")
    parser.add_argument("--seed", type=int, default=int(time.time()) * 1000)
    parser.add_argument("--make", default="make")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 2)
    parser.add_argument("variables", nargs="*", help="VAR=VALUE for each make")
    args = parser.parse_args()

    os.chdir(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    log_dir = os.path.join("build", "logs", "soak")
    os.makedirs(log_dir, exist_ok=True)
    report = SoakReport(log_dir)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, report.stop)
    variables = [word for word in args.variables if not word.startswith("HOURS=")]
    context = plan.Context(make=args.make, jobs=args.jobs, variables=variables, only="")
    scratch = tempfile.mkdtemp(prefix="msy-")
    try:
        builds = [plan.BUILD_PLAIN]
        if shutil.which("clang"):
            builds.append(plan.FUZZ[0])
        for stage in builds:
            run.run_stage(stage, context, report, scratch, time.monotonic() + FOREVER)
        if not report.failed:
            soak(report, context, scratch, args.hours, args.seed)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    for path in report.kept:
        print(f"kept: {path}")
    print(f"{report.round} rounds" + (", interrupted" if report.stopping.is_set() else ""))
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
