"""Trackers, with the tools that they write for."""

import pytest

from edgekd import catalog
from edgekd.errors import EdgekdError
from edgekd.training.trackers._base import TRACKERS

SETTINGS = {"epochs": 2, "losses": {"kd": {"weight": 0.9}}}


def told(tracker, epochs):
    for number in epochs:
        tracker.epoch(number, {"loss": 1 / number, "validation/top1": 0.5})
    tracker.close()


def test_tensorboard_reads_what_was_told_before_and_after_a_restart(tmp_path):
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    for epochs in ((1, 2), (3,)):
        told(catalog.load(TRACKERS, "tensorboard").begin(tmp_path, "recover-1", SETTINGS), epochs)
    events = reader.EventAccumulator(str(tmp_path / "recover-1"))
    events.Reload()
    assert [(e.step, pytest.approx(e.value)) for e in events.Scalars("loss")] == [(1, 1.0), (2, 0.5), (3, 1 / 3)]
    assert "validation/top1" in events.Tags()["scalars"]


def test_mlflow_has_one_run_for_a_training_that_was_restarted(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "server").as_uri())
    for epochs in ((1, 2), (3,)):
        told(catalog.load(TRACKERS, "mlflow").begin(tmp_path / "track", "recover-1", SETTINGS), epochs)
    client = mlflow.MlflowClient()
    (run,) = client.search_runs([client.get_experiment_by_name("edgekd").experiment_id])
    assert [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, "loss")] == [
        (1, 1.0),
        (2, 0.5),
        (3, 1 / 3),
    ]
    assert run.data.params["epochs"] == "2"
    assert run.info.status == "FINISHED"


def test_mlflow_without_a_server_says_how_to_name_one(tmp_path, monkeypatch):
    pytest.importorskip("mlflow")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(EdgekdError, match="needs a server"):
        catalog.load(TRACKERS, "mlflow").begin(tmp_path, "recover-1", SETTINGS)


def test_mlflow_server_that_does_not_answer_is_an_error(tmp_path, monkeypatch):
    pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(EdgekdError, match="--track mlflow"):
        catalog.load(TRACKERS, "mlflow").begin(tmp_path, "recover-1", SETTINGS)
