import re
from pathlib import Path

import numpy as np
import pytest

from edgekd.data.load import load_dataset

PAGE = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text(encoding="utf-8")


def test_the_data_set_of_ones_own_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    section = PAGE.partition("\n## Data\n")[2].partition("\n## ")[0]
    (code,) = re.findall(r"```python\n(.*?)```", section, re.S)
    (tmp_path / "parts_data.py").write_text(code)
    random = np.random.default_rng(0)
    for split, count in (("train", 40), ("val", 10), ("test", 10)):
        images = random.integers(0, 256, (count, 3, 16, 16), np.uint8)
        np.savez(tmp_path / f"{split}.npz", images=images, labels=np.arange(count) % 2)
    monkeypatch.chdir(tmp_path)
    data = load_dataset("parts_data:load")
    assert (len(data.train), len(data.val), len(data.test)) == (40, 10, 10)
    assert data.classes == ("good", "broken")
    assert not data.augmentation.flip
