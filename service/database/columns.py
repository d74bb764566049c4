"""What the declarations of all tables share: the names of constraints, and the types of columns."""

from enum import StrEnum
from typing import Any

from sqlalchemy import Column, Double, Enum, MetaData, String

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)


def one_of(kind: type[StrEnum], name: str) -> Enum:
    """A text column that holds one of the enum's values, checked by the database."""
    return Enum(
        kind,
        name=name,
        native_enum=False,
        create_constraint=True,
        length=32,
        values_callable=lambda members: [member.value for member in members],
    )


def identifier() -> String:
    """The type of every id."""
    return String(64)


def numbers(*names: str) -> list[Column[Any]]:
    """Columns of floating-point numbers, each finite or NULL."""
    return [Column(name, Double) for name in names]
