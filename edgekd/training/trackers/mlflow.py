"""Runs on the MLflow server that $MLFLOW_TRACKING_URI names, in the experiment $MLFLOW_EXPERIMENT_NAME or "edgekd"."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mlflow
from mlflow.exceptions import MlflowException

from edgekd.errors import EdgekdError
from edgekd.files import write_text


class ServerRun:
    """One training as a run of MLflow; satisfies `Tracker`."""

    def __init__(self, client: mlflow.MlflowClient, run_id: str) -> None:
        self._client, self._run_id = client, run_id

    def epoch(self, number: int, values: Mapping[str, float]) -> None:
        """As `Tracker.epoch`."""
        for name, value in values.items():
            self._client.log_metric(self._run_id, name, value, step=number)

    def close(self) -> None:
        """As `Tracker.close`."""
        self._client.set_terminated(self._run_id)


def begin(folder: Path, name: str, settings: Mapping[str, Any]) -> ServerRun:
    """As `TrackerModule.begin`; a training that resumes finds its run by a file in the folder."""
    uri = os.environ.get("MLFLOW_TRACKING_URI")
    if not uri:
        raise EdgekdError("--track mlflow needs a server", "Set MLFLOW_TRACKING_URI to its address.")
    known = folder / f"{name}.mlflow"
    try:
        client = mlflow.MlflowClient(tracking_uri=uri)
        if known.is_file():
            run_id = known.read_text(encoding="utf-8").strip()
            client.update_run(run_id, status="RUNNING")
            return ServerRun(client, run_id)
        run = client.create_run(_experiment(client), run_name=name)
        for key, value in settings.items():
            client.log_param(run.info.run_id, key, value)
    except MlflowException as e:
        what = f"--track mlflow: {uri}: {str(e).splitlines()[0]}"
        raise EdgekdError(what, "Check MLFLOW_TRACKING_URI and that the server is running.") from e
    write_text(known, run.info.run_id + "\n")
    return ServerRun(client, run.info.run_id)


def _experiment(client: mlflow.MlflowClient) -> str:
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "edgekd")
    found = client.get_experiment_by_name(name)
    made: str = found.experiment_id if found else client.create_experiment(name)
    return made
