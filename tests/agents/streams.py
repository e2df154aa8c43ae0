"""What clients make of streams: the whole reply, with the usage that their context meters show."""

import json
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]


def events(body: bytes) -> Iterator[Json]:
    return (json.loads(line[6:]) for line in body.splitlines() if line.startswith(b"data: {"))


def put_together(body: bytes) -> Json:
    """Return the message or the response of a stream; a whole reply as it is."""
    if body.startswith(b"{"):
        whole: Json = json.loads(body)
        return whole
    made: Json = {}
    for event in events(body):
        match event["type"]:
            case "response.completed":
                return dict(event["response"])
            case "message_start":
                made = event["message"]
            case "content_block_start":
                made["content"].append({**event["content_block"], "pieces": ""})
            case "content_block_delta":
                _grow(made["content"][event["index"]], event["delta"])
            case "content_block_stop":
                block = made["content"][event["index"]]
                pieces = block.pop("pieces")
                if pieces:
                    block["input"] = json.loads(pieces)
            case "message_delta":
                made |= event["delta"]
                made["usage"] |= event["usage"]
    return made


def _grow(block: Json, delta: Json) -> None:
    match delta["type"]:
        case "text_delta":
            block["text"] += delta["text"]
        case "thinking_delta":
            block["thinking"] += delta["thinking"]
        case "signature_delta":
            block["signature"] += delta["signature"]
        case "input_json_delta":
            block["pieces"] += delta["partial_json"]


def metered(usage: Json) -> tuple[int, int, int]:
    """Return the tokens of the prompt, of them those from the cache, and of the reply, as a client adds them up."""
    if "cache_read_input_tokens" in usage:
        read = usage["cache_read_input_tokens"]
        return usage["input_tokens"] + read + usage["cache_creation_input_tokens"], read, usage["output_tokens"]
    return usage["input_tokens"], usage["input_tokens_details"]["cached_tokens"], usage["output_tokens"]


def insertion(sent: bytes, got: bytes) -> bytes:
    """Return what was put into the bytes that a client sent, in a single place; raises if anything else differs."""
    start = next((at for at, (one, other) in enumerate(zip(sent, got, strict=False)) if one != other), len(sent))
    behind = len(sent) - start
    assert got[len(got) - behind :] == sent[start:], "more than an insertion"
    return got[start : len(got) - behind]
