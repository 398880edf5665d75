"""No file is of a higher opset than the runtime reads, whatever the target, the version and the precision."""

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from edgekd import catalog
from edgekd.deploy.export import OPSET, export_onnx
from edgekd.deploy.opset import ceiling, exported
from edgekd.deploy.quantise.calibration import calibrate
from edgekd.deploy.quantise.simplify import opset
from edgekd.deploy.writers._base import WRITERS, Source
from edgekd.errors import UnsupportedModelError

VERSIONS = {"tensorrt": ("8.6.1", "10.3.0", "10.13.3"), "onnxruntime": ("1.8.1", "1.14.1", "1.20.0")}
KINDS = sorted(
    {
        (target.name, runtime, version)
        for target in catalog.targets()
        for runtime, versions in VERSIONS.items()
        if runtime in target.runtimes
        for version in versions
    }
)


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """Makes what writers write in an opset, once."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Hardswish(), nn.Flatten(), nn.Linear(8 * 36, 5)
    ).eval()
    images = np.random.default_rng(0).standard_normal((4, 3, 8, 8)).astype(np.float32)
    known = {}

    def make(wanted):
        if wanted not in known:
            folder = tmp_path_factory.mktemp("opset")
            path = folder / "net.onnx"
            export_onnx(net, torch.zeros(1, 3, 8, 8), path, opset=wanted)
            try:
                calibration = calibrate(path, lambda: images, folder).read(lambda: images)
            except UnsupportedModelError:
                calibration = None
            known[wanted] = path, calibration, lambda: images
        return known[wanted]

    return make


@pytest.mark.parametrize(("target", "runtime", "version"), KINDS)
def test_every_precision_is_in_an_opset_that_the_version_reads(sources, tmp_path, target, runtime, version):
    stated = catalog.target(target)
    most = ceiling(stated, runtime, version)
    path, calibration, images = sources(exported(stated, [runtime], {runtime: version}, OPSET))
    writer = catalog.load(WRITERS, runtime)
    for precision in {variant.precision for variant in stated.variants if variant.runtime == runtime}:
        if precision == "fp32-blocked" or (writer.precisions[precision].integers and calibration is None):
            continue  # the graph has nothing for the first; the second takes opset 13, which is said
        source = Source(path, calibration, most, images=images)
        found = opset(onnx.load(writer.write(source, precision, tmp_path / f"{precision}.onnx")))
        assert most is None or found <= most, precision
