"""Limits over the replicas of a gateway: requests, tokens and requests under way, counted in Valkey, by its clock.

A request is counted there in one script, all of its limits or none: so replicas together never exceed a limit. Without
an answer in time, ``server.counters_fail`` decides, and Valkey is left alone for a second. Requests under way of a
replica that is gone count for five seconds.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Final, Literal

from gateway.background import Background
from gateway.errors import NO_HEADERS, Overloaded, RateLimited
from gateway.quotas.meter import Meter, Need, Reason
from gateway.quotas.resp import CountersAway, ValkeyConnection
from gateway.quotas.window import BUCKETS

log = logging.getLogger(__name__)

Fail = Literal["open", "closed"]

ALIVE_MS: Final = 5000
BEAT_S: Final = 1.0
ANSWER_S: Final = 0.25
_REASONS: Final[dict[int, Reason]] = {1: "requests", 2: "tokens", 3: "concurrent"}

TAKE: Final = f"""
local now = redis.call('TIME')
local bucket = math.floor(now[1] / 5)
redis.call('SET', 'preceptor:alive:' .. ARGV[1], '1', 'PX', {ALIVE_MS})
for i = 1, #KEYS do
  local at = 2 + (i - 1) * 4
  local most_requests, most_tokens, most_at_once = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local requests, tokens, oldest, at_once = 0, 0, bucket, 0
  local window = redis.call('HGETALL', KEYS[i] .. ':minute')
  for j = 1, #window, 2 do
    local number, kind = string.match(window[j], '^(%d+)(%a)$')
    number = tonumber(number)
    if number <= bucket - {BUCKETS} then
      redis.call('HDEL', KEYS[i] .. ':minute', window[j])
    else
      if number < oldest then oldest = number end
      if kind == 'r' then requests = requests + window[j + 1] else tokens = tokens + window[j + 1] end
    end
  end
  local under_way = redis.call('HGETALL', KEYS[i] .. ':now')
  for j = 1, #under_way, 2 do
    if redis.call('EXISTS', 'preceptor:alive:' .. under_way[j]) == 0 then
      redis.call('HDEL', KEYS[i] .. ':now', under_way[j])
    else
      at_once = at_once + under_way[j + 1]
    end
  end
  local wait = (oldest + {BUCKETS}) * 5 - now[1]
  if most_at_once >= 0 and at_once + 1 > most_at_once then return {{i, 3, 1}} end
  if most_requests >= 0 and requests + 1 > most_requests then return {{i, 1, wait}} end
  if most_tokens >= 0 and tokens + ARGV[at + 3] > most_tokens then return {{i, 2, wait}} end
end
for i = 1, #KEYS do
  redis.call('HINCRBY', KEYS[i] .. ':minute', bucket .. 'r', 1)
  redis.call('HINCRBY', KEYS[i] .. ':minute', bucket .. 't', ARGV[2 + (i - 1) * 4 + 3])
  redis.call('EXPIRE', KEYS[i] .. ':minute', 120)
  redis.call('HINCRBY', KEYS[i] .. ':now', ARGV[1], 1)
end
return {{0, bucket, 0}}
"""
SETTLE: Final = """
for i = 1, #KEYS do
  if redis.call('HEXISTS', KEYS[i] .. ':minute', ARGV[2] .. 't') == 1 then
    redis.call('HINCRBY', KEYS[i] .. ':minute', ARGV[2] .. 't', ARGV[2 + i])
  end
  redis.call('HINCRBY', KEYS[i] .. ':now', ARGV[1], -1)
end
"""


class Counted:
    """A request that Valkey has counted, until it settles."""

    __slots__ = ("_bucket", "_meters", "_need", "_replicas")

    def __init__(self, replicas: "ReplicaCounts", meters: Sequence[Meter], need: Need, bucket: int) -> None:
        self._replicas, self._meters, self._need, self._bucket = replicas, meters, need, bucket

    def settle(self, tokens: int) -> None:
        """Put the true tokens in the place of the reservation."""
        self._replicas.settle(self._meters, self._need, self._bucket, tokens)


class ReplicaCounts:
    """The counts of all replicas; ``replica`` is the name of this process, ``fail`` the policy without an answer."""

    def __init__(self, url: str, replica: str, fail: Fail, *, answer_s: float = ANSWER_S) -> None:
        self._connection = ValkeyConnection(url)
        self._url, self._replica, self._fail, self._answer_s = url, replica, fail, answer_s
        self._meters: Callable[[], Iterable[Meter]] = tuple
        self._down = False
        self.failures = 0
        """Requests decided without the counters."""

    @property
    def away(self) -> bool:
        """The counters do not answer now."""
        return not self._connection.open

    @contextlib.asynccontextmanager
    async def running(self, background: Background, meters: Callable[[], Iterable[Meter]]) -> AsyncIterator[None]:
        """Keep the connection, and this replica alive, while the context is open."""
        self._meters = meters
        await self._beat()
        async with background.running("quotas.replicas", self._keep):
            try:
                yield
            finally:
                await self._connection.aclose()

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(BEAT_S)
            await self._beat()

    async def _beat(self) -> None:
        try:
            async with asyncio.timeout(max(BEAT_S, self._answer_s)):
                if not self._connection.open:
                    self._connection = ValkeyConnection(self._url)
                    await self._connection.connect()
                self._correct()
                await self._connection.send("SET", f"preceptor:alive:{self._replica}", "1", "PX", ALIVE_MS)
            if self._down:
                log.info("the counters are back", extra={"action": "counters.back"})
            self._down = False
        except (CountersAway, TimeoutError) as error:
            await self._connection.aclose()
            self._note(error)

    def _correct(self) -> None:
        """Set the requests under way to their true number: one whose answer was lost must not count for ever."""
        for meter in self._meters():
            if meter.limits.concurrent is not None:
                self._connection.send("HSET", f"{_name(meter)}:now", self._replica, meter.in_flight)

    def _note(self, error: Exception) -> None:
        if not self._down:
            log.warning(
                "the counters are away, requests are %s: %s",
                "counted here alone" if self._fail == "open" else "refused", str(error) or "no answer in time",
                extra={"action": "counters.away"},
            )  # fmt: skip
        self._down = True

    async def take(self, meters: Sequence[Meter], need: Need) -> Counted | None:
        """Count a request; ``None`` without the counters, if requests go on then.

        Raises ``RateLimited``, or ``Overloaded`` without the counters.
        """
        words: list[str | int] = [self._replica]
        for meter in meters:
            limits = meter.limits
            most = (limits.requests_per_minute, limits.tokens_per_minute, limits.concurrent)
            words += [-1 if limit is None else limit for limit in most]
            words.append(_tokens(meter, need.tokens))
        try:
            async with asyncio.timeout(self._answer_s):
                answer = await self._connection.send("EVAL", TAKE, len(meters), *_names(meters), *words)
            place, reason, wait = map(int, answer)
        except (CountersAway, TimeoutError, TypeError, ValueError) as error:
            if isinstance(error, TimeoutError):
                await self._connection.aclose()  # until the next beat: a slow one must not slow every request
            self._without(error)
            return None
        if place == 0:
            return Counted(self, meters, need, reason)
        meter = meters[place - 1]
        meter.refused[_REASONS[reason]] = meter.refused.get(_REASONS[reason], 0) + 1
        raise RateLimited(
            f"Rate limit reached for {meter.kind} {meter.name!r} over all replicas ({_REASONS[reason]})."
            f" Send it again in {wait} s.",
            headers={"retry-after": str(wait)},
        )

    def _without(self, error: Exception) -> None:
        self.failures += 1
        self._note(error)
        if self._fail == "closed":
            raise Overloaded(
                "The counters of limits do not answer: send the request again later.",
                code="counters_unavailable",
                headers={**NO_HEADERS, "retry-after": "1"},
            ) from error

    def settle(self, meters: Sequence[Meter], need: Need, bucket: int, tokens: int) -> None:
        """Send the true tokens of a request; nobody waits for the answer."""
        changes = [
            0 if meter.limits.tokens_per_minute is None else tokens - _tokens(meter, need.tokens) for meter in meters
        ]
        with contextlib.suppress(CountersAway):
            self._connection.send("EVAL", SETTLE, len(meters), *_names(meters), self._replica, bucket, *changes)


def replicas_of(url: str | None, fail: Fail, replica: str) -> ReplicaCounts | None:
    """Return the counts over all replicas; ``None`` without an address."""
    return None if url is None else ReplicaCounts(url, replica, fail)


def _tokens(meter: Meter, tokens: int) -> int:
    """Return the tokens to reserve: an estimate beyond the whole limit waits for an empty window."""
    most = meter.limits.tokens_per_minute
    return 0 if most is None else min(tokens, most)


def _names(meters: Sequence[Meter]) -> list[str]:
    return [_name(meter) for meter in meters]


def _name(meter: Meter) -> str:
    return f"preceptor:{meter.kind}:{meter.name}"
