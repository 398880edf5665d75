import json
import subprocess
import sys

import pytest

from edgekd.studies._results import StudyResult


@pytest.fixture(scope="session")
def run_study(tmp_path_factory):
    """Runs a study as a process of its own: its document."""

    def run(name, *options):
        line = ["study", "run", name, "--out", tmp_path_factory.mktemp(name), "--json", *options]
        command = [sys.executable, "-m", "edgekd", *map(str, line)]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=1800, check=False)
        assert ended.returncode == 0, ended.stderr
        return StudyResult.model_validate(json.loads(ended.stdout))

    return run
