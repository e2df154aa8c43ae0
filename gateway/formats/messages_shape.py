"""Shapes of Anthropic's request: its messages, content blocks, tools and options.

``messages`` translates them. Unknown fields are dropped, unknown blocks are refused.
"""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from msgspec import Raw


class ContentBlock(msgspec.Struct, frozen=True, tag_field="type"):
    """Base of the known content blocks; other fields, ``cache_control`` too, are dropped."""


class Text(ContentBlock, frozen=True, tag="text"):
    text: str


class Base64(ContentBlock, frozen=True, tag="base64"):
    media_type: str
    data: str


class Url(ContentBlock, frozen=True, tag="url"):
    url: str


class Image(ContentBlock, frozen=True, tag="image"):
    source: Base64 | Url


class PlainText(ContentBlock, frozen=True, tag="text"):
    """The source of a document; ``Text`` is a block."""

    data: str


class Blocks(ContentBlock, frozen=True, tag="content"):
    content: str | list[Text | Image]


class Document(ContentBlock, frozen=True, tag="document"):
    source: Base64 | PlainText | Blocks
    title: str | None = None


class SearchResult(ContentBlock, frozen=True, tag="search_result"):
    title: str
    source: str
    content: list[Text]


class ToolReference(ContentBlock, frozen=True, tag="tool_reference"):
    tool_name: str


class ToolUse(ContentBlock, frozen=True, tag="tool_use"):
    id: str
    name: str
    input: Raw


class ToolResult(ContentBlock, frozen=True, tag="tool_result"):
    tool_use_id: str
    content: str | list[Text | Image | Document | SearchResult | ToolReference] | None = None
    is_error: bool | None = None


class Thinking(ContentBlock, frozen=True, tag="thinking"):
    """A model's thoughts; those of Anthropic's models are signed."""

    thinking: str = ""
    signature: str = ""


class RedactedThinking(ContentBlock, frozen=True, tag="redacted_thinking"):
    """Another model's thoughts, encrypted."""


class OwnTool(ContentBlock, frozen=True):
    """Base of the blocks about Anthropic's own tools, run at its servers: a chat has no place for them.

    The model's text beside them says what it found.
    """


class ServerToolUse(OwnTool, frozen=True, tag="server_tool_use"): ...


class McpToolUse(OwnTool, frozen=True, tag="mcp_tool_use"): ...


class McpToolResult(OwnTool, frozen=True, tag="mcp_tool_result"): ...


class WebSearchResult(OwnTool, frozen=True, tag="web_search_tool_result"): ...


class WebFetchResult(OwnTool, frozen=True, tag="web_fetch_tool_result"): ...


class CodeResult(OwnTool, frozen=True, tag="code_execution_tool_result"): ...


class ShellResult(OwnTool, frozen=True, tag="bash_code_execution_tool_result"): ...


class EditorResult(OwnTool, frozen=True, tag="text_editor_code_execution_tool_result"): ...


class ToolSearchResult(OwnTool, frozen=True, tag="tool_search_tool_result"): ...


OwnToolBlock = (
    ServerToolUse | McpToolUse | McpToolResult | WebSearchResult | WebFetchResult | CodeResult | ShellResult
    | EditorResult | ToolSearchResult
)  # fmt: skip


class InputMessage(msgspec.Struct, frozen=True, tag_field="role"):
    """Base of the messages."""


class User(InputMessage, frozen=True, tag="user"):
    content: str | list[Text | Image | Document | SearchResult | ToolResult]


class Assistant(InputMessage, frozen=True, tag="assistant"):
    content: str | list[Text | ToolUse | Thinking | RedactedThinking | OwnToolBlock]


class System(InputMessage, frozen=True, tag="system"):
    content: str | list[Text]


class Tool(msgspec.Struct, frozen=True):
    name: str = ""
    type: str | None = None
    description: str | None = None
    input_schema: Raw = Raw()
    strict: bool | None = None


class ToolChoice(msgspec.Struct, frozen=True):
    type: Literal["auto", "any", "tool", "none"]
    name: str = ""
    disable_parallel_tool_use: bool | None = None


class ThinkingConfig(msgspec.Struct, frozen=True):
    type: str
    display: str | None = None


class Format(msgspec.Struct, frozen=True):
    type: Literal["json_schema"]
    schema: Raw


class OutputConfig(msgspec.Struct, frozen=True):
    effort: str | None = None
    format: Format | None = None


DECODERS: Mapping[str, msgspec.json.Decoder[Any]] = {
    "model": msgspec.json.Decoder(str),
    "messages": msgspec.json.Decoder(list[User | Assistant | System]),
    "system": msgspec.json.Decoder(str | list[Text] | None),
    "stop_sequences": msgspec.json.Decoder(list[str] | None),
    "stream": msgspec.json.Decoder(bool | None),
    "tools": msgspec.json.Decoder(list[Tool] | None),
    "tool_choice": msgspec.json.Decoder(ToolChoice | None),
    "metadata": msgspec.json.Decoder(dict[str, Any] | None),
    "thinking": msgspec.json.Decoder(ThinkingConfig | None),
    "output_config": msgspec.json.Decoder(OutputConfig | None),
}
