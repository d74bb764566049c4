"""The list of commands in `gradsweep --help`, in the sections of docs/command-line.md."""

from typing import Any

from typer.core import TyperGroup

SECTIONS = {
    "A sweep, from the file to the end": ("init", "submit", "watch"),
    "What came of it": (
        "list",
        "show",
        "best",
        "trials",
        "pareto",
        "importances",
        "effects",
        "diagnose",
        "rescue",
        "figure",
        "export",
        "script",
        "train",
        "replay",
        "record",
        "artifacts",
    ),
    "Steering": ("pause", "resume", "stop", "cancel", "delete", "retry"),
    "The processes": ("up", "serve", "worker", "migrate", "rescore"),
    "Looking around": ("workers", "doctor", "demo"),
}


class GroupedCommands(TyperGroup):
    """Commands by section, in the order in which one meets them."""

    def format_commands(self, _ctx: Any, formatter: Any) -> None:
        """Write the sections; one column for all, so that the eye finds the words."""
        width = max(map(len, self.commands))
        for title, names in SECTIONS.items():
            with formatter.section(title):
                rows = [
                    (name.ljust(width), self.commands[name].get_short_help_str(formatter.width - width - 6))
                    for name in names
                ]
                formatter.write_dl(rows)
