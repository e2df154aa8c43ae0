// Ask through Preceptor with the Vercel AI SDK, streamed.
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { streamText } from 'ai'

const url = process.env.PRECEPTOR_URL ?? 'http://127.0.0.1:8100'
const preceptor = createOpenAICompatible({
  name: 'preceptor',
  baseURL: `${url}/v1`,
  apiKey: process.env.PRECEPTOR_KEY ?? 'not-needed',
})

const { textStream } = streamText({
  model: preceptor('gpt-4o-mini'),
  prompt: 'What is 12 plus 30? Reply with only the number.',
})
for await (const text of textStream) process.stdout.write(text)
process.stdout.write('\n')
