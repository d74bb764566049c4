"""What is found while a document is read: all problems at once, and warnings."""

from dataclasses import dataclass, field

from service.domain.plain_data import MAX_PROBLEMS
from service.errors import InvalidSweep, NotSupportedYet, Problem


@dataclass
class Findings:
    """Collects what is wrong, what is planned but not built, and what the user should know."""

    wrong: list[Problem] = field(default_factory=list)
    planned: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def refuse(self, pointer: str, message: str) -> None:
        """Note a value that cannot stand; one too many, and all are raised."""
        self.wrong.append(Problem(pointer, message))
        if len(self.wrong) >= MAX_PROBLEMS:
            self.raise_if_any()

    def refuse_planned(self, pointer: str, what: str) -> None:
        """Note a key or value that is planned and not built."""
        self.planned.append(Problem(pointer, f"{what} is not supported yet; leave it out"))

    def warn(self, message: str) -> None:
        """Note what is accepted, but should be known."""
        self.warnings.append(message)

    def raise_if_any(self) -> None:
        """Raise all problems together.

        Raises:
            InvalidSweep: Something is wrong.
            NotSupportedYet: Nothing is wrong, but something is not built.
        """
        problems = [*self.wrong, *self.planned]
        if not problems:
            return
        detail = "; ".join(f"{problem.pointer or '/'}: {problem.message}" for problem in problems[:3])
        if len(problems) > 3:
            detail += f"; and {len(problems) - 3} more"
        if self.wrong:
            raise InvalidSweep(detail, problems)
        raise NotSupportedYet(detail, problems)
