"""The one table of what both official clients do, against the scripted upstream directly and through the gateway.

A scenario names a method of the client as both languages spell it, its arguments, and what the upstream answers.
``"$model"`` stands for the model's name, which is the upstream's own in one case and the gateway's in the other;
``{"$file": [name, text, type]}`` is a file, ``{"$schema": name}`` a type of the client's language.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from tests.conformance import replies
from tests.conformance.replies import JsonObject
from tests.conformance.upstream import Answer, Answers, Asked, binary, event, refused, stream, whole

How = Literal["whole", "events", "final", "bytes", "list", "first"]
"""What the client makes of the reply: all of it, each event, what its helper makes of the events, its bytes, all pages,
or the first event only, after which it hangs up."""

MODEL = "$model"
ASK = {"role": "user", "content": "What is 2 + 2?"}


@dataclasses.dataclass(frozen=True)
class Scenario:
    """``shows`` are texts that must be found in what the client saw, so that a scenario cannot be empty."""

    method: str
    answers: Answers
    shows: Sequence[str]
    body: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    args: Sequence[Any] = ()
    how: How = "whole"
    retries: int = 0
    timeout_s: float = 10.0
    calls: int = 1
    """Requests that the upstream gets."""
    own_words: bool = False
    """The gateway replaces the upstream's words: exception class and status are the same, the body is not."""

    @property
    def action(self) -> dict[str, Any]:
        """What a client is told to do, as JSON."""
        return {
            "method": self.method,
            "args": self.args,
            "body": self.body,
            "how": self.how,
            "retries": self.retries,
            "timeout_s": self.timeout_s,
        }


def chatting(*answers: Any, shows: Sequence[str] = ("It is 4",), **fields: Any) -> Scenario:
    """``chat.completions.create``; what the scenario itself does not need is part of the body."""
    own = {field.name: fields.pop(field.name) for field in dataclasses.fields(Scenario) if field.name in fields}
    body = {"model": MODEL, "messages": [ASK], **fields}
    return Scenario(**{"method": "chat.completions.create", "answers": answers, "shows": shows, "body": body, **own})


def chunked(*deltas: JsonObject, **split: Sequence[bytes]) -> Any:
    """A streamed chat that has usage if it was asked for."""

    def answer(asked: Asked) -> Any:
        events = replies.chunks(*deltas, counted=(asked.json.get("stream_options") or {}).get("include_usage", False))
        return stream(replies.resplit(events, **split) if split else events)

    return answer


FOUR = replies.chat(replies.choice("It is 4"))
IT_IS_4 = (replies.delta("It "), replies.delta("is "), replies.delta("4"))
USAGE: Any = {"stream_options": {"include_usage": True}}
ADD = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Adds.",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
            "required": ["a", "b"],
            "additionalProperties": False,
        },
    },
}
SUM = {
    "type": "object",
    "properties": {"sum": {"type": "integer"}, "how": {"type": "string"}},
    "required": ["sum", "how"],
    "additionalProperties": False,
}
SUM_TEXT = replies.dumped({"sum": 4, "how": "counted"})
PIXEL = "data:image/gif;base64,R0lGODlhAQABAIAAAAUEBAAAACwAAAAAAQABAAACAkQBADs="
TWO_CALLS = (replies.call(0, "add", '{"a":2,"b":2}'), replies.call(1, "add", '{"a":3,"b":4}'))
TWO_CALLS_STREAMED = (
    replies.call_begins(0, "add"),
    replies.call_goes_on(0, '{"a":'),
    replies.call_goes_on(0, '2,"b":2}'),
    replies.call_begins(1, "add"),
    replies.call_goes_on(1, '{"a":3,"b"'),
    replies.call_goes_on(1, ":4}"),
    replies.delta(finish="tool_calls"),
)
FACES = "grüß 你好 👩‍👩‍👧 🇩🇪"

CHAT: dict[str, Scenario] = {
    "whole": chatting(whole(FOUR)),
    "streamed": chatting(chunked(*IT_IS_4), how="events", stream=True, shows=("It ", "is ", "4")),
    "streamed, with usage": chatting(
        chunked(*IT_IS_4), how="events", stream=True, **USAGE, shows=('"completion_tokens": 3',)
    ),
    "streamed, with usage refused": chatting(
        chunked(*IT_IS_4), how="events", stream=True, stream_options={"include_usage": False}, shows=("It ",)
    ),
    "streamed, put together": chatting(chunked(*IT_IS_4), method="chat.completions.stream", how="final"),
    "two choices": chatting(whole(replies.chat(replies.choice("4"), replies.choice("IV", 1))), n=2, shows=("IV",)),
    "two choices, streamed": chatting(
        chunked(
            replies.delta("", 1, role="assistant"),
            replies.delta("I", 1),
            replies.delta("4"),
            replies.delta("V", 1),
            replies.delta(None, 1, "stop"),
            replies.delta(finish="stop"),
        ),
        method="chat.completions.stream",
        how="final",
        n=2,
        shows=('"IV"', '"4"'),
    ),
    "stop sequences": chatting(whole(FOUR), stop=["\n\n", "END"], seed=7, max_completion_tokens=5),
    "cut for length": chatting(whole(replies.chat(replies.choice("It", finish="length"))), shows=('"length"',)),
    "refused for its content": chatting(
        whole(replies.chat({**replies.choice(None), "message": replies.message(None, refusal="I cannot.")})),
        shows=("I cannot.",),
    ),
    "log probabilities": chatting(
        whole(replies.chat({**replies.choice("4"), "logprobs": {"content": [replies.logprob("4")], "refusal": None}})),
        logprobs=True,
        top_logprobs=2,
        logit_bias={"19": 5},
        shows=("-0.25",),
    ),
    "log probabilities, streamed": chatting(
        chunked({**replies.delta("4"), "logprobs": {"content": [replies.logprob("4")], "refusal": None}}),
        method="chat.completions.stream",
        how="final",
        logprobs=True,
        top_logprobs=2,
        shows=("-0.25",),
    ),
    "two tool calls": chatting(
        whole(replies.chat(replies.choice(None, finish="tool_calls", tool_calls=TWO_CALLS))),
        tools=[ADD],
        tool_choice="required",
        parallel_tool_calls=True,
        shows=("call_0", "call_1"),
    ),
    "two tool calls, streamed": chatting(
        chunked(*TWO_CALLS_STREAMED),
        method="chat.completions.stream",
        how="final",
        tools=[ADD],
        parallel_tool_calls=True,
        shows=("call_0", "call_1", r"{\"a\":2,\"b\":2}", r"{\"a\":3,\"b\":4}"),
    ),
    "two tool calls at once, event by event": chatting(
        chunked(*TWO_CALLS_STREAMED[:2], *TWO_CALLS_STREAMED[3:4], *TWO_CALLS_STREAMED[2:3], *TWO_CALLS_STREAMED[4:]),
        how="events",
        stream=True,
        tools=[ADD],
        shows=("call_1",),
    ),
    "tool results": chatting(
        whole(FOUR),
        messages=[
            {"role": "system", "content": "Use tools."},
            ASK,
            {"role": "assistant", "content": None, "tool_calls": TWO_CALLS},
            {"role": "tool", "tool_call_id": "call_0", "content": "4"},
            {"role": "tool", "tool_call_id": "call_1", "content": [{"type": "text", "text": "7"}]},
        ],
        tools=[ADD],
    ),
    "functions of old": chatting(
        whole(
            replies.chat(replies.choice(None, finish="function_call", function_call={"name": "add", "arguments": "{}"}))
        ),
        functions=[ADD["function"]],
        function_call="auto",
        shows=("function_call",),
    ),
    "a JSON schema": chatting(
        whole(replies.chat(replies.choice(SUM_TEXT))),
        response_format={"type": "json_schema", "json_schema": {"name": "sum", "strict": True, "schema": SUM}},
        shows=("counted",),
    ),
    "parsed": chatting(
        whole(replies.chat(replies.choice(SUM_TEXT))),
        method="chat.completions.parse",
        response_format={"$schema": "sum"},
        shows=('"parsed": {"sum": 4',),
    ),
    "parsed, streamed": chatting(
        chunked(replies.delta(SUM_TEXT[:9]), replies.delta(SUM_TEXT[9:])),
        method="chat.completions.stream",
        how="final",
        response_format={"$schema": "sum"},
        shows=('"parsed": {"sum": 4',),
    ),
    "pictures": chatting(
        whole(FOUR),
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is on it?"},
                    {"type": "image_url", "image_url": {"url": PIXEL, "detail": "low"}},
                    {"type": "file", "file": {"file_id": "file-1"}},
                ],
            }
        ],
    ),
    "sound": chatting(
        whole(replies.chat(replies.choice(None, audio={"id": "a", "data": "UklGRg==", "transcript": "It is 4"}))),
        messages=[
            {
                "role": "user",
                "content": [{"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}],
            }
        ],
        modalities=["text", "audio"],
        audio={"voice": "alloy", "format": "wav"},
    ),
    "a developer's message": chatting(
        whole(FOUR),
        messages=[
            {"role": "developer", "content": [{"type": "text", "text": "Be brief."}]},
            {**ASK, "name": "ada"},
        ],
    ),
    "every setting": chatting(
        whole(FOUR),
        metadata={"topic": "sums"},
        store=True,
        reasoning_effort="low",
        verbosity="low",
        service_tier="auto",
        temperature=0.0,
        top_p=0.5,
        presence_penalty=-1.5,
        frequency_penalty=1e-3,
        prompt_cache_key="k",
        safety_identifier="u",
        prediction={"type": "content", "content": "It is 4"},
    ),
    "settings of tomorrow": chatting(
        whole(FOUR), from_tomorrow={"deep": [1, 2.5, None, 1e100, 12345678901234567890, "ü"]}, top_k=3
    ),
    "reasoning, streamed": chatting(
        chunked(replies.delta(reasoning_content="Two and "), replies.delta(reasoning_content="two."), *IT_IS_4),
        how="events",
        stream=True,
        shows=("Two and ", "is "),
    ),
    "comments and other line ends in a stream": chatting(
        stream([b": ping\r\n\r\n", *(e.replace(b"\n", b"\r\n") for e in replies.chunks(*IT_IS_4)), b": bye\n\n"]),
        how="events",
        stream=True,
        **USAGE,
        shows=("is ",),
    ),
    "other letters": chatting(whole(replies.chat(replies.choice(FACES))), shows=(FACES,), user=FACES),
    "other letters, cut anywhere": chatting(
        chunked(
            *(replies.delta(letter) for letter in FACES),
            at=["ü".encode(), "你".encode(), "👩".encode(), "\u200d".encode(), "🇩".encode(), b'"delta"', b"\n\n"],
        ),
        method="chat.completions.stream",
        how="final",
        shows=(FACES,),
    ),
    "escaped pairs, cut in the middle": chatting(
        stream(
            replies.resplit(
                [
                    each.replace("😀".encode(), rb"\ud83d\ude00")
                    for each in replies.chunks(replies.delta("a 😀"), replies.delta(" b"))
                ],
                at=[rb"\ud83d\ude00", rb"\ud83d"],
            )
        ),
        method="chat.completions.stream",
        how="final",
        **USAGE,
        shows=("a 😀 b",),
    ),
    "a pair in two deltas": chatting(
        stream(
            [
                each.replace(b"HIGH", rb"\ud83d").replace(b"LOW", rb"\ude00")
                for each in replies.chunks(replies.delta("HIGH"), replies.delta("LOW"), replies.delta("It is 4"))
            ]
        ),
        how="events",
        stream=True,
        **USAGE,
    ),
    "half a pair": chatting(whole(replies.chat(replies.choice("\ud83d It is 4")))),
    "a megabyte asked": chatting(whole(FOUR), messages=[{"role": "user", "content": "ä long story " * 80_000}]),
    "a megabyte answered": chatting(whole(replies.chat(replies.choice("x" * 10**6 + "It is 4")))),
    "two thousand deltas": chatting(
        stream([b"".join(replies.chunks(*(replies.delta(f"{number} ") for number in range(2_000))))]),
        method="chat.completions.stream",
        how="final",
        **USAGE,
        shows=("1998 1999 ",),
    ),
}


def calling(method: str, *answers: Any, shows: Sequence[str], **fields: Any) -> Scenario:
    """Any other method."""
    own = {field.name: fields.pop(field.name) for field in dataclasses.fields(Scenario) if field.name in fields}
    return Scenario(method=method, answers=answers, shows=shows, body=fields, **own)


def texts(*pieces: str) -> Any:
    """A streamed legacy completion, with usage if it was asked for."""

    def answer(asked: Asked) -> Any:
        bodies = [replies.text(piece, finish=None) for piece in pieces] + [replies.text("")]
        if (asked.json.get("stream_options") or {}).get("include_usage"):
            bodies = [{**body, "usage": None} for body in bodies]
            bodies.append({**replies.text(), "usage": replies.usage()})
        return stream([*map(event, bodies), event("[DONE]")])

    return answer


COMPLETIONS: dict[str, Scenario] = {
    "whole": calling(
        "completions.create",
        whole(replies.text("It is 4", "It is IV", usage=replies.usage())),
        model=MODEL,
        prompt=["2 + 2 =", "Two and two"],
        n=2,
        max_tokens=5,
        echo=True,
        logprobs=2,
        suffix="!",
        best_of=2,
        shows=("It is 4", "It is IV"),
    ),
    "a prompt of tokens": calling(
        "completions.create", whole(replies.text("4")), model=MODEL, prompt=[1, 2, 3], shows=('"4"',)
    ),
    "streamed": calling(
        "completions.create",
        texts("It ", "is 4"),
        model=MODEL,
        prompt="2 + 2 =",
        stream=True,
        how="events",
        shows=("It ", "is 4"),
    ),
    "streamed, with usage": calling(
        "completions.create",
        texts("It ", "is 4"),
        model=MODEL,
        prompt="2 + 2 =",
        stream=True,
        **USAGE,
        how="events",
        shows=("is 4", '"completion_tokens": 3'),
    ),
}

VECTORS = ([0.5, -0.25, 1.0], [0.125, 2.0, -8.0])


def embedded(asked: Asked) -> Any:
    return whole(replies.embeddings(*VECTORS, packed=asked.json.get("encoding_format") == "base64"))


EMBEDDINGS: dict[str, Scenario] = {
    "as the client likes them": calling(
        "embeddings.create", embedded, model=MODEL, input=["one", "zwölf"], shows=("-0.25", "0.125")
    ),
    "numbers": calling(
        "embeddings.create", embedded, model=MODEL, input="one", encoding_format="float", shows=("-0.25", "0.125")
    ),
    "packed": calling(
        "embeddings.create", embedded, model=MODEL, input=[[1, 2], [3]], encoding_format="base64", dimensions=3,
        user="u", shows=('"embedding": "',),
    ),
}  # fmt: skip

ADD_FLAT = {"type": "function", **ADD["function"]}  # type: ignore[dict-item]  # the table is JSON
RESPONSE = replies.response(replies.said("It is 4"))

RESPONSES: dict[str, Scenario] = {
    "whole": calling("responses.create", whole(RESPONSE), model=MODEL, input="What is 2 + 2?", shows=("It is 4",)),
    "instructions and turns": calling(
        "responses.create",
        whole(RESPONSE),
        model=MODEL,
        instructions="Be brief.",
        input=[
            {"role": "developer", "content": "Count."},
            {
                "role": "user",
                "content": [{"type": "input_text", "text": "2 + 2?"}, {"type": "input_image", "image_url": PIXEL}],
            },
        ],
        reasoning={"effort": "low"},
        metadata={"topic": "sums"},
        store=False,
        include=["reasoning.encrypted_content"],
        from_tomorrow=[1],
        shows=("It is 4",),
    ),
    "tools": calling(
        "responses.create",
        whole(replies.response(replies.called("add", '{"a":2,"b":2}'))),
        model=MODEL,
        input=[
            {"role": "user", "content": "3 + 4?"},
            {"type": "function_call", "call_id": "call_9", "name": "add", "arguments": '{"a":3,"b":4}'},
            {"type": "function_call_output", "call_id": "call_9", "output": "7"},
        ],
        tools=[ADD_FLAT],
        tool_choice="auto",
        shows=("call_1", r"{\"a\":2,\"b\":2}"),
    ),
    "a conversation goes on": calling(
        "responses.create",
        whole(replies.response(replies.said("It is 4"), previous_response_id="resp_before")),
        model=MODEL,
        input="And 2 + 2?",
        previous_response_id="resp_before",
        shows=("resp_before", "It is 4"),
    ),
    "streamed": calling(
        "responses.create",
        stream(replies.response_events("It ", "is ", "4")),
        model=MODEL,
        input="What is 2 + 2?",
        instructions="Be brief.",
        stream=True,
        how="events",
        shows=("response.created", "response.output_text.delta", "response.completed"),
    ),
    "streamed, put together": calling(
        "responses.stream",
        stream(
            replies.resplit(replies.response_events(*FACES), at=["ü".encode(), "你".encode(), "👩".encode(), b"\n\n"])
        ),
        model=MODEL,
        input="What is 2 + 2?",
        how="final",
        shows=(FACES,),
    ),
    "streamed, cut for length": calling(
        "responses.create",
        stream(replies.response_events("It ", ends="incomplete")),
        model=MODEL,
        input="What is 2 + 2?",
        stream=True,
        how="events",
        shows=("response.incomplete",),
    ),
    "parsed": calling(
        "responses.parse",
        whole(replies.response(replies.said(SUM_TEXT))),
        model=MODEL,
        input="What is 2 + 2?",
        text={"$schema": "sum"},
        shows=('"parsed": {"sum": 4',),
    ),
    "deleted": calling(
        "responses.delete",
        Answer([], headers={"x-request-id": "req_upstream"}),
        args=["resp_upstream"],
        shows=("null",),
    ),
    "looked up": calling("responses.retrieve", whole(RESPONSE), args=["resp_upstream"], shows=("resp_upstream",)),
}

OTHERS: dict[str, Scenario] = {
    "moderations": calling(
        "moderations.create",
        whole({"id": "modr-1", "model": "omni", "results": [{"flagged": True, "categories": {"violence": True}}]}),
        model="omni-moderation-latest",
        input=["bad words"],
        shows=('"flagged": true',),
    ),
    "pictures made": calling(
        "images.generate",
        whole({"created": 1, "data": [{"b64_json": "iVBORw0KGgo="}]}),
        model="gpt-image-1",
        prompt="a cat",
        shows=("iVBORw0KGgo=",),
    ),
    "speech": calling(
        "audio.speech.create",
        binary(bytes(range(256)) * 40, "audio/mpeg"),
        model="tts-1",
        input="It is 4",
        voice="alloy",
        how="bytes",
        shows=("AAECAwQFBgcICQ",),
    ),
    "a file sent": calling(
        "files.create",
        whole({"id": "file-1", "object": "file", "bytes": 5, "created_at": 1, "filename": "ä.jsonl",
               "purpose": "batch", "status": "processed"}),
        file={"$file": ["ä.jsonl", '{"ü": 1}\n' * 10_000, "application/jsonl"]},
        purpose="batch",
        shows=("file-1",),
    ),
    "speech understood": calling(
        "audio.transcriptions.create",
        whole({"text": "It is 4"}),
        file={"$file": ["a.wav", "RIFF\0\0", "audio/wav"]},
        model="whisper-1",
        shows=("It is 4",),
    ),
    "a file fetched": calling(
        "files.content", binary(b"\0\1\2 bytes", "application/octet-stream"), args=["file-1"], how="bytes",
        shows=("AAECIGJ5dGVz",),
    ),
    "a file deleted": calling(
        "files.delete", whole({"id": "file-1", "object": "file", "deleted": True}), args=["file-1"],
        shows=('"deleted": true',),
    ),
    "pages": calling(
        "batches.list",
        whole({"object": "list", "data": [{"id": "batch_1"}], "has_more": True}),
        whole({"object": "list", "data": [{"id": "batch_2"}], "has_more": False}),
        limit=1,
        how="list",
        calls=2,
        shows=("batch_1", "batch_2"),
    ),
    "what is not there": calling(
        "files.retrieve", refused(404, code="not_found"), args=["file-0"], shows=("NotFoundError", "404"),
    ),
}  # fmt: skip

NAMES = {
    400: "BadRequestError",
    401: "AuthenticationError",
    403: "PermissionDeniedError",
    404: "NotFoundError",
    409: "ConflictError",
    422: "UnprocessableEntityError",
    429: "RateLimitError",
    500: "InternalServerError",
    503: "InternalServerError",
}


def refusal(status: int, **fields: Any) -> Scenario:
    """What the client raises for a status."""
    return chatting(
        refused(status, param="messages", retry_after="7"),
        shows=(NAMES[status], str(status), *(() if status in {401, 403} else ("because",))),
        own_words=status in {401, 403},  # the words are about the gateway's key, and may quote it
        **fields,
    )


ERRORS: dict[str, Scenario] = {
    **{f"{status}": refusal(status) for status in NAMES},
    **{f"{status}, streamed": refusal(status, how="events", stream=True) for status in NAMES},
    "404 of embeddings": calling(
        "embeddings.create", refused(404), model=MODEL, input="x", shows=("NotFoundError", "because")
    ),
    "400 of completions": calling(
        "completions.create", refused(400), model=MODEL, prompt="x", shows=("BadRequestError", "because")
    ),
    "429 of responses": calling(
        "responses.create", refused(429), model=MODEL, input="x", shows=("RateLimitError", "because")
    ),
    "400 of responses, streamed": calling(
        "responses.create", refused(400), model=MODEL, input="x", stream=True, how="events", shows=("BadRequestError",)
    ),
    "an error in the stream": chatting(
        stream([*replies.chunks(*IT_IS_4)[:3], event({"error": {"message": "burnt out", "type": "server_error"}})]),
        how="events",
        stream=True,
        **USAGE,
        shows=("APIError", "It ", "is "),
        own_words=True,
    ),
    "a busy server that recovers": chatting(
        refused(429, retry_after_ms="20"), refused(503, retry_after_ms="20"), whole(FOUR), retries=2, calls=3
    ),
    "a busy server that does not": chatting(
        refused(429, retry_after_ms="20"), retries=2, calls=3, shows=("RateLimitError",)
    ),
    "a server that forbids another attempt": chatting(
        refused(500, x_should_retry="false"), retries=2, shows=("InternalServerError",)
    ),
    "a server that asks for another attempt": chatting(
        refused(400, x_should_retry="true", retry_after_ms="20"), whole(FOUR), retries=2, calls=2
    ),
}

SCENARIOS: dict[str, Scenario] = {
    f"{group}: {name}": scenario
    for group, table in {
        "chat": CHAT,
        "completions": COMPLETIONS,
        "embeddings": EMBEDDINGS,
        "responses": RESPONSES,
        "other": OTHERS,
        "error": ERRORS,
    }.items()
    for name, scenario in table.items()
}
