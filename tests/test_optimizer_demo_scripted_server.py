"""Scripts behind an OpenAI-compatible server."""

import openai
import pytest

from optimizer.demo.scripted_server import scripted_server


async def test_a_script_answers_streamed_or_not() -> None:
    """As any upstream does, with the usage counted in words."""
    async with (
        scripted_server({"echo": lambda body: f"you said {body['messages'][-1]['content']}"}) as address,
        openai.AsyncOpenAI(base_url=address, api_key="none", max_retries=0) as client,
    ):
        whole = await client.chat.completions.create(model="echo", messages=[{"role": "user", "content": "a b"}])
        stream = await client.chat.completions.create(
            model="echo", messages=[{"role": "user", "content": "c"}], stream=True
        )
        text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])
    assert whole.choices[0].message.content == "you said a b"
    assert whole.usage is not None and (whole.usage.prompt_tokens, whole.usage.completion_tokens) == (2, 4)
    assert text == "you said c"


async def test_anything_but_a_chat_with_a_script_is_refused() -> None:
    """A model that nobody scripted, an embedding."""
    async with (
        scripted_server({}) as address,
        openai.AsyncOpenAI(base_url=address, api_key="none", max_retries=0) as client,
    ):
        with pytest.raises(openai.BadRequestError):
            await client.chat.completions.create(model="other", messages=[{"role": "user", "content": "a"}])
        with pytest.raises(openai.BadRequestError):
            await client.embeddings.create(model="other", input="a")
