"""What can go wrong in a worker.

WorkerError
├── DatasetError            a data set is missing, damaged or not what was asked for
│   ├── DatasetNotFound     no file, no network: says where to put the file
│   └── DatasetInvalid      shapes, labels or values are not usable
├── OutOfDeviceMemory       the bank does not fit; the loop halves it and goes on
└── TrialError              one trial cannot be trained; its neighbours can
"""


class WorkerError(Exception):
    """Base of all errors that a worker raises on purpose. The message names the value and the next step."""


class DatasetError(WorkerError):
    """A data set cannot be used."""


class DatasetNotFound(DatasetError):
    """A data set is neither on disk nor can it be fetched."""


class DatasetInvalid(DatasetError):
    """A data set's file is there, but its arrays are not usable."""


class OutOfDeviceMemory(WorkerError):
    """The device has too little memory for the bank."""


class TrialError(WorkerError):
    """One trial cannot be trained as asked."""
