"""Does the command say what it can do, and what was wrong?"""

from pathlib import Path

import pytest
from click.testing import CliRunner

import gossamer
from gossamer.certificates import Authority
from gossamer.cli.main import main
from gossamer.cli.settings import Settings


def run(*args: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, args)
    return result.exit_code, " ".join(result.output.split())


def test_the_help_names_every_command_and_cuts_no_sentence_off() -> None:
    code, text = run("--help")
    assert code == 0
    for name, command in main.commands.items():
        assert f"{name} {command.get_short_help_str(1000)}" in text


def test_the_help_of_serve_names_every_setting() -> None:
    _, text = run("serve", "--help")
    listed = text.partition("in the file (")[2].partition(")")[0].replace("and a table ", "")
    assert sorted(listed.split(", ")) == sorted(Settings.__struct_fields__)


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (
            ("get", "sold"),
            "path 'sold': 'sold' is not kind:name, like counter:sold, with a kind of map, set, ",
        ),
        (("get", "op_ids:x"), "'op_ids:x' is not kind:name"),
        (
            ("wait", "AAAA", "--replicated", "most"),
            "'most' is neither a number from 1 on, nor majority, nor all",
        ),
        (("wait", "AAAA", "--replicated", "0"), "'0' is neither a number from 1 on"),
    ],
)
def test_a_wrong_argument_is_told_what_is_wanted(
    tmp_path: Path, args: tuple[str, ...], sentence: str
) -> None:
    with gossamer.open(tmp_path / "a", listen="127.0.0.1:0") as node:
        code, text = run(*args, "--at", str(node.address))
    assert (code, sentence in text) == (2, True), text
    assert "op_id," not in text, "a kind that no path of a user has"


def test_who_speaks_plainly_to_a_node_with_tls_is_told(tmp_path: Path) -> None:
    Authority.at(tmp_path).issue("a", ["127.0.0.1"], days=1)
    mine = gossamer.TLS(ca=tmp_path / "ca.pem", certificate=tmp_path / "a.pem", key=tmp_path / "a-key.pem")
    with gossamer.open(tmp_path / "na", name="a", listen="127.0.0.1:0", tls=mine) as node:
        code, text = run("status", "--at", str(node.address))
    assert (code, "if it wants TLS, name --tls-ca, --tls-certificate and --tls-key" in text) == (4, True), (
        text
    )
