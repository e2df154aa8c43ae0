"""Carries out features of Python clients and tells the outcome: a JSON object a line in, one out.

Run by the interpreter with the client's packages, so it imports nothing of the project. Each client is imported when it
is first asked for. An answer is what a program has in hand at the end: a text, pieces of it, an object.
"""

import asyncio
import json
import sys
import warnings
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel

warnings.simplefilter("ignore")

ASK = ""
"""The question under way."""
MODEL = "gpt-4o-mini"
TURNS = [{"role": "user", "content": ASK}]
KEY = "sk-client"


class Sum(BaseModel):
    """What is parsed."""

    value: int


def add(a: int, b: int) -> int:
    """Adds."""
    return a + b


NUMBERS = {
    "type": "object",
    "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
    "required": ["a", "b"],
}
FUNCTION = {"name": "add", "description": "Adds.", "parameters": NUMBERS}
TOOL = {"type": "function", "function": FUNCTION}

Feature = Callable[[str], Any]
Features = dict[str, Feature]


def pieces(texts: Any) -> str:
    """A stream's text; how it was cut is the server's business."""
    return "".join(text for text in texts if text)


async def gathered(items: Any) -> list[Any]:
    return [item async for item in items]


def _chats(make: Callable[[str], Any]) -> Features:
    """The features of one of openai's blocking clients."""

    def tools(url: str) -> Any:
        client, turns = make(url), list[Any](TURNS)
        said = client.chat.completions.create(model=MODEL, messages=turns, tools=[TOOL]).choices[0].message
        (call,) = said.tool_calls
        result = {"role": "tool", "tool_call_id": call.id, "content": str(add(**json.loads(call.function.arguments)))}
        last = client.chat.completions.create(model=MODEL, messages=[*turns, said, result], tools=[TOOL])
        return [call.function.arguments, last.choices[0].message.content]

    def stream(url: str) -> Any:
        chunks = make(url).chat.completions.create(model=MODEL, messages=TURNS, stream=True)
        return pieces(chunk.choices[0].delta.content for chunk in chunks if chunk.choices)

    def chat(url: str) -> Any:
        choice = make(url).chat.completions.create(model=MODEL, messages=TURNS).choices[0]
        return [choice.message.content, choice.finish_reason]

    def structured(url: str) -> Any:
        reply = make(url).chat.completions.parse(model=MODEL, messages=TURNS, response_format=Sum)
        return reply.choices[0].message.parsed.value

    return {"chat": chat, "stream": stream, "tools": tools, "structured": structured}


def openai() -> Features:
    from openai import OpenAI

    return _chats(lambda url: OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0))


def azure() -> Features:
    from openai import AzureOpenAI

    return _chats(lambda url: AzureOpenAI(azure_endpoint=url, api_version="2024-10-21", api_key=KEY, max_retries=0))


def openai_async() -> Features:
    from openai import AsyncOpenAI

    def made(url: str) -> Any:
        return AsyncOpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0)

    async def chat(url: str) -> Any:
        reply = await made(url).chat.completions.create(model=MODEL, messages=TURNS)
        return [reply.choices[0].message.content, reply.choices[0].finish_reason]

    async def stream(url: str) -> Any:
        chunks = await made(url).chat.completions.create(model=MODEL, messages=TURNS, stream=True)
        return pieces([chunk.choices[0].delta.content async for chunk in chunks if chunk.choices])

    async def tools(url: str) -> Any:
        async with made(url).chat.completions.stream(model=MODEL, messages=TURNS, tools=[TOOL]) as events:
            said = (await events.get_final_completion()).choices[0]
        return [said.message.tool_calls[0].function.arguments, said.finish_reason]

    async def structured(url: str) -> Any:
        reply = await made(url).chat.completions.parse(model=MODEL, messages=TURNS, response_format=Sum)
        return reply.choices[0].message.parsed.value

    return {
        name: lambda url, run=run: asyncio.run(run(url))
        for name, run in {"chat": chat, "stream": stream, "tools": tools, "structured": structured}.items()
    }


def openai_responses() -> Features:
    from openai import OpenAI

    def made(url: str) -> Any:
        return OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0).responses

    def stream(url: str) -> Any:
        with made(url).stream(model=MODEL, input=ASK) as events:
            return [pieces(event.delta for event in events if event.type == "response.output_text.delta"),
                    events.get_final_response().output_text]  # fmt: skip

    def tools(url: str) -> Any:
        tool = {"type": "function", **FUNCTION}
        first = made(url).create(model=MODEL, input=ASK, tools=[tool], store=False)
        (call,) = first.output
        result = {"type": "function_call_output", "call_id": call.call_id, "output": "4"}
        turns = [*TURNS, call.to_dict(), result]
        return [call.arguments, made(url).create(model=MODEL, input=turns, tools=[tool], store=False).output_text]

    return {
        "chat": lambda url: made(url).create(model=MODEL, input=ASK).output_text,
        "stream": stream,
        "tools": tools,
        "structured": lambda url: made(url).parse(model=MODEL, input=ASK, text_format=Sum).output_parsed.value,
    }


def anthropic() -> Features:
    from anthropic import Anthropic

    asked: dict[str, Any] = {"model": MODEL, "max_tokens": 50, "messages": TURNS}
    tool = {"name": "add", "description": "Adds.", "input_schema": NUMBERS}

    def made(url: str) -> Any:
        return Anthropic(base_url=url, api_key=KEY, max_retries=0).messages

    def text(message: Any) -> str:
        return pieces(block.text for block in message.content if block.type == "text")

    def chat(url: str) -> Any:
        message = made(url).create(**asked)
        return [text(message), message.stop_reason]

    def stream(url: str) -> Any:
        with made(url).stream(**asked) as events:
            return [pieces(events.text_stream), events.get_final_message().stop_reason]

    def tools(url: str) -> Any:
        first = made(url).create(**asked, tools=[tool])
        (call,) = (block for block in first.content if block.type == "tool_use")
        result = {"type": "tool_result", "tool_use_id": call.id, "content": str(add(**call.input))}
        turns = [*TURNS, {"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
        return [call.input, text(made(url).create(**{**asked, "messages": turns}, tools=[tool]))]

    def structured(url: str) -> Any:
        return made(url).parse(**asked, output_format=Sum).parsed_output.value

    return {"chat": chat, "stream": stream, "tools": tools, "structured": structured}


def ollama() -> Features:
    from ollama import Client

    def tools(url: str) -> Any:
        first = Client(host=url).chat(MODEL, TURNS, tools=[add])
        (call,) = first.message.tool_calls
        turns = [*TURNS, first.message, {"role": "tool", "tool_name": "add", "content": "4"}]
        return [call.function.arguments, Client(host=url).chat(MODEL, turns, tools=[add]).message.content]

    return {
        "chat": lambda url: Client(host=url).chat(MODEL, TURNS).message.content,
        "stream": lambda url: pieces(part.message.content for part in Client(host=url).chat(MODEL, TURNS, stream=True)),
        "tools": tools,
        "structured": lambda url: json.loads(
            Client(host=url).chat(MODEL, TURNS, format=Sum.model_json_schema()).message.content
        ),
    }


def langchain() -> Features:
    from langchain_openai import ChatOpenAI
    from langgraph.prebuilt import create_react_agent

    def made(url: str) -> Any:
        return ChatOpenAI(base_url=f"{url}/v1", api_key=KEY, model=MODEL, max_retries=0)

    def tools(url: str) -> Any:
        messages = create_react_agent(made(url), [add]).invoke({"messages": [("user", ASK)]})["messages"]
        return [[message.type, message.content] for message in messages]

    return {
        "chat": lambda url: made(url).invoke(ASK).content,
        "stream": lambda url: pieces(chunk.content for chunk in made(url).stream(ASK)),
        "tools": tools,
        "structured": lambda url: made(url).with_structured_output(Sum).invoke(ASK).value,
    }


def llama_index() -> Features:
    from llama_index.core.prompts import PromptTemplate
    from llama_index.core.tools import FunctionTool
    from llama_index.llms.openai_like import OpenAILike

    def made(url: str) -> Any:
        return OpenAILike(
            model=MODEL, api_base=f"{url}/v1", api_key=KEY, is_chat_model=True, is_function_calling_model=True,
            max_retries=0,
        )  # fmt: skip

    def tools(url: str) -> Any:
        llm = made(url)
        reply = llm.chat_with_tools([FunctionTool.from_defaults(add)], user_msg=ASK)
        return [call.tool_kwargs for call in llm.get_tool_calls_from_response(reply)]

    return {
        "chat": lambda url: made(url).complete(ASK).text,
        "stream": lambda url: pieces(part.delta for part in made(url).stream_complete(ASK)),
        "tools": tools,
        "structured": lambda url: made(url).structured_predict(Sum, PromptTemplate(ASK)).value,
    }


def pydantic_ai() -> Features:
    from pydantic_ai import Agent
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    def made(url: str, **more: Any) -> Any:
        provider = OpenAIProvider(base_url=f"{url}/v1", api_key=KEY)
        return Agent(OpenAIChatModel(MODEL, provider=provider), **more)

    async def streamed(url: str) -> str:
        async with made(url).run_stream(ASK) as run:
            return pieces(await gathered(run.stream_text(delta=True)))

    return {
        "chat": lambda url: made(url).run_sync(ASK).output,
        "stream": lambda url: asyncio.run(streamed(url)),
        "tools": lambda url: made(url, tools=[add]).run_sync(ASK).output,
        "structured": lambda url: made(url, output_type=Sum).run_sync(ASK).output.value,
    }


def instructor() -> Features:
    import instructor as package
    from openai import OpenAI

    def made(url: str) -> Any:
        return package.from_openai(OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0))

    def stream(url: str) -> Any:
        *_, last = made(url).create_partial(model=MODEL, response_model=Sum, messages=TURNS)
        return last.value

    return {
        "stream": stream,
        "structured": lambda url: made(url).create(model=MODEL, response_model=Sum, messages=TURNS).value,
    }


def openai_agents() -> Features:
    from agents import Agent, OpenAIResponsesModel, Runner, function_tool, set_tracing_disabled
    from openai import AsyncOpenAI

    set_tracing_disabled(True)

    def made(url: str, **more: Any) -> Any:
        client = AsyncOpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0)
        return Agent(name="sums", model=OpenAIResponsesModel(MODEL, client), **more)

    def run(url: str, **more: Any) -> Any:
        return asyncio.run(Runner.run(made(url, **more), ASK)).final_output

    async def streamed(url: str) -> Any:
        result = Runner.run_streamed(made(url), ASK)
        kinds = [event.data.type for event in await gathered(result.stream_events()) if hasattr(event, "data")]
        return [kinds.count("response.completed"), result.final_output]

    return {
        "chat": run,
        "stream": lambda url: asyncio.run(streamed(url)),
        "tools": lambda url: run(url, tools=[function_tool(add)]),
        "structured": lambda url: run(url, output_type=Sum).value,
    }


def litellm() -> Features:
    import litellm as package

    def ask(url: str, **more: Any) -> Any:
        here = {"api_base": f"{url}/v1", "api_key": KEY, "num_retries": 0}
        return package.completion(model=f"openai/{MODEL}", messages=TURNS, **here, **more)

    return {
        "chat": lambda url: ask(url).choices[0].message.content,
        "stream": lambda url: pieces(part.choices[0].delta.content for part in ask(url, stream=True)),
        "tools": lambda url: ask(url, tools=[TOOL]).choices[0].message.tool_calls[0].function.arguments,
        "structured": lambda url: json.loads(ask(url, response_format=Sum).choices[0].message.content),
    }


def dspy() -> Features:
    import dspy as package

    def predict(url: str, signature: str) -> Any:
        model = package.LM(f"openai/{MODEL}", api_base=f"{url}/v1", api_key=KEY, cache=False, num_retries=0)
        with package.context(lm=model):
            return package.Predict(signature)(question=ASK)

    return {
        "chat": lambda url: predict(url, "question -> answer").answer,
        "structured": lambda url: predict(url, "question -> value: int").value,
    }


CLIENTS: dict[str, Callable[[], Features]] = {
    "openai": openai,
    "openai-async": openai_async,
    "openai-responses": openai_responses,
    "azure": azure,
    "anthropic": anthropic,
    "ollama": ollama,
    "langchain": langchain,
    "llama-index": llama_index,
    "pydantic-ai": pydantic_ai,
    "instructor": instructor,
    "openai-agents": openai_agents,
    "litellm": litellm,
    "dspy": dspy,
}


def main() -> None:
    """Answer each line of the input."""
    told, sys.stdout = sys.stdout, sys.stderr  # a client that prints does not disturb
    made: dict[str, Features] = {}
    for line in sys.stdin:
        asked = json.loads(line)
        name = asked["client"]
        global ASK  # noqa: PLW0603  each program below has it in its text
        ASK = TURNS[0]["content"] = asked["ask"]
        try:
            if name not in made:
                made[name] = CLIENTS[name]()
            seen: Any = {"seen": made[name][asked["feature"]](asked["url"])}
        except Exception as error:  # noqa: BLE001  what a client raises is its outcome
            seen = {"error": type(error).__name__, "words": str(error)[:1000]}
        print(json.dumps(seen, default=str), file=told, flush=True)


main()
