"""The estimate of a request's tokens."""

import json
from typing import Any

import pytest

from gateway.formats.chat import open_chat
from gateway.formats.token_estimate import estimated_tokens

PROSE = "The quick brown fox jumps over the lazy dog while the small model waits for its next question. " * 20


def tokens(*contents: Any, **fields: Any) -> int:
    messages = [{"role": "user", "content": content} for content in contents]
    return estimated_tokens(open_chat(json.dumps({"model": "m", "messages": messages, **fields}).encode()))


COUNTED = [
    ("Please cancel the second order and refund it to the card that was used; it is still in your warehouse.", 22),
    ("Bitte stornieren Sie die zweite Bestellung und erstatten Sie den Betrag auf die verwendete Karte.", 21),
    ("Пожалуйста, отмените второй заказ и верните деньги на карту; посылка ещё не покинула ваш склад.", 26),
    ("请取消第二个订单并将款项退回到付款时使用的银行卡。", 18),
    ("二番目の注文を取り消して、支払いに使ったカードに返金してください。荷物はまだ倉庫を出ていません。", 34),
    ("يرجى إلغاء الطلب الثاني وإعادة المبلغ إلى البطاقة المستخدمة؛ لم تغادر الشحنة مستودعكم بعد.", 27),
    ("कृपया दूसरा ऑर्डर रद्द करें और राशि उसी कार्ड पर वापस करें; पार्सल अभी आपके गोदाम से नहीं निकला है।", 33),
    ("def total(prices: list[float], rate: float) -> float:\n    return sum(p * (1 + rate) for p in prices)\n", 31),
    ('{"order": {"id": "A-20417", "items": [{"sku": "shoe-42", "count": 2, "price": 59.9}], "paid": true}}', 42),
    ("| month | orders | refunds | share |\n|---|---|---|---|\n| 2026-01 | 1,204 | 31 | 2.6% |\n", 39),
]
"""Texts, and their tokens by ``o200k_base`` (js-tiktoken 1.0.21)."""


@pytest.mark.parametrize(("text", "counted"), COUNTED)
def test_a_text_counts_as_its_tokenizer_does(text: str, counted: int) -> None:
    """Within 30%, whatever its script: the estimate was fitted to other texts."""
    tokens_of_many = tokens(text * 40)
    assert 0.7 < tokens_of_many / (40 * counted) < 1.3


def test_a_sample_of_a_long_text_says_the_same() -> None:
    """The cost stays bounded."""
    assert tokens(PROSE * 40) == pytest.approx(40 * tokens(PROSE), rel=0.1)


def test_other_scripts_count_more() -> None:
    """A Chinese letter is about a token."""
    assert tokens("模型在回答之前先思考" * 50) > 3 * tokens("abcdefghij" * 50) / 2


@pytest.mark.parametrize("letters", [100, 4_000_000])
def test_an_image_counts_the_same_whatever_its_bytes(letters: int) -> None:
    """Base64 of megabytes would look like a full context, and clients would drop their history."""
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * letters}}
    assert 1_000 < tokens([image, {"type": "text", "text": "What is it?"}]) < 1_300


def test_tools_and_turns_count() -> None:
    """More of either is more; nothing is at least one."""
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    assert tokens("hi") < tokens("hi", "hi") < tokens("hi", "hi", tools=[tool])
    assert tokens("") >= 1


def test_rules_count() -> None:
    """They fill the context as the conversation does."""
    request = open_chat(json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}]}).encode())
    assert estimated_tokens(request, PROSE) > estimated_tokens(request) + len(PROSE) / 5
