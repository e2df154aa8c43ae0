"""Scripts for Valkey: a request counts under all of its limits and budgets, or under none. Text only, no connection.

Money of a subject and a period is a hash: ``v:WRITER`` is all that a process has paid, and only grows; ``l:WRITER`` is
the reservation of a lost process, ``total`` the sum of both. Telling a value twice, late, or by two processes at once
changes nothing. ``seeded`` marks a hash that knows the store's book. Amounts are nano dollars.
"""

import functools
import hashlib
from collections.abc import Sequence
from typing import Final

from gateway.domain import Value
from gateway.quotas.window import BUCKETS

ALIVE_MS: Final = 5000
"""A process without a sign of life for so long is lost."""
YOUNG_MS: Final = 3000
"""So long an empty Valkey decides about no money: every process tells its own first."""
REQUESTS, TOKENS, CONCURRENT, BUDGET, UNKNOWN, YOUNG = 1, 2, 3, 4, 5, 6
"""Reasons in the answer to ``take``. The last two: the book is not known yet; Valkey was empty a moment ago."""
_CLOCK: Final = "redis.call('TIME')"
_KEPT_S: Final = 40 * 86_400

CALENDAR: Final = """
local function period_at(seconds, per)
  local day = math.floor(seconds / 86400) + 719468
  local era = math.floor(day / 146097)
  local of_era = day - era * 146097
  local year = math.floor(
    (of_era - math.floor(of_era / 1460) + math.floor(of_era / 36524) - math.floor(of_era / 146096)) / 365)
  local of_year = of_era - (365 * year + math.floor(year / 4) - math.floor(year / 100))
  local place = math.floor((5 * of_year + 2) / 153)
  local month = place < 10 and place + 3 or place - 9
  year = year + era * 400
  if month <= 2 then year = year + 1 end
  if per == 'month' then return year * 100 + month end
  return (year * 100 + month) * 100 + of_year - math.floor((153 * place + 2) / 5) + 1
end
"""
"""The calendar in UTC; years begin in March, so that leap days come last."""
_SHARED: Final = f"""
local function alive(writer) return redis.call('EXISTS', 'preceptor:alive:' .. writer) == 1 end
local function behind()
  local newest = redis.call('GET', 'preceptor:alive:' .. ARGV[1])
  return newest and tonumber(newest) > tonumber(ARGV[2])
end
local function sign_of_life() redis.call('SET', 'preceptor:alive:' .. ARGV[1], ARGV[2], 'PX', {ALIVE_MS}) end
local function milliseconds() return now[1] * 1000 + math.floor(now[2] / 1000) end
local function born()
  redis.call('SET', 'preceptor:born', string.format('%.0f', milliseconds()), 'NX')
  return tonumber(redis.call('GET', 'preceptor:born'))
end
local function add(account, field, amount)
  redis.call('HINCRBY', account, field, string.format('%.0f', amount))
  redis.call('HINCRBY', account, 'total', string.format('%.0f', amount))
  redis.call('EXPIRE', account, {_KEPT_S})
end
local function pay(account, writer, amount)
  local before = tonumber(redis.call('HGET', account, 'v:' .. writer) or 0)
  if amount > before then add(account, 'v:' .. writer, amount - before) end
end
"""
_TAKE: Final = f"""
if behind() or not alive(ARGV[1]) then return {{-1, 0, 0}} end
sign_of_life()
local bucket = math.floor(now[1] / 5)
for i = 1, #KEYS do
  local at = 3 + (i - 1) * 7
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
    if alive(under_way[j]) then
      at_once = at_once + under_way[j + 1]
    else
      redis.call('HDEL', KEYS[i] .. ':now', under_way[j])
    end
  end
  local wait = (oldest + {BUCKETS}) * 5 - now[1]
  if most_at_once >= 0 and at_once + 1 > most_at_once then return {{i, {CONCURRENT}, 1}} end
  if most_requests >= 0 and requests + 1 > most_requests then return {{i, {REQUESTS}, wait}} end
  if most_tokens >= 0 and tokens + ARGV[at + 3] > most_tokens then return {{i, {TOKENS}, wait}} end
  local per, most_money = ARGV[at + 4], tonumber(ARGV[at + 5])
  if per ~= '' then
    if milliseconds() - born() < young_ms then return {{i, {YOUNG}, 0}} end
    local period = period_at(now[1], per)
    local account = KEYS[i] .. ':money:' .. period
    local held = redis.call('HGETALL', KEYS[i] .. ':held')
    local used = 0
    for j = 1, #held, 2 do
      if alive(held[j]) then
        used = used + held[j + 1]
      else
        redis.call('HDEL', KEYS[i] .. ':held', held[j])
        if tonumber(held[j + 1]) > 0 then add(account, 'l:' .. held[j], held[j + 1]) end
      end
    end
    if redis.call('HEXISTS', account, 'seeded') == 0 then return {{i, {UNKNOWN}, period}} end
    used = used + (redis.call('HGET', account, 'total') or 0)
    if most_money >= 0 and used + ARGV[at + 6] > most_money then
      return {{i, {BUDGET}, period, string.format('%.0f', used)}}
    end
  end
end
for i = 1, #KEYS do
  local at = 3 + (i - 1) * 7
  redis.call('HINCRBY', KEYS[i] .. ':minute', bucket .. 'r', 1)
  redis.call('HINCRBY', KEYS[i] .. ':minute', bucket .. 't', ARGV[at + 3])
  redis.call('EXPIRE', KEYS[i] .. ':minute', 120)
  redis.call('HINCRBY', KEYS[i] .. ':now', ARGV[1], 1)
  if ARGV[at + 6] ~= '0' then
    redis.call('HINCRBY', KEYS[i] .. ':held', ARGV[1], ARGV[at + 6])
    redis.call('EXPIRE', KEYS[i] .. ':held', {_KEPT_S})
  end
end
return {{0, bucket, 0}}
"""
_SETTLE: Final = f"""
local late = behind()
for i = 1, #KEYS do
  local at = 5 + (i - 1) * 4
  if not late then
    if redis.call('HEXISTS', KEYS[i] .. ':minute', ARGV[3] .. 't') == 1 then
      redis.call('HINCRBY', KEYS[i] .. ':minute', ARGV[3] .. 't', ARGV[at])
    end
    if redis.call('HEXISTS', KEYS[i] .. ':now', ARGV[1]) == 1 then
      redis.call('HINCRBY', KEYS[i] .. ':now', ARGV[1], 0 - ARGV[4])
    end
    if tonumber(ARGV[at + 1]) > 0 or redis.call('HEXISTS', KEYS[i] .. ':held', ARGV[1]) == 1 then
      redis.call('HINCRBY', KEYS[i] .. ':held', ARGV[1], ARGV[at + 1])
      redis.call('EXPIRE', KEYS[i] .. ':held', {_KEPT_S})
    end
  end
  if ARGV[at + 2] ~= '' then pay(KEYS[i] .. ':money:' .. ARGV[at + 2], ARGV[1], tonumber(ARGV[at + 3])) end
end
"""
_TELL: Final = f"""
if behind() then return end
local account, lost = KEYS[1] .. ':money:' .. ARGV[4], 'l:' .. ARGV[1]
if ARGV[3] ~= '' then
  if ARGV[3] == '0' then
    redis.call('HDEL', KEYS[1] .. ':held', ARGV[1])
  else
    redis.call('HSET', KEYS[1] .. ':held', ARGV[1], ARGV[3])
    redis.call('EXPIRE', KEYS[1] .. ':held', {_KEPT_S})
  end
  local given_up = redis.call('HGET', account, lost)
  if given_up then
    add(account, lost, 0 - given_up)
    redis.call('HDEL', account, lost)
  end
end
for j = 6, #ARGV, 2 do pay(account, ARGV[j], tonumber(ARGV[j + 1])) end
if ARGV[5] == '1' then
  redis.call('HSET', account, 'seeded', '1')
  redis.call('EXPIRE', account, {_KEPT_S})
end
"""
_BEAT: Final = """
local was_alive = alive(ARGV[1]) and 1 or 0
sign_of_life()
return {born(), milliseconds(), was_alive}
"""


class Scripts(Value, frozen=True):
    """The texts. Each takes first the process's name and the number of its connection.

    A command of an earlier connection that arrives late changes no reservation.
    """

    take: str
    """Count a request. Seven words a subject: most requests, tokens, at once (-1: any number); the request's tokens;
    the budget's period (empty: no budget), its amount (-1: warn only), the request's cost.
    The answer: the place of the subject that refuses, or 0, or -1 for a process taken for lost; then the bucket or the
    reason; seconds to wait, or the period; the money used."""
    settle: str
    """End a request. The bucket, the requests that end (0 or 1), and four words a subject: changes of the tokens and
    of the reservation, the period of a payment (empty: none), all that this process has paid in it."""
    tell: str
    """State of a subject's money: reserved now (empty: as it is), the period, 1 for the whole book, and pairs of a
    writer and its amount."""
    beat: str
    """Give a sign of life. The answer: birth and time of the counters in milliseconds, 1 while the last one held."""

    @property
    def all(self) -> Sequence[str]:
        """Every text, to be loaded on a new connection."""
        return self.take, self.settle, self.tell, self.beat


@functools.lru_cache(16)
def digest_of(text: str) -> str:
    """Return the name that Valkey gives to a script."""
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


def scripts(clock: str = _CLOCK, young_ms: int = YOUNG_MS) -> Scripts:
    """Return the scripts; ``clock`` is an expression for seconds and microseconds since the epoch."""
    head = f"local now = {clock}\nlocal young_ms = {young_ms}\n{CALENDAR}{_SHARED}"
    return Scripts(take=head + _TAKE, settle=head + _SETTLE, tell=head + _TELL, beat=head + _BEAT)
