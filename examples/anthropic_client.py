"""Ask through Preceptor with Anthropic's client, streamed."""

import os

import anthropic

URL = os.environ.get("PRECEPTOR_URL", "http://127.0.0.1:8100")
KEY = os.environ.get("PRECEPTOR_KEY", "not-needed")

client = anthropic.Anthropic(base_url=URL, api_key=KEY)
with client.messages.stream(
    model="gpt-4o-mini",
    max_tokens=100,
    messages=[{"role": "user", "content": "What is 12 plus 30? Reply with only the number."}],
) as stream:
    for text in stream.text_stream:
        print(text, end="", flush=True)
print()
