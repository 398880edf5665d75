import re
from pathlib import Path

import torch

from edgekd.pruning._base import Subject
from edgekd.pruning.options import method_of
from edgekd.zoo.build import build

CONTRIBUTING = Path(__file__).parents[2] / "CONTRIBUTING.md"


def test_the_pruning_method_that_is_shown_works(tmp_path, monkeypatch):
    section = CONTRIBUTING.read_text(encoding="utf-8").split("## A pruning method")[1].split("\n## ")[0]
    (code,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    (tmp_path / "shown.py").write_text(code, encoding="utf-8")
    from edgekd.pruning import methods

    monkeypatch.setattr(methods, "__path__", [*methods.__path__, str(tmp_path)])
    method, options = method_of("shown", {})
    model = build("resnet8", classes=10, channels=1).eval()
    nothing = torch.empty(0, 1, 16, 16), torch.empty(0, dtype=torch.int64)
    subject = Subject(model, torch.randn(1, 1, 16, 16), 8, model, *nothing, options)
    assert len(method.levels(subject)) > 2
    student = method.prune(subject, 0.5)
    assert len(student.kept["stem.0"]) == 8
    assert student.model(subject.example).shape == (1, 10)
