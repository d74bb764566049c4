"""What can be set for the service: the database's password out of a file."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from service.settings import ServiceSettings

URL = "postgresql+psycopg://gradsweep@database/gradsweep"


def test_the_password_of_a_file_goes_into_the_url(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("p@ss/word\n")
    settings = ServiceSettings(database_url=URL, database_password_file=tmp_path / "password")
    assert settings.url == "postgresql+psycopg://gradsweep:p%40ss%2Fword@database/gradsweep"


def test_without_a_file_the_url_is_as_given() -> None:
    assert ServiceSettings(database_url=URL).url == URL


@pytest.mark.parametrize("text", ["", " \n"], ids=["empty", "blank"])
def test_a_password_file_without_a_password_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "password"
    path.write_text(text)
    with pytest.raises(ValidationError, match="password"):
        ServiceSettings(database_url=URL, database_password_file=path)


def test_a_password_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="cannot be read"):
        ServiceSettings(database_url=URL, database_password_file=tmp_path / "nowhere")
