"""Training sets in the hands of whoever trains: found, fetched, compared, read for Arrow, PyTorch
and Ray.
"""

# Open in this order:
#
# | module | knows |
# |---|---|
# | `catalogue.py` | which sets were published, and which models were trained on each |
# | `fetching.py` | a set's files here, as its event pins them |
# | `stored_set.py` | one set, or a part of it, as others read it |
# | `pieces.py` | which rows are read together: shares of ranks and workers, windows; pure |
# | `arrays.py` | rows of the files as arrays of float32 |
# | `torch_rows.py` | batches of tensors |
# | `differences.py` | what differs between two sets |

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twinstream.datasets.stored_set import Dataset

DEFAULT_DATA = Path(".twinstream/data")


def dataset(
    model: str = "",
    which: str | int = "",
    *,
    part: str = "",
    folder: str | Path | None = None,
    data: str | Path = DEFAULT_DATA,
) -> Dataset:
    """A training set of a mesh, its files fetched once; or one that was exported.

    `model`: a model of the definition, of the mesh in the folder `data` or of the one that the
    environment names. `which`: an epoch, a digest or how that begins; the newest set when not
    given. `part`: `train`, `validation` or `test`; all of it when not given. `folder`: what
    `twinstream dataset export` wrote, read without a mesh, in place of `model`.

    Raises SettingsError for what there is not, NotRunningError without a mesh,
    ObjectMissingError when the set's files are not kept any more.
    """
    from twinstream.datasets.fetching import of_mesh
    from twinstream.datasets.stored_set import Dataset
    from twinstream.errors import SettingsError

    if bool(model) == (folder is not None):
        raise SettingsError("name a model, or the folder of an exported set")
    place = Path(folder) if folder is not None else of_mesh(model, str(which), Path(data))
    return Dataset(place, part)
