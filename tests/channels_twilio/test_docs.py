"""What docs/twilio.md lists is what the code has."""

from __future__ import annotations

import pytest

from channels_twilio.error_codes import REMEDIES, Remedy
from channels_twilio.sandbox import faults
from tests.conftest import ROOT

PAGE = (ROOT / "docs/twilio.md").read_text()


@pytest.mark.parametrize("remedy", Remedy)
def test_each_remedy_is_listed_with_its_codes(remedy: Remedy) -> None:
    codes = ", ".join(str(code) for code, asked in REMEDIES.items() if asked is remedy)
    assert f"\n| {codes} | {remedy.value} |\n" in PAGE


def test_the_faults_are_those_of_the_twin() -> None:
    described = [line for line in (faults.__doc__ or "").splitlines() if line.startswith("|")]
    assert described[0] == "| fault | what happens | args |"
    assert "\n".join(described) in PAGE
