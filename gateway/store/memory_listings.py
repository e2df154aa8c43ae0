"""The lists of the store in memory; see ``gateway.store.base.Store``."""

from collections.abc import Sequence

from gateway.domain import Activation, Exchange
from gateway.store.base import TaskCounts
from gateway.store.listings import LOOKED_AT, ExchangePage, ExchangeSearch
from gateway.store.memory_rules import MemoryRules
from gateway.store.rows import json_texts


class MemoryListings(MemoryRules):
    """Lists over dictionaries and lists."""

    def __init__(self) -> None:
        super().__init__()
        self._exchanges: dict[str, Exchange] = {}
        self._positions: dict[str, int] = {}

    def counts(self) -> dict[str, TaskCounts]:
        raise NotImplementedError

    def notes(self, keys: Sequence[str]) -> dict[str, bytes]:
        with self._lock:
            return {key: self._notes[key] for key in keys if key in self._notes}

    def counts_of(self, tasks: Sequence[str]) -> dict[str, TaskCounts]:
        return {task: counts for task, counts in self.counts().items() if task in tasks}

    def newest_decisions(self, tasks: Sequence[str]) -> dict[str, list[Activation]]:
        with self._lock:
            newest = {(entry.task, entry.kind): at for at, entry in enumerate(self._activations) if entry.task in tasks}
            by_task: dict[str, list[Activation]] = {}
            for at in sorted(newest.values()):
                by_task.setdefault(self._activations[at].task, []).append(self._activations[at])
            return by_task

    def decisions(self, *, limit: int) -> list[Activation]:
        with self._lock:
            return self._activations[::-1][:limit]

    def search(self, wanted: ExchangeSearch, *, before: int | None, limit: int) -> ExchangePage:
        with self._lock:
            window = [
                exchange
                for exchange in reversed(self._exchanges.values())
                if exchange.arm != "shadow"
                and wanted.task in (None, exchange.task)
                and (before is None or self._positions[exchange.id] < before)
            ][:LOOKED_AT]
            page = [exchange for exchange in window if _fits(wanted, exchange)][:limit]
            rest = page[-1] if len(page) == limit else window[-1] if len(window) == LOOKED_AT else None
            at = None if rest is None else self._positions[rest.id]
            return ExchangePage(exchanges=tuple(page), looked_at=len(window), before=at)


def _fits(wanted: ExchangeSearch, exchange: Exchange) -> bool:
    of = {"key": wanted.key, "status": wanted.status, "arm": wanted.arm}
    if any(value is not None and getattr(exchange, name) != value for name, value in of.items()):
        return False
    inside = (text[1:-1] in exchange.request for text in json_texts(wanted.text))
    return not wanted.text or wanted.text in (exchange.reply or "") or any(inside)
