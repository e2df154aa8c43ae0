"""A conversation, from Anthropic's messages to a chat's: blocks become parts, calls and results of tools. Pure.

Search results and references to tools become texts, documents become files. Calls and results of Anthropic's own tools
are left out; the text beside them stays. Thinking goes back with its calls to the
model that wrote it; Anthropic's has a signature and is Anthropic's alone.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

from gateway.formats import messages_shape as shape

LONGEST_NAME = 64
"""Letters of a tool's name at most at OpenAI; Anthropic takes 128."""
_KEPT = 55
_BILLING = "x-anthropic-billing-header:"
"""Beginning of a block for Anthropic's accounts. It differs in each request, so no prompt cache would hit behind it."""
Part = dict[str, Any]


def chat_turns(turns: Sequence[shape.InputMessage], system: str | list[shape.Text] | None) -> list[dict[str, Any]]:
    """Return the messages of a chat."""
    blocks = [block for block in system if not block.text.startswith(_BILLING)] if isinstance(system, list) else system
    first = [shape.System(blocks)] if blocks else []
    return [message for turn in (*first, *turns) for message in _messages(turn)]


def chat_name(name: str) -> str:
    """Return a tool's name in the length of a chat's: a longer name ends in a digest of the whole."""
    if len(name) <= LONGEST_NAME:
        return name
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{name[:_KEPT]}_{digest[: LONGEST_NAME - _KEPT - 1]}"


def _messages(turn: shape.InputMessage) -> list[dict[str, Any]]:
    match turn:
        case shape.System(content=content):
            return [{"role": "system", "content": _joined(content, "\n\n")}]
        case shape.Assistant(content=content):
            return [_assistant(content)]
        case shape.User(content=str(text)):
            return [{"role": "user", "content": text}]
        case shape.User(content=list(blocks)):
            return _user(blocks)
    raise AssertionError(f"no other turn is decoded: {type(turn)}")


def _assistant(content: str | Sequence[shape.ContentBlock]) -> dict[str, Any]:
    calls = [
        {
            "id": block.id,
            "type": "function",
            "function": {"name": chat_name(block.name), "arguments": bytes(block.input).decode()},
        }
        for block in content
        if isinstance(block, shape.ToolUse)
    ]
    # A reply that was streamed may hold its text in several blocks, cut anywhere.
    text = _joined(content, "")
    if not calls:
        return {"role": "assistant", "content": text}
    # Some models go on with a call only if they see why they made it (DeepSeek, Kimi).
    thoughts = "".join(block.thinking for block in content if isinstance(block, shape.Thinking) and not block.signature)
    reasoning = {"reasoning_content": thoughts} if thoughts else {}
    return {"role": "assistant", "content": text or None, **reasoning, "tool_calls": calls}


def _user(content: Sequence[shape.ContentBlock]) -> list[dict[str, Any]]:
    """Put tool results first, because a chat wants them right behind their calls; the user's own message follows."""
    results: list[dict[str, Any]] = []
    parts: list[Part] = []
    for block in content:
        if not isinstance(block, shape.ToolResult):
            parts += _parts(block)
            continue
        inner: Sequence[shape.ContentBlock] = block.content if isinstance(block.content, list) else ()
        given = [(item, part) for item in inner for part in _parts(item)]
        texts = [part["text"] for _, part in given if part["type"] == "text"]
        text = block.content if isinstance(block.content, str) else "\n".join(texts)
        if block.is_error:
            text = f"Error: {text}" if text else "Error"
        results.append({"role": "tool", "tool_call_id": block.tool_use_id, "content": text})
        files = [(item, part) for item, part in given if part["type"] != "text"]
        if files:
            # A tool message is text only, so its images and documents follow as the user's.
            kind = "Images" if all(isinstance(item, shape.Image) for item, _ in files) else "Files"
            label = {"type": "text", "text": f"{kind} in the result of {block.tool_use_id}:"}
            parts += [label, *(part for _, part in files)]
    if parts or not results:
        alone = len(parts) == 1 and parts[0]["type"] == "text"
        results.append({"role": "user", "content": parts[0]["text"] if alone else parts})
    return results


def _parts(block: shape.ContentBlock) -> list[Part]:
    """Return the parts of a block."""
    match block:
        case shape.Text(text=text):
            return [{"type": "text", "text": text}]
        case shape.Image(source=shape.Url(url=url)):
            return [{"type": "image_url", "image_url": {"url": url}}]
        case shape.Image(source=shape.Base64() as source):
            return [{"type": "image_url", "image_url": {"url": _data_url(source)}}]
        case shape.Document(source=shape.Base64() as source, title=title):
            return [{"type": "file", "file": {"filename": title or "document.pdf", "file_data": _data_url(source)}}]
        case shape.Document(source=shape.PlainText(data=data), title=title):
            return [{"type": "text", "text": f"{title}\n{data}" if title else data}]
        case shape.Document(source=shape.Blocks(content=content), title=title):
            titled = [{"type": "text", "text": title}] if title else []
            return [*titled, *_inner(content)]
        case shape.SearchResult(title=title, source=source, content=content):
            return [{"type": "text", "text": "\n".join((title, source, _joined(content, "\n")))}]
        case shape.ToolReference(tool_name=name):
            return [{"type": "text", "text": f"Tool: {chat_name(name)}"}]
    raise AssertionError(f"no other block stands there: {type(block)}")


def _inner(content: str | Sequence[shape.ContentBlock]) -> list[Part]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [part for block in content for part in _parts(block)]


def _data_url(source: shape.Base64) -> str:
    return f"data:{source.media_type};base64,{source.data}"


def _joined(content: str | Sequence[shape.ContentBlock], separator: str) -> str:
    if isinstance(content, str):
        return content
    return separator.join(block.text for block in content if isinstance(block, shape.Text))
