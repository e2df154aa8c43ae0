"""Refusals are told by their beginning; what only sounds like one is none."""

import json

import pytest

from optimizer.dataset.recorded_request import RecordedRequest, read_request
from optimizer.dataset.refusal import refuses


def asked(*texts: str, before: dict[str, str] | None = None) -> RecordedRequest:
    turns = [{"role": "user", "content": text} for text in texts]
    return read_request(json.dumps({"messages": [before, *turns] if before else turns}).encode())


@pytest.mark.parametrize(
    "reply",
    [
        "I'm sorry, but I can't assist with that.",
        "I\u2019m sorry, but I can\u2019t help with that request.",
        "I can't help with that.",
        "Sorry, I cannot assist you with creating that kind of content.",
        "I'm really sorry, but I'm unable to help.",
        "I apologize, but I cannot fulfill this request.",
        "**I cannot comply with your request.**",
        "I cannot provide instructions on how to do this.",
        "As an AI language model, I cannot browse the internet.",
        "Unfortunately, as an AI assistant, I am not able to do so.",
        "I must respectfully decline your request.",
        "I'm sorry, I can't answer that question.",
        "I'm afraid I can't do that.",
        "I'm not comfortable writing this.",
        "Lo siento, pero no puedo ayudarte con eso.",
        "Je suis désolé, mais je ne peux pas vous aider avec cette demande.",
        "Désolée, je ne peux pas répondre à cette question.",
        "Es tut mir leid, aber dabei kann ich Ihnen nicht helfen.",
        "Tut mir leid, ich kann diese Anfrage nicht beantworten.",
        "Desculpe, mas não posso ajudar com isso.",
        "Mi dispiace, ma non posso aiutarti con questa richiesta.",
        "很抱歉\uff0c我无法提供这方面的信息。",
        "抱歉,我不能协助您完成这个请求。",
        "申し訳ありませんが、そのリクエストにはお応えできません。",
    ],
)
def test_a_refusal_at_the_beginning_is_one(reply: str) -> None:
    """In several languages, with either apostrophe, and in bold."""
    assert refuses(reply, asked("Tell me."))


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "42",
        "I'm sorry to hear that! Try to restart the router first.",
        "Sorry for the delay. Your parcel is on its way.",
        "I can't help but notice that the sum is wrong: it is 12.",
        "Unfortunately, your refund cannot be processed, because the period is over.",
        "Dear Ms Lee, I am sorry, but I cannot attend the meeting on Friday.",
        "I'm sorry, but I can't come to your party.",
        "I cannot provide a refund for order 17, but here is a voucher.",
        "I can't do this anymore, she said, and closed the door.",
        "I won't go there, said Tom.",
        "As an AI engineer, I cannot recommend this library enough.",
        "I cannot find the word 'nut' in the text, so the answer is: no.",
        "Here is the translation: I'm sorry, but I can't assist with that.",
        "The assistant said: I can't help with that.",
        "Lo siento mucho por tu pérdida.",
        "Je suis désolé pour le retard.",
        "Es tut mir leid, dass Sie warten mussten.",
        "Mi dispiace per il ritardo.",
        "很抱歉让您久等了。",
        "申し訳ありません。すぐに確認いたします。",
        "I can't assist with that. " + "But here is how it is done, step by step. " * 50,
    ],
)
def test_an_answer_that_apologises_is_none(reply: str) -> None:
    """Letters, stories, quotations, and long replies that say more."""
    assert not refuses(reply, asked("Tell me."))


def test_words_that_the_request_holds_are_no_refusal() -> None:
    """A prompt may prescribe them, and a text to be repeated may hold them; an earlier refusal prescribes nothing."""
    reply = "Lo siento, pero no puedo responder tu pregunta."
    told = {"role": "system", "content": f'Si no lo sabes, responde con "{reply}"'}
    assert not refuses(reply, asked("¿Quién?", before=told))
    before = {"role": "assistant", "content": reply}
    assert refuses(reply, asked("¿Quién?", before=before))
