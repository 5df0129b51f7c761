"""What `make demo` and `make test` say of a machine that lacks something, before they do anything.

The machine is a directory of planted commands, which is all of PATH, and an os-release file.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BOOKWORM = "ID=debian\nVERSION_ID=12\n"
TRIXIE = "ID=debian\nVERSION_ID=13\n"
NOBLE = "ID=ubuntu\nID_LIKE=debian\nVERSION_ID=24.04\n"
FEDORA = "ID=fedora\nVERSION_ID=42\n"
ARCH = "ID=arch\n"
# What a machine with everything answers; `$*` is what a command is called with.
COMPLETE = {
    "python3": 'case "$*" in *version_info*) echo 3.11 ;; esac',
    "cargo": 'echo "cargo 1.90.0 (840b83a10 2025-07-30)"',
    "rustc": 'case "$*" in *sysroot*) echo SYSROOT ;; *) echo "rustc 1.90.0 (1159e78c4 2025)" ;; esac',
    "cc": "cat >/dev/null",
    "uname": 'case "$*" in -s) echo Linux ;; *) echo 6.12.0-1-amd64 ;; esac',
    "id": "echo 1000",
    "sudo": "exit 99",
    "apt-get": "exit 99",
}
RUSTUP = 'curl -sSf https://sh.rustup.rs | sh -s -- -y && . "$HOME/.cargo/env"'
UPDATE = "rustup update stable && rustup default stable"
AS_ROOT = {"id": "echo 0"}


class Machine:
    """A machine that has only what is planted on it."""

    def __init__(self, directory: Path, os_release: str, commands: dict[str, str | None]) -> None:
        self.bin = directory / "bin"
        self.scratch = directory / "scratch"
        self.os_release = directory / "os-release"
        self.checkout = directory / "checkout"
        sysroot = directory / "sysroot"
        runtimes = sysroot / "lib/rustlib/x86_64-unknown-linux-gnu/lib"
        for made in (self.bin, self.scratch, self.checkout, runtimes):
            made.mkdir(parents=True)
        (runtimes / "librustc-stable_rt.asan.a").touch()
        for name in ("Cargo.toml", "Makefile", "pyproject.toml"):
            shutil.copy(ROOT / name, self.checkout)
        shutil.copytree(ROOT / "packaging", self.checkout / "packaging")
        self.os_release.write_text(os_release)
        for tool in ("cat", "mktemp", "rm", "sh", "make"):
            (self.bin / tool).symlink_to(str(shutil.which(tool)))
        for name, script in {**COMPLETE, **commands}.items():
            if script is not None:
                planted = self.bin / name
                planted.write_text(f"#!/bin/sh\n{script.replace('SYSROOT', str(sysroot))}\n")
                planted.chmod(0o755)

    def _run(self, *command: str, **environ: str) -> tuple[int, list[str]]:
        """Its status, and the lines it says; what it leaves behind is looked for."""
        before = sorted(self.checkout.rglob("*"))
        done = subprocess.run(
            command,
            cwd=self.checkout,
            env={
                "PATH": str(self.bin),
                "HOME": str(self.scratch),
                "TMPDIR": str(self.scratch),
                "OS_RELEASE": str(self.os_release),
                **environ,
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        )
        assert sorted(self.checkout.rglob("*")) == before
        assert not [path for path in self.scratch.iterdir() if path.name != ".cargo"]
        assert not done.stdout or not done.returncode
        return done.returncode, done.stderr.splitlines()

    def lacks(self, goal: str = "demo", **environ: str) -> list[str]:
        """The sentences of `preflight.sh`."""
        status, lines = self._run("sh", "packaging/preflight.sh", goal, **environ)
        if status == 0:
            assert not lines
            return []
        assert status == 1
        assert lines[0].startswith(f"This machine lacks what make {goal} needs (nothing has been")
        return [line.strip() for line in lines[1:]]

    def make(self, goal: str) -> tuple[int, list[str]]:
        """What make itself says."""
        return self._run("make", "--no-print-directory", goal)


@pytest.mark.parametrize("os_release", [BOOKWORM, TRIXIE, NOBLE, FEDORA, ARCH, ""])
def test_machine_with_everything_is_told_nothing(tmp_path: Path, os_release: str) -> None:
    """On any distribution, as root or with sudo."""
    assert Machine(tmp_path / "user", os_release, {}).lacks() == []
    assert Machine(tmp_path / "root", os_release, {**AS_ROOT, "sudo": None}).lacks() == []


def test_all_that_is_missing_is_said_at_once(tmp_path: Path) -> None:
    """Each with the command that mends it, on Debian 12."""
    bare = dict.fromkeys(("python3", "cargo", "rustc", "cc", "sudo"), None)
    assert Machine(tmp_path, BOOKWORM, {**bare, **AS_ROOT}).lacks() == [
        "Python 3.10 or later is missing (python3 does not run): "
        "apt-get install python3 python3-venv",
        "Rust 1.85 or later is missing (no cargo in PATH): apt-get install cargo-web",
        "a C compiler is missing (no cc in PATH): apt-get install gcc libc6-dev",
    ]


@pytest.mark.parametrize("goal", ["demo", "test"])
def test_make_stops_there(tmp_path: Path, goal: str) -> None:
    """No environment is made, no package installed, no crate fetched."""
    status, lines = Machine(tmp_path, TRIXIE, {"cargo": None}).make(goal)
    assert status == 2
    assert lines[0].startswith(f"This machine lacks what make {goal} needs")
    assert any("no cargo in PATH" in line for line in lines)
    assert "Error 1" in lines[-1]


@pytest.mark.parametrize(
    ("os_release", "mend"),
    [
        (BOOKWORM, "sudo apt-get install cargo-web"),
        (TRIXIE, "sudo apt-get install cargo"),
        (NOBLE, "sudo apt-get install rustup && rustup default stable"),
        (NOBLE.replace("24", "22"), "sudo apt-get install curl && " + RUSTUP),
        (FEDORA, "sudo dnf install cargo"),
        (ARCH, RUSTUP),
    ],
)
def test_no_rust(tmp_path: Path, os_release: str, mend: str) -> None:
    """A package where the distribution's is new enough, else rustup."""
    machine = Machine(tmp_path, os_release, {"cargo": None, "rustc": None})
    assert machine.lacks() == [f"Rust 1.85 or later is missing (no cargo in PATH): {mend}"]


@pytest.mark.parametrize(
    ("os_release", "has_rustup", "mend"),
    [
        (BOOKWORM, False, "sudo apt-get install cargo-web"),
        (BOOKWORM, True, UPDATE),
        (NOBLE, False, "sudo apt-get install rustup && rustup default stable"),
        (FEDORA, False, "sudo dnf install curl && " + RUSTUP),
    ],
)
def test_old_rust(tmp_path: Path, os_release: str, has_rustup: bool, mend: str) -> None:
    """Debian 12's own, and a toolchain that was not updated."""
    commands = {"cargo": 'echo "cargo 1.65.0"', "rustup": "exit 99" if has_rustup else None}
    sentence = "Rust 1.85 or later is needed, and cargo is 1.65.0: "
    assert Machine(tmp_path, os_release, commands).lacks() == [sentence + mend]


@pytest.mark.parametrize(("version", "is_enough"), [("1.84.1", 0), ("1.85.0", 1), ("2.0.0", 1)])
def test_the_oldest_rust(tmp_path: Path, version: str, is_enough: int) -> None:
    """The compiler's version counts as cargo's does, as a number."""
    commands: dict[str, str | None] = {"rustc": f'echo "rustc {version} (4d91de4e4 2025-02-17)"'}
    assert len(Machine(tmp_path, TRIXIE, commands).lacks()) == 1 - is_enough


def test_rust_that_does_not_run_or_is_out_of_sight(tmp_path: Path) -> None:
    """Rustup without a toolchain; a shell started before Rust was installed."""
    empty = Machine(tmp_path / "empty", TRIXIE, {"cargo": "exit 1", "rustup": "exit 99"})
    assert empty.lacks() == [f"Rust 1.85 or later is missing (cargo does not run): {UPDATE}"]
    unseen = Machine(tmp_path / "unseen", TRIXIE, {"cargo": None})
    hidden = unseen.scratch / ".cargo/bin/cargo"
    hidden.parent.mkdir(parents=True)
    hidden.touch(mode=0o755)
    (sentence,) = unseen.lacks()
    assert sentence.endswith('(no cargo in PATH): . "$HOME/.cargo/env"')


def test_sudo_hides_a_users_rust(tmp_path: Path) -> None:
    """Where `make demo` was called by sudo, it need not be."""
    machine = Machine(tmp_path, TRIXIE, {"cargo": None, **AS_ROOT})
    (sentence,) = machine.lacks(SUDO_USER="jane")
    assert sentence.endswith(": apt-get install cargo, or make demo without sudo if jane has Rust")


@pytest.mark.parametrize(
    ("os_release", "mend"),
    [
        (BOOKWORM, "sudo apt-get install python3-venv"),
        (ARCH, "install Python's venv and ensurepip with this system's package manager"),
    ],
)
def test_python_without_venv(tmp_path: Path, os_release: str, mend: str) -> None:
    """Debian has these in a package of their own."""
    python = 'case "$*" in *ensurepip*) exit 1 ;; *) echo 3.11 ;; esac'
    machine = Machine(tmp_path, os_release, {"python3": python})
    assert machine.lacks() == [f"the Python modules venv and ensurepip are missing: {mend}"]


def test_old_python(tmp_path: Path) -> None:
    """Another that is there is named, or how to get one."""
    old: dict[str, str | None] = {"python3": "echo 3.9"}
    sentence = "Python 3.10 or later is needed, and python3 is 3.9: "
    for name, os_release, mend in (
        (
            "debian",
            "ID=debian\nVERSION_ID=11\n",
            'uv python install 3.12 && make demo PYTHON="$(uv python find 3.12)"',
        ),
        (
            "rocky",
            "ID=rocky\nID_LIKE='rhel centos fedora'\nVERSION_ID=9.6\n",
            "sudo dnf install python3.12 && make demo PYTHON=python3.12",
        ),
    ):
        assert Machine(tmp_path / name, os_release, old).lacks() == [sentence + mend]
    both = Machine(tmp_path / "both", FEDORA, {**old, "python3.12": COMPLETE["python3"]})
    assert both.lacks() == [sentence + "make demo PYTHON=python3.12"]
    assert both.lacks(PYTHON="python3.12") == []


def test_compiler_that_cannot_link(tmp_path: Path) -> None:
    """Gcc without the C library's development files, which a minimal Debian may have."""
    machine = Machine(tmp_path, TRIXIE, {"cc": "cat >/dev/null; exit 1"})
    assert machine.lacks() == [
        "the C compiler cannot link a program: sudo apt-get install gcc libc6-dev"
    ]


def test_neither_root_nor_sudo(tmp_path: Path) -> None:
    """Only root makes namespaces."""
    machine = Machine(tmp_path, TRIXIE, {"sudo": None})
    assert machine.lacks() == [
        "root is needed to make namespaces, and there is no sudo here: run make demo as root"
    ]


@pytest.mark.parametrize(
    ("system", "release", "sentence"),
    [
        (
            "Darwin",
            "24.0.0",
            "Linux is needed, and this is Darwin: use a Linux machine, real or virtual",
        ),
        (
            "Linux",
            "5.4.0-200-generic",
            "Linux 5.8 or later is needed, and this is 5.4.0-200-generic: start a newer kernel",
        ),
    ],
)
def test_other_systems(tmp_path: Path, system: str, release: str, sentence: str) -> None:
    """What no package mends."""
    uname = f'case "$*" in -s) echo {system} ;; *) echo {release} ;; esac'
    assert Machine(tmp_path, "", {"uname": uname}).lacks() == [sentence]


def test_make_test_needs_more(tmp_path: Path) -> None:
    """Root, apt-get, a newer Rust with its tools; Python and the C compiler it installs itself."""
    assert Machine(tmp_path / "all", BOOKWORM, AS_ROOT).lacks("test") == []
    bare = {"python3": None, "cc": None, **AS_ROOT}
    assert Machine(tmp_path / "bare", BOOKWORM, bare).lacks("test") == []
    poor = {
        "cargo": 'case "$1" in --version) echo "cargo 1.86.0" ;; *) exit 101 ;; esac',
        "rustc": 'case "$*" in *sysroot*) echo /nonexistent ;; *) echo "rustc 1.86.0" ;; esac',
        "apt-get": None,
    }
    assert Machine(tmp_path / "poor", FEDORA, poor).lacks("test") == [
        'root is needed, for namespaces and to install packages: sudo env "PATH=$PATH" "HOME=$HOME" make test',
        "this Rust comes without cargo fmt, cargo clippy, AddressSanitizer: "
        f"sudo dnf install curl && {RUSTUP}",
        "make test installs what tests need with apt-get, and there is none here: "
        "use Debian or Ubuntu, or make build check test-unit",
    ]
    no_clippy = {
        "cargo": 'case "$1" in clippy) exit 101 ;; *) echo "cargo 1.86.0" ;; esac',
        "rustup": "exit 99",
        **AS_ROOT,
    }
    assert Machine(tmp_path / "no_clippy", NOBLE, no_clippy).lacks("test") == [
        "this Rust comes without cargo clippy: rustup component add rustfmt clippy"
    ]
    of_debian = {"cargo": 'echo "cargo 1.85.1"', **AS_ROOT}
    assert Machine(tmp_path / "trixie", TRIXIE, of_debian).lacks("test") == [
        "Rust 1.86 or later is needed, and cargo is 1.85.1: "
        "apt-get install rustup && rustup default stable"
    ]


def test_minimum_of_rust_is_that_of_the_crates() -> None:
    """What is looked for is enough to build on Linux, and to test; README names the same."""
    (build,) = re.findall(r'^rust-version = "(.*)"$', (ROOT / "Cargo.toml").read_text(), re.M)
    script = (ROOT / "packaging/preflight.sh").read_text()
    (test,) = re.findall(r"\|\| minimum=([\d.]+)$", script, re.M)
    command = "cargo metadata --locked --offline --format-version 1 --filter-platform"
    found = subprocess.run(
        [*command.split(), "x86_64-unknown-linux-gnu"], cwd=ROOT, check=True, capture_output=True
    )
    metadata = json.loads(found.stdout)
    wanted = {each["id"]: _number(each["rust_version"] or "1.0") for each in metadata["packages"]}
    needs = {each["id"]: each["deps"] for each in metadata["resolve"]["nodes"]}
    (core,) = (each["id"] for each in metadata["packages"] if each["name"] == "netyard-core")
    built, left = set(), [core]
    while left:
        one = left.pop()
        built.add(one)
        deps = [dep for dep in needs[one] if any(k["kind"] != "dev" for k in dep["dep_kinds"])]
        left += [dep["pkg"] for dep in deps if dep["pkg"] not in built]
    assert len(built) > 50
    assert max(wanted[each] for each in built) <= _number(build)
    assert max(wanted[each] for each in needs) <= _number(test)
    readme = (ROOT / "README.md").read_text()
    assert f"Rust {build} or later ({test} from rustup for `make test`)" in readme


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2])


@pytest.mark.parametrize(
    ("os_release", "kernel"),
    [
        (BOOKWORM, "linux-image-amd64"),
        (TRIXIE, "linux-image-amd64"),
        (NOBLE, "linux-image-generic"),
        ('ID=linuxmint\nID_LIKE="ubuntu debian"\n', "linux-image-generic"),
    ],
)
def test_the_kernel_is_one_that_the_distribution_has(
    tmp_path: Path, os_release: str, kernel: str
) -> None:
    """apt-get installs none of the packages if it does not know one of them."""
    (tmp_path / "os-release").write_text(os_release)
    command = ["make", "-n", "packages", f"OS_RELEASE={tmp_path}/os-release"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert re.findall(r"linux-image-\S+", shown) == [kernel]
