"""Ask through Preceptor with LangChain; the task is named in a header instead of being recognised."""

import os

from langchain_openai import ChatOpenAI

URL = os.environ.get("PRECEPTOR_URL", "http://127.0.0.1:8100")
KEY = os.environ.get("PRECEPTOR_KEY", "not-needed")

model = ChatOpenAI(
    base_url=f"{URL}/v1", api_key=KEY, model="gpt-4o-mini", default_headers={"x-preceptor-task": "arithmetic"}
)
reply = model.invoke("What is 12 plus 30? Reply with only the number.")
print(reply.content)
