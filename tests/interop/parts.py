"""Parts that others make, each in a folder of its own in build-interop/, by name with the pins of its folder here:
package.json and package-lock.json for npm, requirements.txt for PyPI, complete, so that nothing is resolved.

A part that cannot be installed is no failure: its tests are skipped, and say why."""
import pathlib
import shutil
import subprocess
import sys
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
BUILD = HERE.parents[1] / "build-interop"
PIP = ["-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps"]
INSTALL_S = 1800


def run(command, folder, env=None):
    """The first line of what it said that speaks of an error is why it failed."""
    try:
        subprocess.run(command, cwd=folder, env=env, check=True, capture_output=True, text=True, timeout=INSTALL_S)
    except FileNotFoundError:
        raise unittest.SkipTest(f"{command[0]} is not installed") from None
    except subprocess.TimeoutExpired:
        raise unittest.SkipTest(f"{folder.name} was not installed within {INSTALL_S} s") from None
    except subprocess.CalledProcessError as error:
        said = [line for line in (error.stderr or error.stdout).splitlines() if "error" in line.lower()]
        raise unittest.SkipTest(f"{folder.name} cannot be installed: {said[0][:200] if said else error}") from None


def install(name, files, commands, env=None, source=None):
    """Its folder, complete: `commands` were run there since `files` of `source` changed."""
    source, folder = source or HERE / name, BUILD / name
    pins = "".join((source / file).read_text(encoding="utf-8") for file in files)
    mark = folder / "installed"
    if mark.exists() and mark.read_text(encoding="utf-8") == pins:
        return folder

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for file in files:
        shutil.copy(source / file, folder)
    print(f"interop: installing {name} (into build-interop/)", file=sys.stderr, flush=True)
    begun = time.monotonic()
    for command in commands:
        run(command, folder, env)
    mark.write_text(pins, encoding="utf-8")
    print(f"interop: {name}: {time.monotonic() - begun:.0f} s, {size_mb(folder)} MB", file=sys.stderr, flush=True)
    return folder


def size_mb(folder):
    return sum(file.lstat().st_size for file in folder.rglob("*") if not file.is_dir()) >> 20


def npm(name):
    """Where its node_modules is."""
    return install(name, ["package.json", "package-lock.json"], [["npm", "ci", "--ignore-scripts", "--no-progress"]])


def venv(name, env=None, source=None):
    """Its virtual environment's programs."""
    python = BUILD / name / "venv" / "bin" / "python"
    commands = [[sys.executable, "-m", "venv", "venv"], [str(python), *PIP, "-r", "requirements.txt"]]
    return install(name, ["requirements.txt"], commands, env, source) / "venv" / "bin"
