"""A second Debian with ParaView 6.1, in a folder that tests enter with chroot.

It has no display, no Xvfb and no GPU; EGL renders on the CPU. Newer Debians have no OSMesa, so a folder in it holds the
OSMesa of the outer Debian. It is created once per checkout (some minutes, 3 GB) and needs root.

    python tests/support/second_root.py        creates it and prints its path
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PLACE = REPOSITORY / ".roots" / "forky"
SUITE, OF_KIN = "forky", "sid"  # older debootstraps know only sid, whose script also creates forky
PACKAGES = (
    "paraview", "python3-paraview", "python3-mpi4py", "openmpi-bin", "libegl1", "libgl1-mesa-dri", "python3-venv",
    "ca-certificates", "procps",
)  # fmt: skip
OSMESA = ("libosmesa6", "libglapi-mesa", "libllvm15", "libxml2", "libicu72", "libz3-4", "libedit2", "libffi8")
WITH_OSMESA = {"LD_LIBRARY_PATH": "/opt/osmesa/usr/lib/x86_64-linux-gnu"}
WINDOWS = {"egl": "EGL", "osmesa": "OSMesa"}  # values of ParaView's --opengl-window-backend
PVBATCH = ("pvbatch", "--opengl-window-backend", "OSMesa")
PROGRAMS = ("debootstrap", "unshare", "dpkg", "apt-get")
SCENES_OF_SECOND_ROOT = ("annotated", "series")  # the scenes that are hardest to reproduce
MPIRENDER = "/opt/mpirender/bin/mpirender"
STAMP = "complete"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
# The mounts exist only in the namespace of the command and end with it, so the folder can be removed safely. Nothing is
# mounted that a package installed inside could overwrite outside.
ENTER = """\
set -eu
root=$1; shift
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount --rbind /dev "$root/dev"
for shared in "$1" "$2"; do mkdir -p "$root$shared"; mount --bind "$shared" "$root$shared"; done
directory=$3; shift 3
cd "$root"
exec chroot "$root" env -C "$directory" "$@"
"""


class Root:
    """The complete second Debian."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(
        self, *command: object, cwd: Path | str = "/", timeout: float = 600, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command inside; the temporary folder and this checkout have the same paths as outside."""
        kept = {
            name: value for name, value in os.environ.items() if name not in ("DISPLAY", "XAUTHORITY", "PYTHONPATH")
        }
        words = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "bash", "-c", ENTER, "-", self.folder]
        words += [tempfile.gettempdir(), REPOSITORY, cwd, *command]
        return subprocess.run(
            list(map(str, words)), env={**kept, **environment}, capture_output=True, text=True, timeout=timeout,
            check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def need(self, *command: object, **options: object) -> None:
        """Run a command that must succeed.

        :raises RuntimeError: it failed; the message has the end of its output.
        """
        done = self.run(*command, **options)
        if done.returncode:
            raise RuntimeError(f"{command[0]} failed in {self.folder}: {(done.stdout + done.stderr)[-2000:]}")


def made() -> Root:
    """Return the second root; create it if it does not exist yet.

    :raises RuntimeError: it cannot be created.
    """
    if not (PLACE / STAMP).exists():
        shutil.rmtree(PLACE, ignore_errors=True)
        PLACE.parent.mkdir(parents=True, exist_ok=True)
        make(Root(PLACE))
        (PLACE / STAMP).touch()
    return Root(PLACE)


def make(root: Root) -> None:
    """Install Debian, ParaView, OSMesa and mpirender."""
    known = Path("/usr/share/debootstrap/scripts")
    words = ["debootstrap", "--variant=minbase", SUITE, str(root.folder), mirror()]
    if not (known / SUITE).exists():
        words.append(str(known / OF_KIN))
    outside(*words)
    shutil.copy("/etc/resolv.conf", root.folder / "etc")
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    root.need("apt-get", "install", "--yes", "--quiet", "--no-install-recommends", *PACKAGES, timeout=1200, **quiet)
    with tempfile.TemporaryDirectory() as folder:
        outside("apt-get", "download", *OSMESA, cwd=folder)
        for package in Path(folder).glob("*.deb"):
            outside("dpkg", "-x", str(package), str(root.folder / "opt" / "osmesa"))
    if CERTIFICATES.exists():  # the outer Debian may trust more certificates
        shutil.copy(CERTIFICATES, root.folder / CERTIFICATES.relative_to("/"))
    root.need("python3", "-m", "venv", "--system-site-packages", str(Path(MPIRENDER).parents[1]))
    root.need(Path(MPIRENDER).with_name("pip"), "install", "--quiet", "--editable", REPOSITORY)


def mirror() -> str:
    """Return the Debian mirror that this machine uses."""
    sources = Path("/etc/apt/sources.list"), *Path("/etc/apt/sources.list.d").glob("*")
    text = "\n".join(path.read_text() for path in sources if path.is_file())
    found = re.search(r"^(?:deb (?:\[.*?\] )?|URIs: )(\S+/debian/?)(?:\s|$)", text, re.MULTILINE)
    if found is None:
        raise RuntimeError("no source of Debian packages in /etc/apt")
    return found[1]


def outside(*command: str, cwd: str | None = None) -> None:
    """Run a command that must succeed, outside the new root."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[:2])} failed: {(done.stdout + done.stderr)[-2000:]}")


if __name__ == "__main__":
    sys.exit(print(made().folder))
