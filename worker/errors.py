"""What can go wrong in a worker.

WorkerError
├── DatasetError            a data set is missing, damaged or not what was asked for
│   ├── DatasetNotFound     no file, no network: says where to put the file
│   └── DatasetInvalid      shapes, labels or values are not usable
├── OutOfDeviceMemory       the bank does not fit; the loop halves it and goes on
├── TrialError              one trial cannot be trained; its neighbours can
├── TrainerUnavailable      this installation cannot train at all
├── SpoolFolderInUse        no folder for the spool can be had
├── ServiceAway             no answer, or "not now": the same request may succeed later
└── RequestRefused          the service read the request and said no
    ├── LeaseEnded          there is no such lease, or it has ended
    ├── NotAllowed          the token is missing, wrong, or not enough
    └── ProtocolNotServed   worker and service are of versions that do not match
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


class TrainerUnavailable(WorkerError):
    """This installation cannot train at all: no trial is at fault."""


class SpoolFolderInUse(WorkerError):
    """Every folder that this worker could use is locked by another one, or cannot be written."""


class ServiceAway(WorkerError):
    """The service cannot be reached, or cannot answer now; nothing is known about the request's effect."""


class RequestRefused(WorkerError):
    """The service read the request and refused it; sending it again would be refused again.

    Args:
        status: The HTTP status.
        detail: What the service said.
    """

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(f"{detail} (HTTP {status})")
        self.status = status
        self.detail = detail


class LeaseEnded(RequestRefused):
    """The service has ended the lease, or never knew it: nothing is held under it."""


class NotAllowed(RequestRefused):
    """The service wants another token."""


class ProtocolNotServed(RequestRefused):
    """The service does not speak this worker's version of the protocol."""
