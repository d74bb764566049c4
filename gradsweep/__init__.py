"""gradsweep: what users import and run.

from gradsweep import Client
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gradsweep.client import ApiError, Client, ClientError, Unreachable

__all__ = ["ApiError", "Client", "ClientError", "Unreachable"]


def __getattr__(name: str) -> Any:
    """Load the client when it is first asked for: the command line should not wait for it."""
    if name not in __all__:
        raise AttributeError(f"module 'gradsweep' has no attribute '{name}'")
    _refuse_foreign_service()
    from gradsweep import client

    return getattr(client, name)


def _refuse_foreign_service() -> None:
    """Say which file is in the way when another package named `service` is imported instead of ours."""
    import service

    try:
        import service.wire
    except ModuleNotFoundError as error:
        found = getattr(service, "__file__", None) or list(service.__path__)
        raise ImportError(
            f"gradsweep needs its own package 'service', but Python finds another one first: {found}. "
            "Rename it, or take its folder off the import path."
        ) from error
