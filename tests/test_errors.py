"""Errors: their exit codes are a promise to scripts, their text is one to people."""

from __future__ import annotations

import json

import pytest

from k0sruntime import errors
from k0sruntime.cli import render_error
from k0sruntime.errors import ExitCode, Inactive, K0sRuntimeError, Problem, RefusedError

CODES = {
    "DONE": 0,
    "BUG": 1,
    "USAGE": 2,
    "REFUSED": 3,
    "PROVIDER": 4,
    "CONFLICT": 5,
    "ROLLED_BACK": 6,
    "ROLLBACK_FAILED": 7,
    "VERIFY_FAILED": 8,
    "UNJUDGED": 9,
    "PENDING": 10,
    "INTERRUPTED": 130,
}


def test_exit_codes_never_change() -> None:
    assert {code.name: code.value for code in ExitCode} == CODES


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("UsageError", 2),
        ("RefusedError", 3),
        ("ProviderError", 4),
        ("ConflictError", 5),
        ("RolledBackError", 6),
        ("RollbackFailedError", 7),
        ("VerifyFailedError", 8),
    ],
)
def test_every_error_has_its_exit_code_and_one_base(name: str, code: int) -> None:
    kind = getattr(errors, name)
    assert issubclass(kind, K0sRuntimeError)
    assert kind("x").exit_code == code


def test_no_two_kinds_of_error_share_a_code() -> None:
    kinds = K0sRuntimeError.__subclasses__()
    codes = [kind.exit_code for kind in kinds if kind.__module__ == errors.__name__]
    assert len(codes) == len(set(codes)) == 8


def test_the_tree_that_is_drawn_is_the_tree_that_is_there() -> None:
    for kind in K0sRuntimeError.__subclasses__():
        if kind.__module__ == errors.__name__:
            assert f"{kind.__name__} " in (errors.__doc__ or "")


def test_resting_is_no_error() -> None:
    assert not issubclass(Inactive, K0sRuntimeError)
    assert Inactive("no GPU").reason == str(Inactive("no GPU")) == "no GPU"


WHOLE = Problem("it is wrong", "/a:3", "acme 1.0", "Mend it.")


def test_a_problem_says_what_where_who_and_what_to_do() -> None:
    assert WHOLE.lines() == [
        "it is wrong",
        "  where: /a:3",
        "  who:   acme 1.0",
        "  do:    Mend it.",
    ]
    assert Problem("it is wrong").lines() == ["it is wrong"]


def test_an_error_is_all_its_problems_and_a_text_is_one() -> None:
    error = RefusedError(WHOLE, "and this")
    assert error.problems == (WHOLE, Problem("and this"))
    assert str(error) == "it is wrong; and this"
    assert RefusedError.of([WHOLE]).problems == (WHOLE,)
    assert isinstance(RefusedError.of([WHOLE]), RefusedError)


def test_the_text_ends_with_the_exit_code_and_its_name() -> None:
    assert render_error.text(RefusedError(WHOLE)).splitlines() == [
        "error: it is wrong",
        "  where: /a:3",
        "  who:   acme 1.0",
        "  do:    Mend it.",
        "(exit 3: refused)",
    ]


def test_many_problems_stay_on_one_screen_and_the_document_has_them_all() -> None:
    error = RefusedError(*(Problem(f"{n} is wrong", "/a", "acme", "Mend it.") for n in range(50)))
    lines = render_error.text(error).splitlines()
    assert len(lines) <= 50
    assert "… and 40 more; --json shows them all" in lines
    assert len(json.loads(render_error.document(error))["problems"]) == 50


def test_the_document_has_kind_schema_code_name_and_every_part_of_a_problem() -> None:
    assert json.loads(render_error.document(RefusedError(WHOLE))) == {
        "kind": "Error",
        "error": "RefusedError",
        "schema": 1,
        "exit_code": 3,
        "name": "REFUSED",
        "problems": [
            {
                "message": "it is wrong",
                "place": "/a:3",
                "culprit": "acme 1.0",
                "remedy": "Mend it.",
            }
        ],
    }


def test_a_fault_of_ours_says_so_and_where_it_is() -> None:
    with pytest.raises(KeyError) as failed:
        raise KeyError("x")
    said = render_error.bug(failed.value, "k0sruntime", debug=False)
    assert "bug: KeyError: 'x'" in said
    assert "test_errors.py:" in said
    assert "report it" in said
    assert "--debug" in said
