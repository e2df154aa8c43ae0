"""Ask through Preceptor with OpenAI's client, then tell it the right answer if the reply was wrong."""

import json
import os
import urllib.request

import openai

URL = os.environ.get("PRECEPTOR_URL", "http://127.0.0.1:8100")
KEY = os.environ.get("PRECEPTOR_KEY", "not-needed")

client = openai.OpenAI(base_url=f"{URL}/v1", api_key=KEY)
reply = client.chat.completions.create(
    model="gpt-4o-mini",  # the name that your program uses already; [tasks.NAME] match recognises it
    messages=[{"role": "user", "content": "What is 12 plus 30? Reply with only the number."}],
)
answer = reply.choices[0].message.content
print(answer)

if answer != "42":
    feedback = json.dumps({"id": reply.id, "expected": 42}).encode()
    headers = {"content-type": "application/json", "authorization": f"Bearer {KEY}"}
    urllib.request.urlopen(urllib.request.Request(f"{URL}/v1/feedback", feedback, headers)).close()
    print("feedback sent")
