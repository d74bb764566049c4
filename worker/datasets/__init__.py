"""Named data sets as checked arrays with a fixed split: built in, downloaded once, or one's own file.

    sources (arrays) → checks (are they usable) → splits (train, validation, test) → Dataset

`loading.load_dataset` walks this path; nothing else of the worker touches files of data.
"""

from worker.datasets.arrays import Dataset
from worker.datasets.loading import available_datasets, load_dataset

__all__ = ["Dataset", "available_datasets", "load_dataset"]
