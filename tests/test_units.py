"""Units and init scripts as systemd and OpenRC read them."""

from __future__ import annotations

import pytest

from k0sruntime.testing import MadeUpFiles
from k0sruntime.units import script_command, unit_command, unit_values, unit_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("/bin/k0s worker --a=b", ["/bin/k0s", "worker", "--a=b"]),
        ('/bin/k0s "worker" "--labels=a=b,c=d e"', ["/bin/k0s", "worker", "--labels=a=b,c=d e"]),
        ("/opt/my\\x20dir/k0s worker", ["/opt/my dir/k0s", "worker"]),
        ('\'it is\' "a \\"word\\""', ["it is", 'a "word"']),
        ('k0s ""', ["k0s", ""]),
        ("k0s --p=50%% $$HOME", ["k0s", "--p=50%", "$HOME"]),
        ("", []),
    ],
)
def test_words_of_a_unit_are_quoted_and_escaped_as_in_systemd(text: str, words: list[str]) -> None:
    assert unit_words(text) == words


def test_signs_before_the_program_are_no_part_of_it() -> None:
    assert unit_command("-@/bin/k0s worker")[0] == "/bin/k0s"
    assert unit_command("") == []


def test_drop_ins_come_after_the_unit_in_the_order_of_their_names_and_an_empty_value_resets() -> (
    None
):
    files = MadeUpFiles(
        {
            "/lib/systemd/system/a.service": "[Service]\nExecStart=/one \\\n  more\n# ExecStart=/no\n",
            "/etc/systemd/system/a.service.d/20.conf": "[Service]\nExecStart=/three\n",
            "/run/systemd/system/a.service.d/10.conf": "[Service]\nExecStart=\nExecStart=/two\n",
            "/run/systemd/system/a.service.d/20.conf": "[Service]\nExecStart=/hidden\n",
        }
    )
    found = unit_values(files, "a.service", "Service", "ExecStart")
    assert [value.text for value in found] == ["/two", "/three"]
    assert found[1].path == "/etc/systemd/system/a.service.d/20.conf"


def test_the_operators_own_unit_hides_the_packages_and_other_sections_do_not_count() -> None:
    files = MadeUpFiles(
        {
            "/lib/systemd/system/a.service": "[Service]\nExecStart=/package\n",
            "/etc/systemd/system/a.service": "[Unit]\nExecStart=/no\n[Service]\nExecStart=/own a  b\n",
        }
    )
    assert [v.text for v in unit_values(files, "a.service", "Service", "ExecStart")] == [
        "/own a  b"
    ]
    assert unit_values(files, "b.service", "Service", "ExecStart") == ()


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (
            "command=/bin/k0s\ncommand_args=\"'worker' '--labels=a b' \"\n",
            ["/bin/k0s", "worker", "--labels=a b"],
        ),
        ('command="/bin/k0s"\ncommand_args="worker --debug "\n', ["/bin/k0s", "worker", "--debug"]),
        ('command=/bin/k0s\ncommand_args="worker \\"a b\\""\n', ["/bin/k0s", "worker", "a b"]),
        ("command_args=worker\n", []),
        ('command=/bin/k0s\ncommand_args="\'open"\n', []),
    ],
)
def test_an_openrc_script_starts_its_command_with_its_arguments(
    script: str, words: list[str]
) -> None:
    assert script_command(script.encode()) == words
