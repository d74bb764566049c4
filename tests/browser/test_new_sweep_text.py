"""The page's own reader and editor of sweep files, in the browser: what it reads is what the service reads."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from service.domain.sweep_file import read_sweep_file

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))
WRITTEN = [
    "a: 1\nb: -0.5\nc: 1e-5\nd: .5\ne: 0x1F\nf: 0o17\ng: ~\nh: null\ni:\nj: yes\nk: True\n",
    "l: \"no: # comment\"\nm: 'it''s'\n",
    "a: # comment\n  b: 1 # other\n\n  # between\n  c:\n    - 1\n    - [2, 3]\n    - x: 1\n      y: 2\nd: end",
    "a:\n- 1\n- two words\n- -3\nb: {x: 1, y: [a, b, {z: }], 'q q': \"\\u00e9\"}\n",
    "--- \nname: a-b.c:d#e\nurl: x:y\nlist: [\n  1, # one\n  2,\n]\n",
    '{"a": [1, 2.5, true, null, "x\\ny"], "b": {"c": {}}, "d":1e-5}',
    "\ufeffname: with a mark\r\nrun_cap: 3\r\n",
    "{a: 1, b: [], c: {}}",
    "parameters:\n    learning_rate: {min: 1e-5,\n      max: 1.0}\n    epochs: 3\n",
]
UNFOLLOWED = [
    "a: &x 1\n",
    "a: !!str 1\n",
    "a: |\n  text\n",
    "a: 1\na: 2\n",
    "a: b: c\n",
    "a: [1, 2\n",
    "a:\n  - 1\n   - 2\n",
    "a: 'x\n",
    "a: 1\n  b: 2\n",
]
BLOCK = "# first\nname: a # mine\nparameters:\n  epochs: 3\n  dropout: # rate\n    min: 0\n    max: 0.5\nseed: 1\n"
DROPOUT = "  dropout: # rate\n    min: 0\n    max: 0.5\n"
FLOW = "{name: a, parameters: {epochs: 3}}"
JSON = '{\n  "name": "a",\n  "parameters": {\n    "epochs": 3\n  }\n}\n'
EDITS = [
    ("write", BLOCK, ["name"], "b", BLOCK.replace("name: a", "name: b")),
    ("write", BLOCK, ["name"], "1e3", BLOCK.replace("name: a", 'name: "1e3"')),
    ("write", BLOCK, ["parameters", "dropout"], 0.1, BLOCK.replace(DROPOUT, "  dropout: 0.1\n")),
    ("write", BLOCK, ["parameters", "dropout", "q"], 0.1, BLOCK.replace("max: 0.5", "max: 0.5\n    q: 0.1")),
    ("write", BLOCK, ["parameters", "width"], [1, 2], BLOCK.replace("max: 0.5", "max: 0.5\n  width: [1, 2]")),
    ("write", BLOCK, ["metric", "at"], "best", BLOCK + "metric: {at: best}\n"),
    ("write", "", ["parameters", "epochs"], 3, "parameters: {epochs: 3}\n"),
    ("write", "name: a", ["parameters", "epochs"], 3, "name: a\nparameters:\n  epochs: 3"),
    ("write", FLOW, ["seed"], 1, '{name: a, parameters: {epochs: 3}, "seed": 1}'),
    ("write", JSON, ["parameters", "x"], "y", JSON.replace('"epochs": 3', '"epochs": 3,\n    "x": "y"')),
    ("write", "a: 1\nparameters: # none\nb: 2\n", ["parameters", "x"], 3, "a: 1\nparameters:\n  x: 3 # none\nb: 2\n"),
    ("erase", BLOCK, ["name"], None, BLOCK.replace("name: a # mine\n", "")),
    ("erase", BLOCK, ["parameters", "dropout"], None, BLOCK.replace(DROPOUT, "")),
    ("erase", BLOCK + "metric: {at: best}\n", ["metric", "at"], None, BLOCK),
    ("erase", BLOCK, ["nothing", "here"], None, BLOCK),
    ("erase", FLOW, ["name"], None, "{parameters: {epochs: 3}}"),
    ("erase", JSON, ["parameters", "epochs"], None, '{\n  "name": "a",\n  "parameters": {}\n}\n'),
]  # fmt: skip


@pytest.fixture
def page(prepared: Any, open_page: Callable[..., Page]) -> Page:
    opened = open_page(prepared.address("workers"))
    expect(opened.get_by_role("heading", level=1)).to_be_visible()
    return opened


def read_here(page: Page, texts: list[str]) -> list[Any]:
    return page.evaluate(
        """async (texts) => {
          const { read, plain } = await import("/dashboard/file_reader.js");
          return texts.map((text) => { try { return plain(read(text)); } catch (error) { return error.message; } });
        }""",
        texts,
    )


def test_reads_what_the_service_reads(page: Page) -> None:
    texts = [*WRITTEN, *(path.read_text() for path in EXAMPLES)]
    kinds: list[Any] = ["json" if text.startswith('{"') else "yaml" for text in texts]
    service = [read_sweep_file(text.removeprefix("\ufeff"), kind) for text, kind in zip(texts, kinds, strict=True)]
    assert read_here(page, texts) == json.loads(json.dumps(service))


def test_refuses_what_it_cannot_follow_and_names_the_line(page: Page) -> None:
    assert [str(answer).partition(" ")[0] for answer in read_here(page, UNFOLLOWED)] == ["line"] * len(UNFOLLOWED)


def test_changes_one_value_and_leaves_all_else(page: Page) -> None:
    done = page.evaluate(
        """async (edits) => {
          const editor = await import("/dashboard/file_editor.js");
          return edits.map(([verb, text, path, value]) => editor[verb](text, path, value));
        }""",
        [edit[:4] for edit in EDITS],
    )
    assert done == [edit[4] for edit in EDITS]
    assert [name for _, text, _, _, name in EDITS if text == name] == [BLOCK]


def test_finds_the_key_that_a_pointer_leads_to(page: Page) -> None:
    pointers = ["/parameters/dropout/min", "/parameters/dropout/min/0", "/name", "/seed", "/metric", ""]
    found = page.evaluate(
        """async ([text, pointers]) => {
          const { locate } = await import("/dashboard/file_editor.js");
          return pointers.map((pointer) => text.slice(...(locate(text, pointer) ?? [0, 0])));
        }""",
        [BLOCK, pointers],
    )
    assert found == ["min", "min", "name", "seed", "", ""]
