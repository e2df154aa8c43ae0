"""Secrets and personal addresses in users' texts, replaced by what they are, before a text is shown to anybody else.

Recognised by their form alone: keys, tokens, passwords, private keys, e-mail addresses, cards, accounts. Names, postal
addresses and telephone numbers have no form of their own, or look like the numbers of a sum, and stay. Equal secrets in
a set of texts get equal marks: a reply with a wrong address remains visibly wrong.
"""

import re
from collections.abc import Callable

_SEEN = 100_000
"""Characters of a text to keep, from both ends together: more is never shown."""

_FORMS = {
    "private key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    "token": (
        r"\beyJ[\w-]{8,}\.[\w-]{4,}(?:\.[\w-]*)?"  # a JSON web token
        r"|\b(?:sk|pk|rk)[-_][\w-]{6,}|\bgh[opsur]_\w{6,}|\bgithub_pat_\w{6,}|\bglpat-[\w-]{6,}|\bxox[a-z]-[\w-]{6,}"
        r"|\bAKIA[0-9A-Z]{12,}|\bAIza[\w-]{20,}|\bhf_[A-Za-z]\w{10,}"
    ),
    "password": (
        r"(?<=://)[^\s/:@]{1,80}:[^\s/@]{1,80}(?=@)"
        r"|(?i:(?<=bearer )|(?<=basic ))(?=\S*\d)[\w+/=.~-]{8,}"
        r"|(?i:\b(?:password|passwd|passphrase|pwd|secret|api[_ -]?key|access[_ -]?key|auth[_ -]?token)"
        r"['\"]?(?:\s*[:=]\s*|\s+is:?\s+))['\"]?[^\s'\",;]{4,}"
    ),
    "e-mail": r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+",
    "account": r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?\b",
    "card": r"(?<![\d.,-])\d(?:[ -]?\d){12,18}(?![\d.,-]*\d)",
    "key": r"(?<![\w+/=-])(?=[\w+/=-]*\d)(?=[\w+/=-]*[A-Za-z])[\w+/=-]{20,}",
}
_FORM = re.compile("|".join(f"(?P<f{place}>{pattern})" for place, pattern in enumerate(_FORMS.values())), re.DOTALL)
_KINDS = tuple(_FORMS)
_MARK = re.compile(rf"\[(?:{'|'.join(_FORMS)}) \d+\]")
_IDENTIFIER = re.compile(r"[A-Za-z]++(?:[_-][A-Za-z]++|[_-]?\d++)*+")  # possessive: linear on a client's text
"""Words in a row, as in code and file names: long, with a number, and still no key."""


def redacted(*texts: str) -> tuple[str, ...]:
    """Return the texts with a mark such as ``[e-mail 1]`` for every secret; equal secrets have equal marks."""
    known: dict[str, dict[str, int]] = {}

    def mark(match: re.Match[str]) -> str:
        kind = _KINDS[int((match.lastgroup or "f0")[1:])]
        secret = match[0]
        if not _CHECKS.get(kind, _always)(secret):
            return secret
        numbers = known.setdefault(kind, {})
        return f"[{kind} {numbers.setdefault(secret, len(numbers) + 1)}]"

    return tuple(_FORM.sub(mark, _ends(text)) for text in texts)


def marks(text: str) -> frozenset[str]:
    """The marks in a redacted text."""
    return frozenset(_MARK.findall(text))


def _ends(text: str) -> str:
    return text if len(text) <= _SEEN else f"{text[: _SEEN // 2]} ... {text[-_SEEN // 2 :]}"


def _always(text: str) -> bool:
    return True


def _is_key(text: str) -> bool:
    """Decide whether letters and digits were drawn by a machine."""
    return _IDENTIFIER.fullmatch(text) is None and not text.startswith(("-", "=", "_"))


def _is_card(text: str) -> bool:
    """Check the last digit of a card number (ISO/IEC 7812-1, annex B)."""
    digits = [int(digit) for digit in reversed(text) if digit.isdigit()]
    doubled = (digit * 2 for digit in digits[1::2])
    return (sum(digits[::2]) + sum(digit - 9 if digit > 9 else digit for digit in doubled)) % 10 == 0 and any(digits)


def _is_account(text: str) -> bool:
    """Check the digits of an international bank account number (ISO 13616)."""
    solid = text.replace(" ", "")
    return int("".join(str(int(letter, 36)) for letter in solid[4:] + solid[:4])) % 97 == 1


_CHECKS: dict[str, Callable[[str], bool]] = {"key": _is_key, "card": _is_card, "account": _is_account}
