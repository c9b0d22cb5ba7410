"""What the documents name is there, and what is there is named: links, commands, options, settings."""

import re
import tomllib

import click
import pytest

from support.documents import PAGES, ROOT, anchors, blocks, inline_code, links, name_of
from support.messages_in_code import logged
from sync.cli.main import cli
from sync.settings.sections import Settings

EVERYTHING = "\n".join(page.read_text("utf-8") for page in PAGES)


def leaves(group=cli, *path):
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from leaves(command, *path, name)
        else:
            yield " ".join([*path, name]), command


LEAVES = dict(leaves())
SETTINGS = [
    (section, key) for section, settings in Settings()._asdict().items() for key in settings._asdict()
]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page):
    """Files of the project, headings of a page; addresses elsewhere are not asked."""
    broken = []
    for link in links(page):
        if re.match(r"https?:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if (
            not target.exists()
            or (anchor and anchor not in anchors(target))
            or not target.is_relative_to(ROOT)
        ):
            broken.append(link)
    assert not broken


def test_every_page_is_in_the_index():
    """docs/README.md leads to all of them."""
    index = ROOT / "docs" / "README.md"
    assert {page.name for page in PAGES if page.parent == index.parent} <= {index.name, *links(index)}


@pytest.mark.parametrize("words", LEAVES)
def test_every_command_is_documented(words):
    """As one would type it."""
    assert re.search(rf"gladly-segment (--\S+ \S+ )*{words}\b", EVERYTHING)


@pytest.mark.parametrize("words", LEAVES)
def test_every_option_is_documented_with_its_command(words):
    """In the reference's table: all of them but those that every command takes, and none that is not."""
    row = re.search(rf"^\| `gladly-segment {words}\b.*$", EVERYTHING, re.MULTILINE)
    assert row, f"no table row begins with gladly-segment {words}"
    of_every_command = {name for p in cli.params for name in p.opts}
    options = {name for p in LEAVES[words].params if isinstance(p, click.Option) for name in p.opts}
    assert {"--config", "--debug"} <= options
    options -= of_every_command
    cells = row[0].split("|")
    assert options == set(re.findall(r"`(--[a-z-]+)", cells[-2]))


def test_the_options_before_a_command_are_documented():
    """`--config` and its kin."""
    options = {name for p in cli.params for name in p.opts if name.startswith("--")}
    assert options <= set(re.findall(r"--[a-z]+", EVERYTHING))


@pytest.mark.parametrize(("section", "key"), SETTINGS, ids=map(".".join, SETTINGS))
def test_every_setting_is_in_the_example_and_in_the_documents(section, key):
    """In config.toml under its section, commented out or not; in the documents by its full name."""
    example = (ROOT / "config.toml").read_text("utf-8")
    of_the_section = re.search(rf"^\[{section}\]\n(.*?)(?=^\[|\Z)", example, re.MULTILINE | re.DOTALL)
    assert of_the_section
    assert re.search(rf"^(# )?{key} = ", of_the_section[1], re.MULTILINE)
    assert f"`{section}.{key}`" in EVERYTHING


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_setting_is_documented_that_is_not_one(page):
    """A name of a section, a dot and a key; and whatever a block of TOML sets."""
    name = re.compile(rf"({'|'.join(Settings._fields)})\.(\w+)")
    named = {found.groups() for code in inline_code(page) if (found := name.fullmatch(code))}
    for block in blocks(page):
        if block.kind == "toml":
            named |= {(section, key) for section, keys in tomllib.loads(block.text).items() for key in keys}
    others = {tuple(event.split(".")) for event in logged("info", "warning", "error")} | {("gladly", "csv")}
    assert named - others <= set(SETTINGS)
