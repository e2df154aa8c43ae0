// Carries out features of clients for Node and tells the outcome: a JSON object a line in, one out.
// The twin of python/features.py.
import { createInterface } from 'node:readline';
import Anthropic from '@anthropic-ai/sdk';
import { createAnthropic } from '@ai-sdk/anthropic';
import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { generateText, Output, stepCountIs, streamText, tool } from 'ai';
import OpenAI from 'openai';
import { zodResponseFormat } from 'openai/helpers/zod';
import { z } from 'zod';

globalThis.AI_SDK_LOG_WARNINGS = false;
let ASK = ''; // the question under way
const model = 'gpt-4o-mini';
const messages = [{ role: 'user', content: ASK }];
const apiKey = 'sk-client';
const SUM = z.object({ value: z.number().int() });
const NUMBERS = {
  type: 'object',
  properties: { a: { type: 'integer' }, b: { type: 'integer' } },
  required: ['a', 'b'],
};
const TOOL = { type: 'function', function: { name: 'add', description: 'Adds.', parameters: NUMBERS } };

function openai(url) {
  const { completions } = new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 0 }).chat;
  return {
    async chat() {
      const [choice] = (await completions.create({ model, messages })).choices;
      return [choice.message.content, choice.finish_reason];
    },
    async stream() {
      let text = '';
      for await (const chunk of await completions.create({ model, messages, stream: true })) {
        text += chunk.choices[0]?.delta.content ?? '';
      }
      return text;
    },
    async tools() {
      const runner = completions.runTools({
        model,
        messages,
        tools: [{ type: 'function', function: { ...TOOL.function, parse: JSON.parse, function: ({ a, b }) => `${a + b}` } }],
      });
      return [await runner.finalContent(), runner.messages.map((message) => message.role)];
    },
    async structured() {
      const reply = await completions.parse({ model, messages, response_format: zodResponseFormat(SUM, 'sum') });
      return reply.choices[0].message.parsed;
    },
  };
}

function anthropic(url) {
  const client = new Anthropic({ baseURL: url, apiKey, maxRetries: 0 }).messages;
  const asked = { model, max_tokens: 50, messages };
  const textOf = (message) => message.content.filter((block) => block.type === 'text').map((block) => block.text).join('');
  return {
    async chat() {
      const message = await client.create(asked);
      return [textOf(message), message.stop_reason];
    },
    async stream() {
      const message = await client.stream(asked).finalMessage();
      return [textOf(message), message.stop_reason];
    },
    async tools() {
      const tools = [{ name: 'add', description: 'Adds.', input_schema: NUMBERS }];
      const first = await client.create({ ...asked, tools });
      const call = first.content.find((block) => block.type === 'tool_use');
      const result = { type: 'tool_result', tool_use_id: call.id, content: '4' };
      const turns = [...messages, { role: 'assistant', content: first.content }, { role: 'user', content: [result] }];
      return [call.input, textOf(await client.create({ ...asked, messages: turns, tools }))];
    },
    async structured() {
      const schema = { type: 'object', properties: { value: { type: 'integer' } }, required: ['value'], additionalProperties: false };
      const message = await client.create({ ...asked, output_config: { format: { type: 'json_schema', schema } } });
      return JSON.parse(textOf(message));
    },
  };
}

function ai(provider) {
  const asked = { model: provider(model), prompt: ASK, maxRetries: 0 };
  return {
    async chat() {
      const { text, finishReason } = await generateText(asked);
      return [text, finishReason];
    },
    async stream() {
      const errors = [];
      const run = streamText({ ...asked, onError: ({ error }) => errors.push(`${error}`) });
      let text = '';
      for await (const piece of run.textStream) text += piece;
      return [text, await run.finishReason, errors];
    },
    async tools() {
      const add = tool({
        description: 'Adds.',
        inputSchema: z.object({ a: z.number(), b: z.number() }),
        execute: ({ a, b }) => a + b,
      });
      const run = await generateText({ ...asked, tools: { add }, stopWhen: stepCountIs(3) });
      return [run.text, run.steps.map((step) => step.finishReason)];
    },
    async structured() {
      return (await generateText({ ...asked, output: Output.object({ schema: SUM }) })).output;
    },
  };
}

const CLIENTS = {
  'openai-node': openai,
  'anthropic-node': anthropic,
  'ai-openai-compatible': (url) => ai(createOpenAICompatible({ name: 'here', baseURL: `${url}/v1`, apiKey, supportsStructuredOutputs: true })),
  'ai-openai': (url) => ai(createOpenAI({ baseURL: `${url}/v1`, apiKey })),
  'ai-anthropic': (url) => ai(createAnthropic({ baseURL: `${url}/v1`, apiKey })),
};

for await (const line of createInterface({ input: process.stdin })) {
  const { client, feature, url, ask } = JSON.parse(line);
  ASK = messages[0].content = ask;
  let told;
  try {
    told = { seen: await CLIENTS[client](url)[feature]() };
  } catch (error) {
    told = { error: error.constructor.name, words: `${error.message}`.slice(0, 1000) };
  }
  console.log(JSON.stringify(told));
}
