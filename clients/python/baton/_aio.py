"""aio: the same for asyncio."""
from __future__ import annotations

import asyncio
import sys
from typing import Any, Callable

from ._claim import Yield
from ._errors import LeaseLost
from ._lease import Base, Steps, ended_by
from ._units import mib, milliseconds


class AsyncLease(Base):
    """The same for asyncio. When the lease is lost the task inside `async with` is cancelled, and the block ends with
    LeaseLost. The methods are those of Lease."""

    _task: asyncio.Task[Any] | None = None
    _was_cancelled = False

    async def _do(self, steps: Steps) -> None:
        loop, news = asyncio.get_running_loop(), asyncio.Event()
        for ready in steps:
            session = self._owned()

            def tell() -> None:
                _call_in(loop, news.set)

            session.watchers.append(tell)
            try:
                while not ready():
                    await _moment(news)
            except BaseException as error:
                steps.throw(error)
            finally:
                session.watchers.remove(tell)

    async def acquire(self) -> AsyncLease:
        await self._do(self._acquiring())
        return self

    async def release(self, detail: str | None = None) -> None:
        await self._do(self._releasing(detail))

    async def give_way(self) -> None:
        await self._do(self._giving_way())

    async def until_yield(self) -> Yield:
        """Returns when somebody needs the GPU; raises LeaseLost when it is lost."""
        while True:
            asked = self.yield_requested if self.should_yield() else None
            if asked:
                return asked
            await self._do(self._until_asked())

    async def need(self, seconds: float | str) -> None:
        await self._do(self._asking("yielding", lease=self.id, need_ms=milliseconds(seconds)))

    async def ready(self) -> None:
        await self._do(self._asking("ready", lease=self.id))

    async def change(self, slots: int, vram: int | str) -> None:
        await self._do(self._asking("change", lease=self.id, slots=slots, vram_mb=mib(vram)))

    async def processes(self, *pids: int) -> None:
        await self._do(self._asking("processes", pids=list(pids)))

    def _until_asked(self) -> Steps:
        claim = self._owned().claim
        yield lambda: claim.state != "held" or claim.asked_to_yield is not None

    def _tell(self, kind: str, news: Any) -> None:
        if kind == "lost" and self._task:
            _call_in(self._task.get_loop(), self._cancel_task)
        super()._tell(kind, news)

    def _cancel_task(self) -> None:
        if self._task:
            self._was_cancelled = True
            self._task.cancel()

    async def __aenter__(self) -> AsyncLease:
        await self.acquire()
        self._was_cancelled, self._task = False, asyncio.current_task()
        if not self.held:  # lost before the line above
            self._cancel_task()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, _tb: object) -> None:
        task, self._task = self._task, None
        ours = self._was_cancelled and isinstance(error, asyncio.CancelledError)
        if self._was_cancelled and task and sys.version_info >= (3, 11):
            ours = task.uncancel() == 0 and ours
        try:
            await self.release(ended_by(error))
        except LeaseLost as lost:
            if error is None or ours:
                raise lost from None


async def _moment(news: asyncio.Event) -> None:
    """Not by wait_for: before Python 3.12 it forgets a cancellation that comes together with the news."""
    waiter = asyncio.ensure_future(news.wait())
    try:
        await asyncio.wait({waiter}, timeout=1)
    finally:
        waiter.cancel()
    news.clear()


def _call_in(loop: asyncio.AbstractEventLoop, call: Callable[[], object]) -> None:
    try:
        loop.call_soon_threadsafe(call)
    except RuntimeError:  # the loop is closed
        pass
