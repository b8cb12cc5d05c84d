// OpenAI's client for Node against a gateway: prints what it saw as one line of JSON. Where DIE is
// empty the engine follows no script: it is asked for no call of a tool, and not to die.
import OpenAI from "openai";

const { BASE_URL, API_KEY, MODEL, DIE } = process.env;
const api = new OpenAI({ baseURL: BASE_URL, apiKey: API_KEY, maxRetries: 2 });
const known = { model: MODEL, max_tokens: 16, temperature: 0 };
const ask = (content, more = {}) => ({ ...known, messages: [{ role: "user", content }], ...more });

async function streamed() {
  const found = { text: "", usage: null };
  const more = { stream: true, stream_options: { include_usage: true } };
  for await (const chunk of await api.chat.completions.create(ask("hi", more))) {
    found.text += chunk.choices[0]?.delta?.content ?? "";
    found.usage = chunk.usage ?? found.usage;
  }
  return found;
}

async function cut() {
  for await (const _ of await api.chat.completions.create(ask(DIE, { stream: true })));
}

async function called() {
  const answer = await api.chat.completions.create(ask("hi", { tools: [tool] }));
  return answer.choices[0].message.tool_calls[0].function.arguments;
}

async function refusal(work) {
  try {
    await work();
    return null;
  } catch (error) {
    const { status, code, param, type, requestID } = error;
    return { name: error.constructor.name, status, code, param, type, has_id: Boolean(requestID) };
  }
}

const stranger = new OpenAI({ baseURL: BASE_URL, apiKey: "sk-wrong", maxRetries: 2 });
const tool = { type: "function", function: { name: "weather", parameters: { type: "object" } } };
const whole = await api.chat.completions.create(ask("hi", { n: 2, temperature: 1 }));
const models = [];
for await (const model of api.models.list()) models.push(model.id);

console.log(JSON.stringify({
  whole: whole.choices.map((choice) => choice.message.content),
  text: (await api.completions.create({ ...known, prompt: "hi" })).choices[0].text,
  models,
  streamed: await streamed(),
  wrong: await refusal(() => api.chat.completions.create(ask("hi", { temperature: 9 }))),
  nobody: await refusal(() => api.chat.completions.create({ ...ask("hi"), model: "nobody" })),
  stranger: await refusal(() => stranger.models.list()),
  ...(DIE && { arguments: await called(), cut: await refusal(cut) }),
}));
