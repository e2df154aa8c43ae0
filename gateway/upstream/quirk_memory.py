"""The learnt quirks of all models: in memory for requests, in the store for the next start.

A model is known by its server (a digest of kind and address, because an address may hold a key) and the server's own
name for it. Several gateways and workers on a store each keep their own memory and share the notes.
"""

import asyncio
import hashlib
import logging
from collections.abc import Callable
from typing import Protocol

import msgspec

from gateway.domain import Value
from gateway.settings import Quirks, Settings, UpstreamSettings
from gateway.upstream.quirks import Adaptation, merged

log = logging.getLogger(__name__)

_KEPT_S = 30 * 86_400
"""Age at which a learnt quirk is forgotten: servers change."""

ModelKey = tuple[str, str]
"""Digest of the server, and the server's own name of the model."""


class Notes(Protocol):
    """The part of a store that keeps notes."""

    def note(self, key: str) -> bytes | None: ...

    def put_note(self, key: str, value: bytes) -> None: ...


class QuirkNote(Value, frozen=True):
    """The note on a model. Its key is ``quirks/SERVER/MODEL``."""

    quirks: Quirks
    learnt_at: float
    """Seconds since the epoch."""


def server_digest(section: UpstreamSettings) -> str:
    """Return the name of a server that survives a renamed upstream and shows no address."""
    return hashlib.sha256(f"{section.kind} {section.address}".encode()).hexdigest()[:16]


class QuirkMemory:
    """Quirks by model. For a single event loop; ``wall_clock`` is in seconds since the epoch."""

    def __init__(self, wall_clock: Callable[[], float]) -> None:
        self._wall_clock = wall_clock
        self._stated: dict[ModelKey, Quirks] = {}
        self._learnt: dict[ModelKey, QuirkNote] = {}
        self._adaptations: dict[ModelKey, Adaptation] = {}
        self._unsaved: dict[ModelKey, QuirkNote] = {}
        self._changed = asyncio.Event()

    def configure(self, settings: Settings) -> None:
        """Take over the stated quirks of a configuration."""
        self._stated = {
            (server_digest(settings.upstreams[upstream]), model.model): model.quirks
            for model in settings.models.values()
            if model.quirks != Quirks()
            for upstream in model.every_upstream
        }
        self._adaptations = {key: self._adaptation(key) for key in {*self._stated, *self._learnt}}

    def get(self, key: ModelKey) -> Adaptation | None:
        """Return the adaptation of requests to a model; ``None`` without any quirk."""
        return self._adaptations.get(key)

    def quirks(self, key: ModelKey) -> Quirks:
        """Return the quirks of a model, stated and learnt."""
        adaptation = self._adaptations.get(key)
        return Quirks() if adaptation is None else adaptation.quirks

    def learn(self, key: ModelKey, quirks: Quirks) -> bool:
        """Remember quirks and return whether any is new. The store gets them later."""
        before = self.quirks(key)
        if merged(quirks, before) == before:
            return False
        self._take(key, QuirkNote(quirks=quirks, learnt_at=self._wall_clock()))
        self._unsaved[key] = self._learnt[key]
        self._changed.set()
        return True

    def load(self, notes: Notes, settings: Settings) -> None:
        """Read the notes on the models of a configuration. Blocks; an unreadable note counts as none."""
        for model in settings.models.values():
            key = (server_digest(settings.upstreams[model.upstream]), model.model)
            value = notes.note(_note_key(key))
            try:
                note = None if value is None else msgspec.json.decode(value, type=QuirkNote)
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue
            if note is not None and self._wall_clock() - note.learnt_at < _KEPT_S:
                self._take(key, note)

    async def keep(self, notes: Notes) -> None:
        """Write notes as quirks are learnt, until cancelled. Raises ``StoreError``; then call it again."""
        while True:
            await self._changed.wait()
            for key, note in list(self._unsaved.items()):
                await asyncio.to_thread(notes.put_note, _note_key(key), msgspec.json.encode(note))
                if self._unsaved[key] is note:
                    del self._unsaved[key]
            if not self._unsaved:
                self._changed.clear()

    def _take(self, key: ModelKey, note: QuirkNote) -> None:
        earlier = self._learnt.get(key)
        quirks = note.quirks if earlier is None else merged(note.quirks, earlier.quirks)
        self._learnt[key] = msgspec.structs.replace(note, quirks=quirks)
        self._adaptations[key] = self._adaptation(key)

    def _adaptation(self, key: ModelKey) -> Adaptation:
        learnt = self._learnt.get(key)
        stated = self._stated.get(key, Quirks())
        return Adaptation(stated if learnt is None else merged(stated, learnt.quirks))


def _note_key(key: ModelKey) -> str:
    return "quirks/{}/{}".format(*key)
