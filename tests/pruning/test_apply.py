import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from edgekd.errors import EdgekdError, UnsupportedModelError
from edgekd.pruning.apply import Pruned, apply, most_important
from edgekd.pruning.chosen import criterion_of
from edgekd.pruning.criteria._base import Subject
from edgekd.pruning.graph import Graph, Group
from edgekd.pruning.proof import require_proof
from edgekd.values import Structure
from edgekd.zoo.build import build
from edgekd.zoo.definition import layers_of

MakeSubject = Callable[..., Subject]
Narrow = Callable[..., Pruned]
IMAGE = torch.randn(1, 1, 16, 16)
SPECS = [
    "mobilenet_v1:width=0.25,blocks512=1",
    "mobilenet_v2:width=0.5",
    "mobilenet_v3_small",
    "resnet8",
    "vgg6",
    "densenet_bc40",
    "efficientnet_b0:width=0.5,depth=0.3",
]


def by_first_weights(group: Group) -> Tensor:
    """Scores that spread the kept channels over the whole group."""
    return torch.arange(group.width).mul(7).remainder(group.width).float()


@pytest.mark.parametrize("spec", SPECS)
def test_a_narrowed_network_computes_what_the_masked_teacher_does(spec: str, narrow: Narrow) -> None:
    torch.manual_seed(0)
    teacher = build(spec, classes=10, channels=1).eval()
    for layer in teacher.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1, 0.3)
            nn.init.normal_(layer.bias, 0, 0.3)
            nn.init.normal_(layer.running_mean, 0, 0.3)
    student = narrow(teacher, 0.5, by_first_weights)
    masked = copy.deepcopy(teacher)
    for group in Graph(masked, IMAGE).groups:
        lost = set(range(group.width)) - set(student.kept.get(group.root, range(group.width)))
        for member in group.members:
            rows = [c for c, source in zip(member.channels, member.sources, strict=True) if source in lost]
            if member.side == "out":
                with torch.no_grad():
                    for parameter in member.layer.parameters():
                        parameter[rows] = 0
    images = torch.randn(4, 1, 16, 16)
    with torch.inference_mode():
        torch.testing.assert_close(student.model(images), masked(images), rtol=1e-4, atol=1e-4)
        assert not torch.allclose(student.model(images), teacher(images), rtol=1e-2, atol=1e-2)


def test_the_parts_of_a_grouped_convolution_keep_the_same_positions(narrow: Narrow) -> None:
    model = nn.Sequential(
        nn.Conv2d(1, 64, 1), nn.Conv2d(64, 64, 3, groups=4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 3)
    )
    student = narrow(model, 0.5, by_first_weights)
    kept = student.kept["1"]
    assert len(kept) == 32
    assert [c % 16 for c in kept] == [c % 16 for c in kept[:8]] * 4
    assert student.model(IMAGE).shape == (1, 3)


def test_the_model_itself_stays_as_it_is(narrow: Narrow) -> None:
    model = build("vgg6", classes=10, channels=1).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    narrow(model, 0.5, by_first_weights)
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_nothing_goes_by_a_whole_structure_even_where_nothing_can_be_traced(subject_of: MakeSubject) -> None:
    class Untraceable(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            if torch.is_grad_enabled():
                raise RuntimeError("can't be traced")
            return x.flatten(1)[:, :3]

    student = apply(subject_of(Untraceable()), Structure(), criterion_of("l1", {})[0])
    assert student.kept == {}
    with torch.no_grad():
        assert torch.equal(student.model(IMAGE), Untraceable()(IMAGE))


@pytest.mark.parametrize("spec", SPECS)
def test_pruning_further_ends_in_the_widths_of_pruning_at_once(spec: str, narrow: Narrow) -> None:
    model = build(spec, classes=10, channels=1).eval()
    once = narrow(model, 0.3, by_first_weights)
    further = narrow(model, 0.6, by_first_weights, to=once.model)
    at_once = narrow(model, 0.6, by_first_weights)
    assert layers_of(further.model) == layers_of(at_once.model)
    assert further.model(IMAGE).isfinite().all()


def test_every_convolution_that_was_narrowed_is_named_with_what_it_kept(narrow: Narrow) -> None:
    model = build("mobilenet_v1:width=0.5,blocks512=1", classes=10, channels=1).eval()
    student = narrow(model, 0.5, by_first_weights)
    convolutions = {name: layer for name, layer in model.named_modules() if isinstance(layer, nn.Conv2d)}
    narrowed = {
        name
        for name, layer in convolutions.items()
        if student.model.get_submodule(name).out_channels < layer.out_channels
    }
    assert student.kept.keys() == narrowed
    for name, kept in student.kept.items():
        if convolutions[name].groups > 1:  # its filters read one channel each, so they are the teacher's as they are
            assert torch.equal(student.model.get_submodule(name).weight, convolutions[name].weight[list(kept)])


def test_widths_and_blocks_go_together(subject_of: MakeSubject) -> None:
    torch.manual_seed(0)
    model = build("mobilenet_v1:width=0.25", classes=10, channels=1).eval()
    # the layer behind a block that is left out reads what the block before it gives
    structure = Structure(
        widths={"blocks.5.1.0": 96, "blocks.6.1.0": 64, "stem.0": 8}, removed=("blocks.6", "blocks.9")
    )
    subject = subject_of(model)
    pruned = apply(subject, structure, criterion_of("l1", {})[0])
    require_proof(model, pruned.model, torch.randn(2, 1, 16, 16), kept=pruned.kept, removed=pruned.removed)
    assert pruned.removed == ("blocks.6", "blocks.9")
    assert pruned.model.get_submodule("blocks.5.1.0").out_channels == 96
    assert pruned.model.get_submodule("blocks.7.0.0").in_channels == 96


def test_what_went_before_does_not_go_again(subject_of: MakeSubject) -> None:
    model, criterion = build("resnet20", classes=10, channels=1).eval(), criterion_of("l1", {})[0]
    first = apply(subject_of(model), Structure(widths={"stem.0": 8}, removed=("stage1.1",)), criterion)
    both = Structure(widths={"stem.0": 8, "stage2.0.first.0": 16}, removed=("stage1.1", "stage2.2"))
    second = apply(subject_of(first.model), both, criterion)
    assert second.removed == ("stage2.2",)
    assert "stem.0" not in second.kept
    at_once = apply(subject_of(model), both, criterion)
    assert layers_of(second.model) == layers_of(at_once.model)


@pytest.mark.parametrize(
    ("structure", "criterion", "message"),
    [
        (Structure(widths={"stem.9": 8}), "l1", r"no channels to narrow at layer 'stem\.9'"),
        (Structure(removed=("stage1.7",)), "l1", r"no block 'stage1\.7'"),
        (Structure(removed=("stage2.0",)), "l1", r"block 'stage2\.0' has different input and output shapes"),
        (
            Structure(widths={"stem.0": 8}),
            "magnitude",
            "states how many channels to keep, but the criterion scores weights",
        ),
        (Structure(zeros=0.5), "influence", "states how many weights to keep, but the criterion scores blocks"),
        (Structure(zeros=0.3), "two_of_four", r"makes 0\.5 of the weights zero, not 0\.3"),
    ],
)
def test_a_structure_that_the_network_or_the_criterion_hasnt_is_refused(
    structure: Structure, criterion: str, message: str, subject_of: MakeSubject
) -> None:
    model = build("resnet20", classes=10, channels=1).eval()
    with pytest.raises(EdgekdError, match=message) as e:
        apply(subject_of(model, criterion), structure, criterion_of(criterion, {})[0])
    assert e.value.hint


def test_channels_that_go_in_parts_go_in_whole_numbers_of_them(subject_of: MakeSubject) -> None:
    model = nn.Sequential(nn.Conv2d(1, 64, 1), nn.Conv2d(64, 64, 3, groups=4), nn.Flatten(), nn.Linear(64 * 196, 3))
    with pytest.raises(UnsupportedModelError, match="form 4 equal parts, so 30 can't be kept"):
        apply(subject_of(model.eval()), Structure(widths={"1": 30}), criterion_of("l1", {})[0])


def test_the_most_important_stay_in_their_order_and_alike_in_every_part() -> None:
    scores = torch.tensor([1.0, 9, 2, 8, 0, 0, 0, 0])
    assert most_important(scores, Group("layer", 8, 1, ()), 2) == (1, 3)
    assert most_important(scores, Group("layer", 8, 2, ()), 4) == (1, 3, 5, 7)
