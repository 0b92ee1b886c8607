"""Many registrations at once, each written as if it were alone: their questions to the renderer are answered together.

Every registration runs in a thread of its own and waits whenever it asks the renderer. As soon as all that have not
ended wait, their questions are put to the renderer, all of one kind at once, and everybody goes on. A renderer answers
each question as if it were alone, so a result does not depend on who else is in the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from threading import Condition, Thread
from traceback import clear_frames
from typing import Any, TypeVar

from osteoray.radiography.search_renderer import AskingRenderer, BatchRenderer, Question, SearchRenderer

Result = TypeVar("Result")


def in_lock_step(
    renderer: BatchRenderer, registrations: Sequence[Callable[[SearchRenderer], Result]]
) -> list[Future[Result]]:
    """Run registrations at once.

    Args:
        renderer: answers the questions of all.
        registrations: functions of the renderer that they are to use.

    Returns:
        In order, for each registration what `Future.result()` returns or raises; all are done.
    """
    batch = _Batch(renderer, len(registrations))
    results: list[Future[Result]] = [Future() for _ in registrations]
    try:
        for registration, result in zip(registrations, results, strict=True):
            # Daemons: an interrupted batch does not keep the process alive.
            Thread(target=batch.run, args=(registration, result), daemon=True).start()
        batch.serve()
    finally:
        batch.end()
    return results


class _Batch(AskingRenderer):
    """The renderer as seen by the registrations of a batch (a `SearchRenderer`), and its other side, `serve`."""

    def __init__(self, renderer: BatchRenderer, members: int) -> None:
        self._renderer = renderer
        self._living = members
        self._waiting: list[tuple[Question, tuple, Future]] = []
        self._asked: list[tuple[Question, tuple, Future]] = []
        self._has_ended = False
        self._changed = Condition()

    def run(self, registration: Callable[[SearchRenderer], Result], result: Future[Result]) -> None:
        """One registration from beginning to end."""
        try:
            result.set_result(registration(self))
        except BaseException as error:
            result.set_exception(error)
        with self._changed:
            self._living -= 1
            self._changed.notify()

    def serve(self) -> None:
        """Answer until every registration has ended."""
        while self._living:
            with self._changed:
                self._changed.wait_for(lambda: len(self._waiting) == self._living)
                self._asked, self._waiting = self._waiting, []
            for question in dict.fromkeys(question for question, _, _ in self._asked):
                self._answer(question, [(request, answer) for kind, request, answer in self._asked if kind == question])

    def end(self) -> None:
        """Nobody answers any more: whoever waits, or asks later, gets an exception."""
        with self._changed:
            self._has_ended = True
            unanswered = [answer for _, _, answer in (*self._asked, *self._waiting)]
        for answer in unanswered:
            if not answer.done():
                answer.set_exception(_interrupted())

    def ask(self, question: Question, *request: Any) -> Any:
        """See `AskingRenderer`; waits."""
        answer: Future = Future()
        with self._changed:
            if self._has_ended:
                raise _interrupted()
            self._waiting.append((question, request, answer))
            self._changed.notify()
        return answer.result()

    def _answer(self, question: Question, asked: list[tuple[tuple, Future]]) -> None:
        """Answer one kind of question; if that fails, each alone, so that only whose fault it is fails."""
        answers: list[Any] | None = None
        try:
            answers = self._renderer.answer(question, [request for request, _ in asked])
        except Exception as error:
            # Its frames would hold what the launch had put on the device as long as anybody holds the error.
            clear_frames(error.__traceback__)
            if len(asked) == 1:
                asked[0][1].set_exception(error)
                return
        # After the handler, so that the error is forgotten before the next launch.
        if answers is None:
            for one in asked:
                self._answer(question, [one])
            return
        for (_, waiting), answer in zip(asked, answers, strict=True):
            waiting.set_result(answer)


def _interrupted() -> RuntimeError:
    return RuntimeError("renderer: expected an answer, got the end of the batch. Look at what ended it.")
