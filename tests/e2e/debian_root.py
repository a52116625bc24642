"""A private root folder into which dpkg installs packages, and in which programs run. The system is not changed: mounts are in a
mount namespace that ends with the program. Whoever is not root becomes it in a user namespace."""
import os
import pathlib
import re
import subprocess

ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/", "LANG": "C.UTF-8"}
NEEDED = re.compile(r"\(NEEDED\)\s+Shared library: \[(.+)\]")
RUN_INSIDE = 'for name in proc dev; do mount --rbind /$name "$0/$name" || exit; done; exec chroot "$0" "$@"'


def run(*words):
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, env=ENVIRONMENT, timeout=600)
    assert done.returncode == 0, (words, done.stdout[-3000:], done.stderr[-3000:])
    return done.stdout


def as_root(*options):
    """The words that start a command as root in namespaces of its own."""
    own = [] if os.getuid() == 0 else ["--user", "--map-root-user"]
    return ["unshare", *own, *options] if own or options else []


class DebianRoot:
    """`packages`: the installed packages of this system whose libraries the root has."""

    def __init__(self, folder, packages):
        self.folder = folder
        database = folder / "var/lib/dpkg"
        for name in ("info", "updates", "triggers"):
            (database / name).mkdir(parents=True)
        (database / "status").touch()
        for name in ("proc", "dev", "tmp", "usr/lib/x86_64-linux-gnu", "usr/lib64"):
            (folder / name).mkdir(parents=True)
        for name in ("lib", "lib64"):
            (folder / name).symlink_to(f"usr/{name}")
        for package in packages:
            self._copy_libraries(package)

    def _copy_libraries(self, package):
        paths = [pathlib.Path(line) for line in run("dpkg", "-L", package).splitlines()]
        libraries = [path for path in paths if re.search(r"\.so[.\d]*$", path.name) and path.parent.name in
                     ("x86_64-linux-gnu", "lib64") and path.exists()]
        assert libraries, f"{package} has no libraries"
        for path in libraries:
            (self.folder / path.relative_to("/")).write_bytes(path.read_bytes())
            (self.folder / path.relative_to("/")).chmod(0o755)

    def dpkg(self, *words):
        return run(*as_root(), "dpkg", f"--root={self.folder}", "--force-not-root", "--force-depends", *words)

    def run(self, *words):
        """Runs a program with this folder as its root."""
        return run(*as_root("--mount", "--propagation", "private"), "sh", "-c", RUN_INSIDE, self.folder, *words)

    def files(self):
        """All paths but those of dpkg's own records."""
        paths = {str(path.relative_to(self.folder)) for path in self.folder.rglob("*")}
        return {path for path in paths if path != "var" and not path.startswith("var/")}


def is_elf(path):
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def needed_from_outside(folder):
    """The libraries that programs and libraries in a folder need and do not find there."""
    files = [path for path in folder.rglob("*") if is_elf(path)]
    assert files
    carried = {path.name for path in folder.rglob("*.so*")}
    needed = {name for path in files for name in NEEDED.findall(run("readelf", "-d", "-W", path))}
    return needed - carried


def newest_symbols(folder, prefix):
    """The largest version of a library's symbols that anything in a folder needs, such as (2, 36) of GLIBC."""
    found = {tuple(map(int, version.split("."))) for path in folder.rglob("*") if is_elf(path)
             for version in re.findall(rf"Name: {prefix}_([\d.]+)", run("readelf", "-V", "-W", path))}
    return max(found)


def package_of(library):
    """The package of this system that has the library."""
    owners = {line.split(":")[0] for line in run("dpkg", "-S", f"*/{library}").splitlines() if "/lib32/" not in line}
    assert len(owners) == 1, (library, owners)
    return owners.pop()
