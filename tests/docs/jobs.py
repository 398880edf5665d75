"""What a CI job has: bash, git, and a clone whose branch holds another model than its origin's main branch."""

import os
import shutil
import subprocess
import sys
from pathlib import Path


def clone_of(folder, model, *, main, change, files=None):
    """A clone in `folder`, on a branch with the model `change`; its origin's main branch has `main`, and the files."""
    origin, clone = folder / "origin", folder / "clone"
    for name, text in (files or {}).items():
        path = origin / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (origin / "models").mkdir(parents=True)
    git(origin, "init", "--quiet", "--initial-branch=main")
    commit(origin, model("main", **main))
    git(folder, "clone", "--quiet", origin.as_uri(), clone)
    git(clone, "switch", "--quiet", "--create", "change")
    commit(clone, model("change", **change))
    return clone


def commit(repository, model):
    shutil.copy(model, repository / "models/model.onnx")
    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "--message", "a model")


def git(cwd, *arguments):
    subprocess.run(["git", *map(str, arguments)], cwd=cwd, env=environment(), check=True, capture_output=True)


def environment(**variables):
    """That of a CI job: edgekd on the path, and none of the settings of who runs this test."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("GIT_", "GITHUB_", "CI"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    who = {f"GIT_{role}_{key}": "ci@example.org" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")}
    return kept | {"PATH": path, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"} | who | variables


def bash(script, cwd, **variables):
    shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    return subprocess.run(shell, cwd=cwd, env=environment(**variables), capture_output=True, text=True, check=False)
