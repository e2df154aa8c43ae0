// Carries out actions (one JSON object a line on stdin) with the official client and tells what it saw, a line each.
// The twin of clients.py: the scenarios stand in scenarios.py only.
import { createInterface } from 'node:readline';
import OpenAI, { APIError, OpenAIError, toFile } from 'openai';
import { zodResponseFormat, zodTextFormat } from 'openai/helpers/zod';
import { z } from 'zod';

const SUM = z.object({ sum: z.number().int(), how: z.string() });

async function made(name, value) {
  if (value?.$file) {
    const [file, text, type] = value.$file;
    return toFile(Buffer.from(text), file, { type });
  }
  if (value?.$schema === 'sum') {
    return name === 'text' ? { format: zodTextFormat(SUM, 'sum') } : zodResponseFormat(SUM, 'sum');
  }
  return value;
}

async function called(client, action) {
  const path = action.method.split('.');
  const name = path.pop();
  const resource = path.reduce((parent, key) => parent[key], client);
  const body = {};
  for (const [key, value] of Object.entries(action.body)) body[key] = await made(key, value);
  const args = Object.keys(body).length ? [...action.args, body] : action.args;
  return { pending: resource[name](...args) };
}

async function follow(action, { pending }, seen) {
  switch (action.how) {
    case 'whole': {
      const reply = await pending;
      seen.value = reply;
      seen.request_id = reply._request_id ?? null;
      return;
    }
    case 'bytes':
      seen.value = Buffer.from(await (await pending).arrayBuffer()).toString('base64');
      return;
    case 'final':
      seen.value = await (action.method.startsWith('responses')
        ? pending.finalResponse()
        : pending.finalChatCompletion());
      return;
    case 'events':
      seen.value = [];
      for await (const event of await pending) seen.value.push(event);
      return;
    case 'list':
      seen.value = [];
      for await (const item of pending) seen.value.push(item);
      return;
    case 'first':
      for await (const event of await pending) {
        seen.value = [event];
        break;
      }
      return;
  }
}

function failed(error) {
  return {
    name: error.constructor.name,
    status: error.status ?? null,
    retry_after: error.headers?.get('retry-after') ?? null,
    request_id: error.requestID ?? null,
    code: error.code ?? null,
    type: error.type ?? null,
    param: error.param ?? null,
    body: error.error ?? null,
  };
}

async function perform(action) {
  const seen = { value: null, error: null, request_id: null };
  const client = new OpenAI({
    baseURL: action.base_url,
    apiKey: action.api_key,
    maxRetries: action.retries,
    timeout: action.timeout_s * 1000,
  });
  try {
    await follow(action, await called(client, action), seen);
  } catch (error) {
    if (!(error instanceof APIError || error instanceof OpenAIError)) throw error;
    seen.error = failed(error);
  }
  return seen;
}

for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await perform(JSON.parse(line))));
}
