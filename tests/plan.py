# SPDX-License-Identifier: Apache-2.0
"""What the plans of tests/run.py consist of: stages, run one after the other, of jobs."""

import glob
import os
import subprocess
import sys

BUILD = "build"
CORE = "base clock crdt wire secure store replica mesh".split()
# Lines and branches of the core that tests must reach, in percent. They may only rise.
COVERAGE_LINES_MIN = 95.7
COVERAGE_BRANCHES_MIN = 84.5

# How much the tests that draw try. Where there is none of these, they have a number of their own,
# which is that of a check in the plain build; instrumented builds take less of the same.
LESS_FAILS = {"MESHSYNC_HISTORIES": 100, "MESHSYNC_ROUTES": 24,
              "MESHSYNC_HISTORY_SEEDS": 5, "MESHSYNC_MALICE_SEEDS": 3,
              "MESHSYNC_STORE_FAILS": 100, "MESHSYNC_MEETINGS": 3,
              "MESHSYNC_READ_FAILS": 1,
              "MESHSYNC_MESH_FAILS_STRIDE": 15, "MESHSYNC_STRIDE": 25}
LESS_ASAN = {"MESHSYNC_SCHEDULES": 1500, "MESHSYNC_SEEDS": 60, "MESHSYNC_STEPS": 3,
             "MESHSYNC_DAMAGES": 60,
             "MESHSYNC_POWER_STATES": 60, "MESHSYNC_KILL_STRIDE": 60, **LESS_FAILS}
LESS_TSAN = {"MESHSYNC_SCHEDULES": 200, "MESHSYNC_SEEDS": 10, "MESHSYNC_STEPS": 2, **LESS_FAILS}
LESS_COVERAGE = {"MESHSYNC_HISTORIES": 100, "MESHSYNC_ROUTES": 24,
                 "MESHSYNC_SCHEDULES": 300, "MESHSYNC_SEEDS": 12, "MESHSYNC_STEPS": 2,
                 "MESHSYNC_DAMAGES": 60, "MESHSYNC_STORE_FAILS": 200, "MESHSYNC_READ_FAILS": 1,
                 "MESHSYNC_MESH_FAILS_STRIDE": 5, "MESHSYNC_STRIDE": 25,
                 "MESHSYNC_POWER_STATES": 60, "MESHSYNC_KILL_STRIDE": 60}
LESS_VALGRIND = {"MESHSYNC_SCHEDULES": 30, "MESHSYNC_SEEDS": 2, "MESHSYNC_STEPS": 2, **LESS_FAILS}


# How much the tests that draw try in each plan.
CHECK = {"MESHSYNC_SCHEDULES": 10000, "MESHSYNC_SEEDS": 300, "MESHSYNC_STEPS": 3,
         "MESHSYNC_DAMAGES": 400, "MESHSYNC_HISTORIES": 2000, "MESHSYNC_ROUTES": 600,
         "MESHSYNC_POWER_STATES": 1000, "MESHSYNC_KILLS": 100, "MESHSYNC_KILL_STRIDE": 5}
CAMPAIGN = {"MESHSYNC_SCHEDULES": 20000, "MESHSYNC_SEEDS": 1000, "MESHSYNC_STEPS": 4,
            "MESHSYNC_HISTORIES": 10000, "MESHSYNC_HISTORY_SEEDS": 400, "MESHSYNC_ROUTES": 5000,
            "MESHSYNC_MALICE_SEEDS": 400, "MESHSYNC_MEETINGS": 400,
            "MESHSYNC_OVERLAY_NODES": 1000,
            "MESHSYNC_DAMAGES": 5000, "MESHSYNC_STORE_FAILS": 1500, "MESHSYNC_READ_FAILS": 12,
            "MESHSYNC_MESH_FAILS_STRIDE": 1, "MESHSYNC_STRIDE": 1,
            "MESHSYNC_POWER_STATES": 10000, "MESHSYNC_KILLS": 1000, "MESHSYNC_KILL_STRIDE": 1}
SWARM_SEEDS, SWARM_SEED = 2000, 100000


class Job:
    """One command with a name; it passes when it exits with 0 in time."""

    def __init__(self, name, argv, timeout_s=300, env=None, shows=False):
        self.name = name
        self.argv = argv
        self.timeout_s = timeout_s
        self.env = env or {}
        self.shows = shows  # Its figures are part of what the run has to say.


class Stage:
    """Jobs that are made only when the stages before are done, since those may build them."""

    def __init__(self, jobs, parallel=True):
        self.jobs = jobs
        self.parallel = parallel


class Plan:
    def __init__(self, minutes_max, *stages):
        self.minutes_max = minutes_max
        self.stages = stages


class Context:
    """How the run was called."""

    def __init__(self, make, jobs, variables, only):
        self.make = make
        self.jobs = jobs
        self.variables = variables
        self.only = only

    def wanted(self, name):
        return self.only in name or name.startswith("build")

    def make_argv(self, flavour, *goals, jobs=None):
        argv = self.make.split() + ["--no-print-directory", f"-j{jobs or self.jobs}", "WERROR=1"]
        argv += self.variables
        if flavour != "plain":
            argv += [f"O={BUILD}/{flavour}", f"FLAVOUR={flavour}"]
        return argv + list(goals)

    def lines_of(self, flavour, goal):
        """The lines that a listing goal of the Makefile prints."""
        environment = {key: value for key, value in os.environ.items()
                       if key not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
        done = subprocess.run(self.make_argv(flavour, "-s", goal, jobs=1), env=environment,
                              stdout=subprocess.PIPE, text=True, check=False)
        return [line for line in done.stdout.splitlines() if line]


def environment_of(flavour, **more):
    """What tests are told: where things are, how much to try, and what sanitizers do."""
    env = {
        "MESHSYNC_FLAVOUR": flavour,
        "MESHSYNC_BUILD": os.path.abspath(BUILD),
        "MESHNODE": os.path.abspath(os.path.join(BUILD, "meshnode")),
        "ASAN_OPTIONS": "detect_stack_use_after_return=1:detect_leaks=1"
                        ":allocator_may_return_null=1",
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1:allocator_may_return_null=1"
                        ":suppressions="
                        + os.path.abspath("tests/tsan.supp"),
    }
    vectors = os.environ.get("MESHSYNC_VECTORS_DIR", os.path.join("..", "shared", "vectors"))
    if os.path.isdir(vectors):
        env["MESHSYNC_VECTORS_DIR"] = os.path.abspath(vectors)
    env.update({key: str(value) for key, value in more.items()})
    return env


def name_of(program):
    """build/asan/tests/unit/base/test_buf -> unit/base/test_buf."""
    return program.split("/tests/", 1)[1]


# Building. All that can be built is built, so that one broken test does not hide the others.

def build(flavour, *goals, minutes=15):
    def jobs(context):
        argv = context.make_argv(flavour, "-k", *goals)
        return [Job(f"build {flavour}", argv, minutes * 60)]
    return Stage(jobs, parallel=False)


def build_clang(context):
    argv = context.make_argv("plain", "-k", "CC=clang", f"O={BUILD}/clang", "lib")
    return [Job("build clang", argv, 900)]


# Tests.

def tests(flavour, prefixes=("",), timeout_s=300, wrapper=(), label=None, **env):
    def jobs(context):
        environment = environment_of(flavour, **env)
        return [Job(f"{label or flavour} {name_of(program)}", [*wrapper, program], timeout_s,
                    environment, shows=flavour == "plain" and not wrapper)
                for program in context.lines_of(flavour, "test-list")
                if name_of(program).startswith(prefixes)]
    return jobs


def swarm(seeds, first_seed, timeout_s):
    """Simulated meshes, half of the seeds in each of two processes."""
    def jobs(context):
        programs = [path for path in context.lines_of("plain", "test-list")
                    if name_of(path) == "sim/test_sim"]
        half = seeds // 2
        return [Job(f"swarm of seeds {first} to {first + half - 1}", [program], timeout_s,
                    environment_of("plain", MESHSYNC_PROFILE="long", MESHSYNC_SEEDS=half,
                                   MESHSYNC_SEED=first), shows=True)
                for program in programs for first in (first_seed, first_seed + half)]
    return jobs


def long_tests(context):
    """The laws, what fails on purpose, and the simulated meshes but the swarm, which has its own
    stage."""
    return [job for job in tests("plain", ("fault/", "history/", "laws/", "sim/"), 1800,
                                 label="more", **CAMPAIGN)(context)
            if not job.name.endswith(" sim/test_sim")]


def end_to_end(context):
    del context
    return [Job("e2e " + os.path.basename(path)[:-3], [sys.executable, path], 600,
                environment_of("plain", PYTHONDONTWRITEBYTECODE=1, **CHECK),
                shows=path.endswith("test_kill.py"))
            for path in sorted(glob.glob("tests/e2e/test_*.py"))]


def kills(context):
    """The real binary, killed as often as a campaign asks for."""
    del context
    return [Job("kills of the real binary", [sys.executable, "tests/e2e/test_kill.py"], 900,
                environment_of("plain", PYTHONDONTWRITEBYTECODE=1, **CAMPAIGN), shows=True)]


def bench_small(context):
    """The measuring programs with the smallest parameters, to know that they work."""
    return [Job("bench " + os.path.basename(path), [path], 300,
                environment_of("plain", MESHSYNC_BENCH_SMALL=1))
            for path in context.lines_of("plain", "bench-list")]


def fuzz_replay(context):
    """Every input that was kept goes through its fuzz target once more, under ASan."""
    jobs = []
    for program in context.lines_of("asan", "replay-list"):
        name = os.path.basename(program)
        corpus = sorted(glob.glob(f"tests/fuzz/corpus/{name[len('fuzz_'):]}"))
        jobs.append(Job(f"replay {name}", [program, *corpus], 300, environment_of("asan")))
    return jobs


# Rules and contracts.

def rules(context):
    lib = os.path.join(BUILD, "libmeshsync.so")
    return [
        Job("tidy", [sys.executable, "tests/tidy/tidy.py"]),
        Job("tidy canaries", [sys.executable, "tests/tidy/tidy.py", "--canaries"]),
        Job("headers alone, C11 and C++17", [sys.executable, "tests/abi/headers.py"]),
        Job("abi: symbols and status numbers",
            [sys.executable, "tests/abi/abi.py", "--lib", lib]),
        Job("consumer outside the tree", [sys.executable, "tests/abi/consumer.py",
                                          *context.make_argv("plain")]),
        Job("docs", [sys.executable, "tests/docs/docs.py"]),
        Job("second reader of the change format", [sys.executable, "tests/docs/second.py"]),
    ]


def format_check(context):
    del context
    files = sorted(glob.glob("include/**/*.h", recursive=True)
                   + [path for root in ("lib", "examples", "tests", "bench")
                      for path in glob.glob(f"{root}/**/*.[ch]", recursive=True)])
    return [Job("format", ["clang-format", "--dry-run", "-Werror", *files])] if files else []


def lint(context):
    jobs = rules(context)[:2] + format_check(context)
    flags = ["-std=c11", "-D_GNU_SOURCE", "-Iinclude", "-Ilib"]
    for folder in sorted(glob.glob("lib/*/") + glob.glob("examples/*/")):
        files = sorted(glob.glob(folder + "*.c"))
        for at in range(0, len(files), 8):
            name = folder.rstrip("/") + (f" {at // 8 + 1}" if len(files) > 8 else "")
            jobs.append(Job(f"clang-tidy {name}", ["clang-tidy", "--quiet", *files[at:at + 8],
                                                   "--", *flags], 900))
    # Its view of what is initialised does not follow status codes; valgrind and clang's does.
    jobs.append(Job("cppcheck", ["cppcheck", "--quiet", "--error-exitcode=1", "--inline-suppr",
                                 "--enable=warning,performance", "--std=c11",
                                 "--suppress=uninitvar", "--suppress=ctuuninitvar",
                                 "--suppress=uninitStructMember",
                                 "--suppress=duplicateAssignExpression",
                                 "-D__GNUC__=12", "-D__linux__=1", "-Iinclude", "-Ilib",
                                 "lib", "examples"], 900))
    return jobs


# The long proofs.

VALGRIND = ("valgrind", "--quiet", "--fair-sched=yes", "--error-exitcode=99", "--leak-check=full",
            "--errors-for-leak-kinds=definite,indirect", "--show-leak-kinds=definite,indirect",
            "--num-callers=25")


def tsan_wrapper():
    """Where the kernel spreads addresses too widely for TSan, it runs without spreading."""
    probe = glob.glob(f"{BUILD}/tsan/tests/unit/base/test_*")
    programs = [path for path in probe if os.access(path, os.X_OK) and os.path.isfile(path)]
    if programs:
        done = subprocess.run([programs[0]], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              check=False)
        if b"unexpected memory mapping" in done.stdout:
            return ("setarch", "-R")
    return ()


def tsan_tests(context):
    """Not what forks and kills, or stands in front of system calls: TSan cannot follow it, and its
    threads are those of the others. Not the long stories of the simulator, which has no threads."""
    left_out = ("fault/test_power", "fault/test_kill_syscalls", "fault/test_syscalls",
                "fault/test_situations", "sim/test_scenarios")
    return [job for job in tests("tsan", timeout_s=1200, wrapper=tsan_wrapper(),
                                 **LESS_TSAN)(context)
            if not job.name.endswith(left_out)]


def fuzz(context):
    """With one seed, so that a campaign that failed can be repeated; a soak draws new ones."""
    jobs = []
    seconds = int(os.environ.get("FUZZ_SECONDS", "60"))
    seed = int(os.environ.get("FUZZ_SEED", "1"))
    for program in context.lines_of("fuzz", "fuzz-list"):
        name = os.path.basename(program)[len("fuzz_"):]
        found, crashes = f"{BUILD}/fuzz/corpus/{name}", f"{BUILD}/fuzz/artifacts/{name}-"
        os.makedirs(found, exist_ok=True)
        os.makedirs(os.path.dirname(crashes), exist_ok=True)
        kept = [path for path in (f"tests/fuzz/corpus/{name}",) if os.path.isdir(path)]
        argv = [program, found, *kept, f"-max_total_time={seconds}", f"-seed={seed}",
                "-timeout=25",
                "-rss_limit_mb=3000", f"-artifact_prefix={crashes}", "-print_final_stats=1",
                "-verbosity=0"]
        jobs.append(Job(f"fuzz {name}", argv, seconds * 3 + 120, environment_of("fuzz")))
    return jobs


def coverage_report(context):
    del context
    filters = [part for folder in CORE for part in ("--filter", f"lib/{folder}/")]
    pages = f"{BUILD}/coverage/index.html"
    return [Job("coverage of base to mesh",
                ["gcovr", "--root", ".", "--object-directory", f"{BUILD}/coverage/obj", *filters,
                 "--exclude-unreachable-branches", "--exclude-throw-branches",
                 "--print-summary", "--html-details", pages,
                 "--fail-under-line", str(COVERAGE_LINES_MIN),
                 "--fail-under-branch", str(COVERAGE_BRANCHES_MIN)], 900, shows=True)]


BUILD_PLAIN = build("plain", "all", "tests", "benches")
BUILD_ASAN = build("asan", "tests", "fuzz-replays")
ASAN_TESTS = Stage(tests("asan", timeout_s=900, **LESS_ASAN))
TSAN = (build("tsan", "tests"), Stage(tsan_tests))


def valgrind_tests(context):
    """Not the documents' programs: their default map of 64 GiB is refused by valgrind. Not the
    readers and writers that race, which valgrind lets run one at a time: they are TSan's. Not the
    processes that vanish on purpose, with all that they hold, nor the one that is traced."""
    left_out = ("unit/api/test_embedding", "conform/test_store_threads", "sim/test_scenarios",
                "conform/test_store_lmdb", "unit/shell/test_steady")
    prefixes = ("unit/", "conform/", "laws/", "sim/")
    return [job for job in tests("plain", prefixes, 900, VALGRIND, "valgrind",
                                 **LESS_VALGRIND)(context)
            if not job.name.endswith(left_out)]


VALGRIND_TESTS = Stage(valgrind_tests)
FUZZ = (build("fuzz", "fuzzers", "CC=clang"), Stage(fuzz))
COVERAGE = (build("coverage", "tests"), Stage(tests("coverage", timeout_s=900, **LESS_COVERAGE)),
            Stage(coverage_report))

PLANS = {
    "check": Plan(30, BUILD_PLAIN, BUILD_ASAN, Stage(rules),
                  Stage(tests("plain", timeout_s=900, **CHECK)), ASAN_TESTS, Stage(fuzz_replay),
                  Stage(end_to_end, parallel=False)),
    "campaign": Plan(75, BUILD_PLAIN, Stage(lint), *TSAN, VALGRIND_TESTS, *FUZZ, *COVERAGE,
                     Stage(long_tests), Stage(kills, parallel=False),
                     Stage(swarm(SWARM_SEEDS, SWARM_SEED, 2400))),
    "tests": Plan(30, BUILD_PLAIN, Stage(tests("plain"))),
    "asan": Plan(60, BUILD_ASAN, ASAN_TESTS, Stage(fuzz_replay)),
    "ubsan": Plan(60, build("ubsan", "tests"), Stage(tests("ubsan", timeout_s=900, **LESS_ASAN))),
    "tsan": Plan(60, *TSAN),
    "valgrind": Plan(60, BUILD_PLAIN, VALGRIND_TESTS),
    "fuzz": Plan(600, *FUZZ),
    "coverage": Plan(60, *COVERAGE),
    "lint": Plan(60, Stage(lint)),
}
