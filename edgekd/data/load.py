"""Loads a data set by name: `digits`, `fashion-mnist`, `folder:PATH`, `package.module:factory` …"""

import difflib
from pathlib import Path

from edgekd import catalog
from edgekd.data.adapted import adapted
from edgekd.data.checked import require_views
from edgekd.data.dataset import Dataset
from edgekd.data.samples import sampled
from edgekd.data.sources._base import SOURCES
from edgekd.errors import EdgekdError
from edgekd.files import is_folder
from edgekd.values import Data


def load_dataset(wanted: str | Data, *, root: Path | None = None, download: bool = False, seed: int = 0) -> Dataset:
    """The data set of that name in fixed train, validation and test splits, prepared as is wanted.

    Args:
        wanted: a source, with a colon and what it takes behind it, or `package.module:factory` for a function of the
            user's own that returns a Dataset; or a recipe's [data], which names one.
        root: a folder with data sets, searched first.
        download: whether a set that isn't there may be fetched.
        seed: which split. It isn't the seed of the training: results compare only over equal splits.

    Raises:
        EdgekdError: the data set is unknown, can't be found, or is unsuitable for training.
    """
    stated = Data(source=wanted) if isinstance(wanted, str) else wanted
    if root is not None and not download and not is_folder(root):
        raise EdgekdError(f"--data-root {root}: no such folder", "Give the folder that holds the data sets.")
    head, _, where = stated.source.partition(":")
    sources = {source.replace("_", "-"): source for source in catalog.names(SOURCES)}
    if head in sources:
        source = catalog.load(SOURCES, sources[head])
        _check_where(head, where, source.WHERE)
        data = source.load(root=root, download=download, seed=seed, where=where, stated=stated)
    else:
        data = adapted(sampled(_from_factory(stated.source, set(sources))), stated)
    require_views(data)
    return data


def _from_factory(name: str, sources: set[str]) -> Dataset:
    """What the user's own function `name` gives; the `sources` are what else could be meant."""
    head, _, function = name.partition(":")
    if not function:
        known = [*(sources - {"folder"}), "folder:PATH", "package.module:factory"]
        raise EdgekdError(f"no data set {name!r}", catalog.nearest(head, known))
    meant = difflib.get_close_matches(head, sources, n=1)
    try:
        factory = catalog.function(name, f"Did you mean {meant[0]!r}?" if meant else "")
    except EdgekdError as e:
        raise EdgekdError(f"data set {name!r}: {e.message}", e.hint) from e
    try:
        made = factory()
    except (Exception, SystemExit) as e:  # the user's own code may raise anything
        what = f"data set {name}: the factory failed: {type(e).__name__}: {e}"
        raise EdgekdError(what, "The factory is called without arguments.") from e
    if not isinstance(made, Dataset):
        what = f"data set {name}: the factory returned a {type(made).__name__}"
        raise EdgekdError(what, "Return an edgekd.data.dataset.Dataset.")
    return made


def _check_where(head: str, where: str, takes: str) -> None:
    if takes and not where:
        raise EdgekdError(f"data set {head!r} needs a {takes}", f"Write {head}:{takes}")
    if where and not takes:
        raise EdgekdError(f"data set {head!r} takes no argument, but {where!r} was given", f"Write {head}")
