"""The official clients, each of which carries out a scenario's action and tells what it saw as JSON.

An observation has ``value``, what the client's own types hold of the reply (for ``events`` all that came before an
error), ``error``, the exception as the client raised it, and ``request_id``.
"""

import asyncio
import base64
import contextlib
import inspect
import json
import operator
import ssl
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import openai
from openai import AsyncOpenAI, DefaultAsyncHttpxClient, DefaultHttpxClient, OpenAI
from pydantic import BaseModel

KEY = "sk-client"
NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Reading the system's takes longer than most scenarios, and no scenario uses TLS."""
NODE = Path(__file__).parent / "node"

Action = Mapping[str, Any]
Observation = dict[str, Any]


class Client(Protocol):
    """One official client. Blocks until the action is done."""

    def perform(self, action: Action, base_url: str) -> Observation: ...

    def close(self) -> None: ...


class Sum(BaseModel):
    """What is parsed, in this language."""

    sum: int
    how: str


def _named(values: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments with files and types of this language in the place of their descriptions."""

    def made(name: str, value: Any) -> tuple[str, Any]:
        match value:
            case {"$file": [file, text, kind]}:
                return name, (file, text.encode(), kind)
            case {"$schema": "sum"}:
                return ("text_format" if name == "text" else name), Sum
            case _:
                return name, value

    return dict(made(name, value) for name, value in values.items())


def _called(client: Any, action: Action) -> Any:
    """The method's result; what it has no parameter for travels in ``extra_body``."""
    method = operator.attrgetter(action["method"])(client)
    known = inspect.signature(method).parameters
    given = _named(action["body"])
    extra = {name: given.pop(name) for name in list(given) if name not in known}
    if extra:
        given["extra_body"] = extra
    return method(*action["args"], **given)


def _seen(value: Any) -> Any:
    return value.to_dict(mode="json", warnings=False) if isinstance(value, openai.BaseModel) else value


def _seen_whole(seen: Observation, reply: Any) -> None:
    seen["value"] = _seen(reply)
    seen["request_id"] = getattr(reply, "_request_id", None)


def _failed(error: openai.OpenAIError) -> dict[str, Any]:
    headers = error.response.headers if isinstance(error, openai.APIStatusError) else {}
    told = {name: getattr(error, name, None) for name in ("code", "type", "param", "body")}
    return {
        "name": type(error).__name__,
        "status": getattr(error, "status_code", None),
        "retry_after": headers.get("retry-after"),
        "request_id": getattr(error, "request_id", None),
        **told,
    }


class SyncClient:
    """``openai.OpenAI``."""

    def perform(self, action: Action, base_url: str) -> Observation:
        seen: Observation = {"value": None, "error": None, "request_id": None}
        with (
            DefaultHttpxClient(trust_env=False, verify=NO_CERTIFICATES) as http,
            OpenAI(
                base_url=base_url,
                api_key=KEY,
                max_retries=action["retries"],
                timeout=action["timeout_s"],
                http_client=http,
            ) as client,
        ):
            try:
                self._follow(action, _called(client, action), seen)
            except openai.OpenAIError as error:
                seen["error"] = _failed(error)
        return seen

    def _follow(self, action: Action, reply: Any, seen: Observation) -> None:
        match action["how"]:
            case "whole":
                _seen_whole(seen, reply)
            case "bytes":
                seen["value"] = base64.b64encode(reply.read()).decode()
            case "final":
                with reply as stream:
                    stream.until_done()
                    final = "get_final_response" if "responses" in action["method"] else "get_final_completion"
                    seen["value"] = _seen(getattr(stream, final)())
            case "events" | "list":
                seen["value"] = []
                for item in reply:
                    seen["value"].append(_seen(item))
            case "first":
                seen["value"] = [_seen(next(iter(reply)))]
                reply.close()

    def close(self) -> None: ...


class AsyncClient:
    """``openai.AsyncOpenAI``."""

    def perform(self, action: Action, base_url: str) -> Observation:
        return asyncio.run(self._perform(action, base_url))

    async def _perform(self, action: Action, base_url: str) -> Observation:
        seen: Observation = {"value": None, "error": None, "request_id": None}
        async with (
            DefaultAsyncHttpxClient(trust_env=False, verify=NO_CERTIFICATES) as http,
            AsyncOpenAI(
                base_url=base_url,
                api_key=KEY,
                max_retries=action["retries"],
                timeout=action["timeout_s"],
                http_client=http,
            ) as client,
        ):
            try:
                reply = _called(client, action)
                await self._follow(action, await reply if inspect.iscoroutine(reply) else reply, seen)
            except openai.OpenAIError as error:
                seen["error"] = _failed(error)
        return seen

    async def _follow(self, action: Action, reply: Any, seen: Observation) -> None:
        match action["how"]:
            case "whole":
                _seen_whole(seen, reply)
            case "bytes":
                seen["value"] = base64.b64encode(await reply.aread()).decode()
            case "final":
                async with reply as stream:
                    await stream.until_done()
                    final = "get_final_response" if "responses" in action["method"] else "get_final_completion"
                    seen["value"] = _seen(await getattr(stream, final)())
            case "events" | "list":
                seen["value"] = []
                async for item in reply:
                    seen["value"].append(_seen(item))
            case "first":
                seen["value"] = [_seen(await anext(aiter(reply)))]
                await reply.close()

    def close(self) -> None: ...


class NodeClient:
    """``openai`` for Node, driven by ``node/driver.mjs``: an action a line in, an observation a line out."""

    def __init__(self, node: str) -> None:
        self._process = subprocess.Popen(  # noqa: S603
            [node, str(NODE / "driver.mjs")], cwd=NODE, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def perform(self, action: Action, base_url: str) -> Observation:
        assert self._process.stdin is not None and self._process.stdout is not None
        line = json.dumps({**action, "base_url": base_url, "api_key": KEY}).encode()
        self._process.stdin.write(line + b"\n")
        self._process.stdin.flush()
        told = self._process.stdout.readline()
        assert told, "the driver died; what it said stands above"
        seen: Observation = json.loads(told)
        return seen

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(10)
