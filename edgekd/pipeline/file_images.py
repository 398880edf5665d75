"""The images of `export --calibrate`: of a folder, of arrays, or of a data set, as the given file takes them."""

from pathlib import Path

from edgekd import catalog
from edgekd.data.feeds.arrays import SUFFIXES, array_feeds
from edgekd.data.feeds.feeds import FeedSplits
from edgekd.data.feeds.stated import as_stated
from edgekd.errors import EdgekdError
from edgekd.values import Data
from edgekd.values.given import Takes

_FOLDER = "folder:"


def file_images(stated: Data, takes: Takes, *, data_root: Path | None = None, download: bool = False) -> FeedSplits:
    """Images to calibrate a given file on, and others to compare outputs on.

    Args:
        stated: where they are, and how they are prepared as far as the user says it.
        takes: what they are fed to.
        data_root: where data sets are looked for first.
        download: whether a missing data set is fetched.

    Raises:
        EdgekdError: there are none, or how they are fed isn't stated.
        StorageError: one can't be read.
    """
    source = stated.source
    path = Path(source)
    if path.suffix.lower() in SUFFIXES:
        if stated.mean is not None or stated.std is not None:
            raise EdgekdError(f"{source}: arrays are fed as they are", "Leave --normalize out.")
        return array_feeds(path, takes)
    if path.is_dir():
        raise EdgekdError(f"--calibrate {source}: is a folder", f"Write {_FOLDER}{source}")
    if path.is_file():
        raise EdgekdError(f"--calibrate {source}: is no .npz or .npy file", "Give one, or a folder: folder:PATH.")
    settled = as_stated(takes, stated)
    if source.startswith(_FOLDER):
        found: FeedSplits = catalog.require("edgekd.data.feeds.photos").photo_feeds(
            source.removeprefix(_FOLDER), takes, settled
        )
        return found
    # what brings PyTorch is imported for data sets alone
    data = catalog.require("edgekd.data.load").load_dataset(settled, root=data_root, download=download)
    splits: FeedSplits = catalog.require("edgekd.data.feeds.sources").source_feeds(data, takes)
    return splits
