"""Replies that begin with a refusal, recognised by their wording in a few languages. Calls no model.

Published lists of substrings (Zou et al., arXiv 2307.15043, and its successors) hold "Sorry", "I cannot" and "As an
AI", because all their prompts are harmful. On ordinary traffic these words also begin letters to customers, stories and
partial answers; XSTest (Roettger et al., arXiv 2308.01263) keeps those apart from full refusals. Here a phrase counts
at the very beginning of a short reply only, together with its object: helping, complying, "that request".
"""

import re

from optimizer.dataset.recorded_request import RecordedRequest, folded

_OPENING = 200
"""Characters at the start of a reply that are searched for a refusal."""
_ANSWER = 1500
"""Characters; a longer reply says more than a refusal does."""

_SORRY = (
    r"(?:(?:i'm|i am)(?: \w+)? (?:sorry|afraid)|sorry|(?:my )?apologies|i apologi[sz]e|unfortunately)"
    r"[,.;:!\u2013\u2014 -]*(?:but |that |however,? )?"
)
_AN_AI = r"as an ai(?: (?:language )?(?:model|assistant|chatbot))*,? "
_LED = rf"(?:{_SORRY})?(?:{_AN_AI})?"
_CANNOT = r"(?:i (?:can't|cannot|can not|won't|will not)|(?:i'm|i am) (?:unable|not able|not allowed|not permitted) to)"
_THIS = r"(?:that|this|these|those|such|any|your (?:request|question|query)|the request|\w+ing)\b"
_MAKE = r"(?:provide|create|generate|write|produce|share|offer|engage in)"
_SUCH = r"(?:that kind|this kind|such|any|instructions|guidance on|content|assistance|information (?:on|about))\b"
_ENGLISH = (
    rf"{_LED}{_CANNOT} (?:help|assist)(?: you)?(?:[.!,]|$| (?:with|in) {_THIS})",
    rf"{_LED}{_CANNOT} (?:comply with|fulfill?) (?:that|this|your|the|such)\b",
    rf"{_LED}{_CANNOT} {_MAKE} {_SUCH}",
    rf"{_SORRY}(?:{_AN_AI})?{_CANNOT} (?:answer|discuss|process|respond to|continue with) (?:that|this|your)\b",
    rf"{_SORRY}(?:{_AN_AI})?{_CANNOT} do that\b",
    rf"(?:{_SORRY})?{_AN_AI}(?:{_CANNOT}|i (?:don't|do not) have the ability)\b",
    rf"{_LED}i (?:must|have to|need to) (?:respectfully |politely )?decline (?:(?:this|that|your|the) request|to)\b",
    r"(?:i'm not|i am not|i don't feel|i do not feel) comfortable (?:\w+ing|with (?:that|this))\b",
)
_SPANISH = (
    r"(?:lo siento|lo lamento|disculpa|disculpe)[,.]? (?:pero )?no puedo"
    r" (?:ayudar(?:te|le|lo)?|asistir(?:te|le)?|cumplir|responder|proporcionar|hacer eso)\b"
)
_FRENCH = (
    r"(?:je suis (?:vraiment )?désolée?|désolée?|je m'excuse)[,.]? (?:mais )?je ne (?:peux|puis) (?:pas )?"
    r"(?:(?:vous |t')?(?:aider|assister)|(?:répondre|accéder) à (?:cette|votre|ta)|fournir)\b"
)
_GERMAN = (
    r"(?:es )?tut mir (?:sehr )?leid[,.]? (?:aber )?(?:"
    r"ich kann (?:dir |ihnen )?(?:dabei|damit|hierbei) (?:leider )?nicht"
    r"|(?:dabei|damit|hierbei) kann ich (?:dir |ihnen )?(?:leider )?nicht"
    r"|ich kann (?:diese|ihre|deine) (?:anfrage|frage|bitte) (?:leider )?nicht)\b"
)
_PORTUGUESE = (
    r"(?:desculpe|desculpa|sinto muito|lamento)[,.]? (?:mas )?(?:eu )?não posso"
    r" (?:(?:te |lhe )?ajudar|ajudá-l[oa]|atender|cumprir|responder|fornecer)\b"
)
_ITALIAN = (
    r"(?:mi dispiace|spiacente)[,.]? (?:ma )?non posso"
    r" (?:aiutarti|aiutarla|assisterti|soddisfare|rispondere|fornire)\b"
)
_CHINESE = (
    r"(?:很|非常)?(?:抱歉|对不起|對不起)\W{0,2}(?:但)?我(?:不能|无法|無法)"
    r"(?:协助|協助|帮助|幫助|提供|满足|滿足|回答|回应|完成)"
)
_JAPANESE = (
    r"申し訳(?:ありません|ございません|ない)[^。]{0,40}"
    r"(?:お手伝い|お答え|お応え|対応|提供|応じる)[^。]{0,20}(?:ません|かねます)"
)
_REFUSAL = re.compile("|".join((*_ENGLISH, _SPANISH, _FRENCH, _GERMAN, _PORTUGUESE, _ITALIAN, _CHINESE, _JAPANESE)))


def refuses(text: str, request: RecordedRequest) -> bool:
    """Decide whether a reply is a refusal. Words of the request itself do not count: a prompt may prescribe them."""
    if len(text) > _ANSWER:
        return False
    match = _REFUSAL.match(_plain(text[:_OPENING]))
    if match is None:
        return False
    return not any(match[0] in _plain(turn.content) for turn in request.turns if turn.role != "assistant")


def _plain(text: str) -> str:
    return folded(text.replace("\u2019", "'")).lstrip("*_#>\"' ")
