"""The API as its own description says it is: schemathesis makes requests from it, odd and hostile ones too."""

from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.schemas import BaseSchema

from node.admin.app import window_app
from node.core.role import Role
from tests.makers.studies import make_study
from tests.makers.window import opened

pytestmark = pytest.mark.slow
FEW = settings(max_examples=20, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BaseSchema]:
    """The API's description, asked with the token of an operator's program; a study, a job and a delivery are there."""
    with opened(tmp_path_factory.mktemp("window")) as window:
        window.user(Role.ADMIN)
        make_study(window.books, "s", patient="P1")
        app = window_app(window.window, window.first_user)
        token = window.program(Role.OPERATOR).headers["Authorization"]
        yield schemathesis.openapi.from_asgi("/api/openapi.json", app, headers={"Authorization": token})


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_every_answer_is_as_described(described: BaseSchema, mode: GenerationMode) -> None:
    """No fault of ours, no answer that is not in the description, and none at all without the token."""
    asked = []
    for found in described.get_all_operations():
        operation = found.ok()

        @FEW
        @given(case=operation.as_strategy(generation_mode=mode))
        def ask(case: schemathesis.Case) -> None:
            case.call_and_validate()

        ask()
        asked.append(operation.label)
    assert len(asked) >= 13
