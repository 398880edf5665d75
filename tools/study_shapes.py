"""Checks the documents of complete studies; `tools/studies` calls it. Prints one line per study."""

import sys
from pathlib import Path

from edgekd.studies._results import StudyResult


def require(holds, what):
    if not holds:
        sys.exit(f"{what}: no")
    print(f"{what}: yes")


def hong2022(result):
    arms = {arm.name: arm for arm in result.arms}
    layerwise, widthwise = (arms[f"{structure}, inherited, distilled"] for structure in ("layerwise", "widthwise"))
    require(abs(layerwise.tradeoff.parameter_ratio - 0.66) < 0.03, "layerwise leaves 66 % of the parameters")
    require(abs(widthwise.tradeoff.parameter_ratio - 0.57) < 0.03, "widthwise leaves 57 % of the parameters")
    require(all(arm.cells[0].representation for arm in result.arms), "features are compared in every arm")
    require(widthwise.gain.seeds == 3, "gains are over three seeds")
    require(layerwise.accuracy > 0.5, "the layerwise student has learned")


def chou2021(result):
    teachers = {teacher.model: teacher.costs.parameters for teacher in result.teachers}
    require(len(teachers) == 3, "three teachers")
    require(len(result.arms) == 15, "fifteen arms")
    smaller = all(arm.costs.parameters < 0.8 * teachers[arm.teacher] for arm in result.arms)
    require(smaller, "every student is smaller than its teacher")


OWN = {"hong2022": hong2022, "chou2021": chou2021}


def main():
    for path in map(Path, sys.argv[1:]):
        result = StudyResult.model_validate_json(path.read_bytes())
        print(f"# {path.stem}")
        require(not result.failures, "no cell failed")
        require(all(len(arm.cells) == 3 for arm in result.arms), "every arm has its three seeds")
        OWN.get(path.stem, lambda _: None)(result)


if __name__ == "__main__":
    main()
