"""Claude Code and Codex as their requests were recorded (2.1.197 and 0.171.0, November 2026): each field, each kind of
block and item, each mark, with texts of our own. A client sends its whole history with every request.
"""

import json
from collections.abc import Mapping
from typing import Any, Protocol

MODEL = "gpt-4o-mini"
MARK = {"type": "ephemeral"}
COMMAND = {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]}
LONG = "You are an agent that helps with software. " * 120

Json = dict[str, Any]


class Agent(Protocol):
    """A client under way."""

    path: str
    headers: Mapping[str, str]

    def request(self, *, stream: bool) -> bytes:
        """Return the next request."""

    def take(self, reply: Json) -> bool:
        """Take a reply, run its calls, and decide whether to go on."""

    def compaction(self) -> bytes:
        """Return the request for a summary in the place of the history."""


class ClaudeCode:
    """Marks the end of its instructions and of its newest turn, and moves the latter from turn to turn."""

    path = "/v1/messages?beta=true"
    headers: Mapping[str, str] = {
        "anthropic-version": "2023-06-01",
        "anthropic-beta": "claude-code-20250219,interleaved-thinking-2025-05-14,mid-conversation-system-2026-04-07",
        "user-agent": "claude-cli/2.1.197 (external, sdk-cli)", "x-stainless-retry-count": "0",
        "x-claude-code-session-id": "baa70911-89eb-4a50-8b74-4f77140ddd63",
    }  # fmt: skip

    def __init__(self, asked: str = "Do the steps.") -> None:
        reminder = "<system-reminder>\nAs you answer, you can use this context:\n# currentDate\n</system-reminder>"
        texts = (reminder, asked)
        self._turns: list[Json] = [
            {"role": "user", "content": [{"type": "text", "text": text} for text in texts]},
            {"role": "system", "content": "Available agent types:\n- general: any task"},
        ]

    def request(self, *, stream: bool) -> bytes:
        body = {
            "model": MODEL,
            "messages": self._marked(),
            "system": [
                {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.197.712; cc_entrypoint=sdk-cli;"},
                {"type": "text", "text": "You are an agent.", "cache_control": MARK},
                {"type": "text", "text": "\n" + LONG, "cache_control": MARK},
            ],
            "tools": [
                {"name": "Bash", "description": "Runs a command. " * 40, "input_schema": COMMAND},
                {"name": "mcp__server__" + "find" * 16, "description": "Finds.", "input_schema": {"type": "object"}},
            ],
            "metadata": {"user_id": json.dumps({"device_id": "0d5e122d", "session_id": "baa70911"})},
            "max_tokens": 32000,
            "thinking": {"type": "adaptive"},
            "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
            "output_config": {"effort": "high"},
            "stream": stream,
        }
        return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()

    def compaction(self) -> bytes:
        """Keeps the tools, and forbids their use in words."""
        asked = {"type": "text", "text": "CRITICAL: Respond with TEXT ONLY. Do NOT call any tools."}
        body = json.loads(self.request(stream=True))
        return json.dumps({**body, "messages": [*self._turns, {"role": "user", "content": [asked]}]}).encode()

    def _marked(self) -> list[Json]:
        last = max(at for at, turn in enumerate(self._turns) if turn["role"] == "user")
        content = self._turns[last]["content"]
        marked = {**self._turns[last], "content": [*content[:-1], {**content[-1], "cache_control": MARK}]}
        return [*self._turns[:last], marked, *self._turns[last + 1 :]]

    def take(self, reply: Json) -> bool:
        self._turns.append({"role": "assistant", "content": reply["content"]})
        results = [
            {"tool_use_id": block["id"], "type": "tool_result", "content": block["input"]["command"], "is_error": False}
            for block in reply["content"]
            if block["type"] == "tool_use"
        ]
        if results:
            self._turns.append({"role": "user", "content": results})
        return bool(results)


class Codex:
    """Stores nothing at the server; instructions are items of the input; some tools live in a namespace."""

    path = "/v1/responses"
    headers: Mapping[str, str] = {
        "x-codex-beta-features": "remote_compaction_v2", "originator": "codex_exec", "accept": "text/event-stream",
        "session-id": "01a22727-f207-7b13-8897-e463836b577f", "x-client-request-id": "01a22727-f207-7b13-8897",
    }  # fmt: skip

    def __init__(self, asked: str = "Do the steps.") -> None:
        self._items: list[Json] = [
            said("msg_1", "developer", LONG),
            said("msg_2", "developer", "<skills_instructions>\n## Skills", "<permissions instructions>"),
            said("msg_3", "user", "<environment_context>\n  <cwd>/work</cwd>"),
            said("msg_4", "user", asked),
        ]

    def request(self, *, stream: bool) -> bytes:
        spawn = {"type": "function", "name": "spawn", "strict": False, "parameters": {"type": "object"}}
        body = {
            "model": MODEL,
            "stream": stream,
            "input": self._items,
            "tools": [
                {"type": "function", "name": "exec_command", "description": "Runs a command. " * 40, "strict": False,
                 "parameters": {"type": "object", "properties": {"cmd": {"type": "string"}}}},
                {"type": "namespace", "name": "multi_agent_v1", "description": "Agents.", "tools": [spawn]},
                {"type": "web_search", "external_web_access": False},
            ],
            "tool_choice": "auto",
            "parallel_tool_calls": True,
            "reasoning": {"summary": "auto"},
            "store": False,
            "include": ["reasoning.encrypted_content"],
            "prompt_cache_key": f"01a22729 {self._items[3]}",
            "client_metadata": {"turn_id": "01a22729", "x-codex-turn-metadata": '{"sandbox":"seccomp"}'},
        }  # fmt: skip
        return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()

    def compaction(self) -> bytes:
        """Has no tools."""
        body = json.loads(self.request(stream=True))
        asked = said("msg_5", "user", "You are performing a CONTEXT CHECKPOINT COMPACTION.")
        del body["tools"], body["tool_choice"], body["parallel_tool_calls"]
        return json.dumps({**body, "input": [*self._items, asked]}).encode()

    def take(self, reply: Json) -> bool:
        calls = [item for item in reply["output"] if item["type"] == "function_call"]
        self._items += reply["output"]
        self._items += [
            {"type": "function_call_output", "call_id": call["call_id"],
             "output": f"Chunk ID: ec\nProcess exited with code 0\nOutput:\n{call['arguments']}"}
            for call in calls
        ]  # fmt: skip
        return bool(calls)


def said(id_: str, role: str, *texts: str) -> Json:
    content = [{"type": "input_text", "text": text} for text in texts]
    return {"type": "message", "id": id_, "role": role, "content": content}
