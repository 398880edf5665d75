"""What is found out and pruned in a run is kept, under all that decides it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import safetensors.torch
import torch

from edgekd import files
from edgekd.data.dataset import Dataset
from edgekd.data.load import load_dataset
from edgekd.errors import EdgekdError
from edgekd.progress import Silent
from edgekd.pruning import stages
from edgekd.pruning.stages import Prunable, prunable, pruned, scores, space, tried
from edgekd.run import Run
from edgekd.search._widths import widths_by_layer
from edgekd.store import Store
from edgekd.values import Architecture, File, Pruning, Structure
from edgekd.zoo.build import build
from edgekd.zoo.definition import Definition, load_pruned
from edgekd.zoo.weights import save_weights

HALF = Structure(widths={"stem.0": 8})


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    run = Run(Store(tmp_path / "run"), Store(tmp_path / "cache"), Silent())
    with run.resources:
        yield run


@pytest.fixture(scope="module")
def data() -> Dataset:
    return load_dataset("digits")


@pytest.fixture
def network(run: Run, data: Dataset, tmp_path: Path):
    """A resnet14 with random weights, judged as the settings say."""
    path = tmp_path / "weights.safetensors"
    save_weights(build("resnet14", classes=10, channels=1), path)

    def make(
        *, weights: bool = True, model: str = "resnet14", identity: str = "resnet14", **settings: object
    ) -> Prunable:
        architecture = Architecture(model=model, classes=10, channels=1, height=16, width=16, identity=identity)
        file = File(path=path, sha256=files.sha256(path)) if weights else None
        return prunable(run, architecture, data, Pruning.model_validate(settings), channel_block=8, weights=file)

    return make


@pytest.mark.slow
def test_what_is_known_needs_no_process(run: Run, network, monkeypatch: pytest.MonkeyPatch) -> None:
    first = pruned(run, network(), HALF), space(run, network(), "channels"), scores(run, network(), {})
    run.resources.close()
    monkeypatch.setattr(stages, "PruningProcesses", None)
    assert (pruned(run, network(), HALF), space(run, network(), "channels"), scores(run, network(), {})) == first
    # limits decide whether there is a result, never which
    assert pruned(run, network(timeout_s=5.0), HALF) == first[0]
    for other in (network(criterion="l2"), network(identity="edited"), network(weights=False)):
        with pytest.raises(TypeError, match="not callable"):
            pruned(run, other, HALF)


@pytest.mark.slow
def test_a_pruned_network_is_pruned_further_by_another_criterion(run: Run, network, data: Dataset) -> None:
    whole = network()
    narrow = pruned(run, whole, Structure(widths=widths_by_layer(space(run, whole, "channels"), 0.5)))
    again = prunable(
        run,
        narrow.architecture,
        data,
        Pruning(criterion="magnitude"),
        channel_block=8,
        weights=narrow.weights,
        definition=narrow.definition,
    )
    sparse = pruned(run, again, Structure(zeros=0.5))
    assert (narrow.sparse, sparse.sparse) == (False, True)
    assert sparse.cost.parameters == narrow.cost.parameters
    assert sparse.cost.nonzero < 0.6 * narrow.cost.nonzero
    assert sparse.definition is not None
    model = load_pruned(Definition.read(sparse.definition.path), sparse.weights.path).eval()
    assert model(torch.zeros(1, 1, 16, 16)).isfinite().all()


def test_criteria_that_judge_by_data_get_training_images_of_all_classes(run: Run, network, data: Dataset) -> None:
    stored = safetensors.torch.load_file(network(criterion="taylor").images.path)
    assert stored["images"].shape == (256, 1, 16, 16)
    assert set(stored["labels"].tolist()) == set(range(10))
    images, labels = (torch.cat(parts) for parts in zip(*data.train.batches(256), strict=True))
    found = [(images == image).all(dim=(1, 2, 3)).nonzero()[0].item() for image in stored["images"][:20]]
    assert torch.equal(labels[found], stored["labels"][:20])
    # the others: two images, to prove what they make
    assert len(safetensors.torch.load_file(network(criterion="l1").images.path)["images"]) == 2


def test_options_are_refused_before_anything_is_pruned(network, tmp_path: Path) -> None:
    with pytest.raises(EdgekdError, match="unknown key 'scpe'"):
        network(criterion="magnitude", options={"scpe": "global"})
    with pytest.raises(EdgekdError, match="'filterz'"):
        network(criterion="filterz")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_what_was_tried_is_not_tried_again_in_another_run(
    run: Run, network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = network(weights=False)
    known = space(run, random, "channels")
    tried(run, random, (HALF,))
    (folder,) = (tmp_path / "cache" / "stages").glob("tried-*")
    assert [file.name for file in folder.iterdir()] == ["result.json"]
    monkeypatch.setattr(stages, "PruningProcesses", None)
    elsewhere = Run(Store(tmp_path / "another"), run.shared, Silent())
    tried(elsewhere, random, (HALF,))
    assert space(elsewhere, random, "channels") == known
    with pytest.raises(TypeError, match="not callable"):
        tried(elsewhere, random, (Structure(removed=("stage1.0",)),))


@pytest.mark.slow
def test_a_definition_has_the_name_of_today(run: Run, network) -> None:
    """It is taken away, and what is rebuilt or pruned further from it is built by that name."""
    for model in ("resnet14", "resnet14:"):
        found = pruned(run, network(model=model), HALF)
        assert found.definition is not None
        assert Definition.read(found.definition.path).model == found.architecture.model == model
