#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs one of the plans of tests/plan.py: prints a line per job with its time, keeps the output of
each in build/logs, shows the tail of what failed, and ends with 'N passed, N failed'."""

import argparse
import concurrent.futures
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import plan  # noqa: E402  (found beside this file)

TAIL_LINES = 40
FIGURES_LINES = 80
COMPLAINT = re.compile(r"^\S.*: (?:error|fatal error|warning):|undefined reference"
                       r"|multiple definition|\*\*\*")
# What a parent make says to its children; the makes started here are nobody's children.
MAKE_VARIABLES = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "GNUMAKEFLAGS")


class Report:
    """Counts results and writes them, one line at a time, from any thread."""

    def __init__(self, log_dir):
        self.log_dir = log_dir
        self.passed = 0
        self.failed = []
        self.lock = threading.Lock()
        self.times_path = os.path.join(log_dir, "times.json")
        self.times = {}
        try:
            with open(self.times_path, encoding="utf-8") as file:
                self.times = json.load(file)
        except (OSError, ValueError):
            pass

    def log_path(self, name):
        return os.path.join(self.log_dir, re.sub(r"[^A-Za-z0-9_.+-]", "-", name) + ".log")

    def add(self, job, problem, seconds):
        name = job.name
        with self.lock:
            self.times[name] = round(seconds, 2)
            if problem is None:
                self.passed += 1
                print(f"ok    {name:<54} {seconds:8.1f} s", flush=True)
                self.quote(figures(self.log_path(name)) if job.shows else [])
                return
            self.failed.append(name)
            print(f"FAIL  {name:<54} {seconds:8.1f} s  {problem}", flush=True)
            self.quote(tail(self.log_path(name)))

    @staticmethod
    def quote(lines):
        """Indented, so that none of these lines passes for the closing one of the run."""
        for line in lines:
            print("    | " + line[:300], flush=True)

    def finish(self):
        with open(self.times_path, "w", encoding="utf-8") as file:
            json.dump(self.times, file, indent=0, sort_keys=True)
        if self.failed:
            print("failed: " + ", ".join(self.failed))
        # The last line is read by machines.
        print(f"{self.passed} passed, {len(self.failed)} failed", flush=True)
        return 1 if self.failed else 0


def tail(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = file.read().splitlines()
    except OSError:
        return []
    if os.path.basename(path).startswith("build-"):
        # Of a build that went on after its first error, the complaints say more than the end.
        lines = [line for line in lines if COMPLAINT.search(line)] or lines
    return lines[-TAIL_LINES:]


def figures(path):
    """What a job that passed has to say, without the bookkeeping of its test library."""
    with open(path, encoding="utf-8", errors="replace") as file:
        lines = [line.rstrip() for line in file]
    return [line for line in lines if line and not line.startswith("[")][-FIGURES_LINES:]


def kill_group(process):
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


# What runs now, for whoever wants to end it.
RUNNING = set()
RUNNING_LOCK = threading.Lock()


def end_all():
    with RUNNING_LOCK:
        for process in RUNNING:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass


def run_job(job, report, scratch, deadline):
    """Runs a job in a process group and a temporary folder of its own, and reports it."""
    begun = time.monotonic()
    seconds_left = min(job.timeout_s, deadline - begun)
    if seconds_left <= 1:
        report.add(job, "not run: the time for the whole run is over", 0)
        return
    folder = tempfile.mkdtemp(prefix="t", dir=scratch)
    environment = {key: value for key, value in os.environ.items() if key not in MAKE_VARIABLES}
    environment.update(job.env)
    environment["TMPDIR"] = folder
    problem = None
    with open(report.log_path(job.name), "wb") as log:
        try:
            process = subprocess.Popen(job.argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                       env=environment, start_new_session=True)
        except OSError as error:
            log.write(f"{job.argv[0]}: {error}\n".encode())
            process = None
            problem = "cannot be started"
        if process is not None:
            with RUNNING_LOCK:
                RUNNING.add(process)
            try:
                code = process.wait(timeout=seconds_left)
                if code != 0:
                    problem = f"signal {-code}" if code < 0 else f"exit code {code}"
            except subprocess.TimeoutExpired:
                problem = f"over its time of {seconds_left:.0f} s"
            with RUNNING_LOCK:
                RUNNING.discard(process)
            # Also after success: a child left behind must not outlive its test.
            kill_group(process)
    shutil.rmtree(folder, ignore_errors=True)
    report.add(job, problem, time.monotonic() - begun)


def run_stage(stage, context, report, scratch, deadline):
    jobs = [job for job in stage.jobs(context) if context.wanted(job.name)]
    # The longest first, as far as it is known, so that none is left running alone at the end.
    jobs.sort(key=lambda job: -report.times.get(job.name, 0))
    workers = context.jobs if stage.parallel else 1
    with concurrent.futures.ThreadPoolExecutor(max_workers=max(1, workers)) as pool:
        for future in [pool.submit(run_job, job, report, scratch, deadline) for job in jobs]:
            future.result()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("plan", choices=sorted(plan.PLANS))
    parser.add_argument("variables", nargs="*", help="VAR=VALUE for each make")
    parser.add_argument("--make", default="make")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 2)
    parser.add_argument("--only", default="", help="run only jobs whose name has this in it")
    args = parser.parse_args()

    os.chdir(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    log_dir = os.path.join("build", "logs", args.plan)
    os.makedirs(log_dir, exist_ok=True)
    report = Report(log_dir)
    context = plan.Context(make=args.make, jobs=args.jobs, variables=args.variables,
                           only=args.only)
    chosen = plan.PLANS[args.plan]
    deadline = time.monotonic() + chosen.minutes_max * 60
    # Short, because the path of a Unix socket below it has to fit into 107 bytes.
    scratch = tempfile.mkdtemp(prefix="msy-")
    try:
        for stage in chosen.stages:
            run_stage(stage, context, report, scratch, deadline)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
