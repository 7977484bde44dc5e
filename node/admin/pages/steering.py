"""What an operator does to a study, a job or a delivery: one action each, then back to where it was asked for."""

from typing import Annotated

from fastapi import APIRouter, Form, Response
from fastapi.responses import RedirectResponse

from node.admin.window import Window
from node.state import outbox, work

DONE: dict[str, str] = {
    "complete": "The study is taken as complete; it goes on within a second.",
    "release": "The study goes on after its quiet time.",
    "retry": "The job is queued again, from the stage where it ended.",
    "again": "The job runs anew; its results will be new objects.",
    "cancel": "The job is cancelled; what runs now is not adopted.",
    "resend": "The delivery is being sent.",
    "resend-parked": "What was parked is being sent, but for what newer results replaced.",
    "correct": "The study's results are made anew, with the patient and order that the destination has.",
    "drop": "The delivery is dropped.",
    "pause": "It is paused: what runs goes on, what comes waits.",
    "resume": "It goes on with what waited.",
}
"""What is said after an action."""

Back = Annotated[str, Form(max_length=40)]
Reason = Annotated[str, Form(max_length=300)]


def add_to(router: APIRouter, window: Window) -> None:
    """The routes of this group."""
    operator = window.operator

    @router.post("/studies/{key}/complete")
    def study_complete(key: str) -> Response:
        return back_to_study(operator.complete(key, window.now()), "complete")

    @router.post("/studies/{key}/release")
    def study_release(key: str, latest: Annotated[bool, Form()] = False) -> Response:
        return back_to_study(operator.release(key, window.now(), latest=latest), "release")

    @router.post("/jobs/{key}/retry")
    def job_retry(key: str) -> Response:
        operator.retry(key, window.now())
        return back_to_study(_study_of_job(window, key), "retry")

    @router.post("/jobs/{key}/again")
    def job_again(key: str) -> Response:
        operator.again(key, window.now())
        return back_to_study(_study_of_job(window, key), "again")

    @router.post("/jobs/{key}/cancel")
    def job_cancel(key: str) -> Response:
        operator.cancel(key, window.now())
        return back_to_study(_study_of_job(window, key), "cancel")

    @router.post("/deliveries/{key}/resend")
    def delivery_resend(key: str, back: Back = "") -> Response:
        operator.resend(key, window.now())
        return _back(window, key, back, "resend")

    @router.post("/deliveries/{key}/drop")
    def delivery_drop(key: str, reason: Reason, back: Back = "") -> Response:
        operator.drop(key, reason, window.now())
        return _back(window, key, back, "drop")

    @router.get("/jobs/{key}")
    def job_page(key: str) -> Response:
        """A job is shown with its study."""
        return RedirectResponse(f"/studies/{_study_of_job(window, key)}#{key}", 303)


def _back(window: Window, delivery: str, back: str, done: str) -> Response:
    """To the outbox where it was asked for there, else to the study."""
    if back == "outbox":
        return RedirectResponse(f"/outbox?done={done}", 303)
    return back_to_study(study_of_delivery(window, delivery), done)


def study_of_delivery(window: Window, delivery: str) -> str:
    """The id of the study whose results it carries. Raises NotFound."""
    with window.ledger.read() as connection:
        job = outbox.get_delivery(connection, delivery).job_id
    return _study_of_job(window, job)


def _study_of_job(window: Window, job: str) -> str:
    with window.ledger.read() as connection:
        return work.get_job(connection, job).study_id


def back_to_study(key: str, done: str) -> Response:
    """To the study's page, which says what was done."""
    return RedirectResponse(f"/studies/{key}?done={done}", 303)
