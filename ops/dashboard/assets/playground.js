// A chat with a model: sends what the form says, shows tokens as they come and how long they took,
// and the same request for curl and Python. Text is only ever set as text.
"use strict";

const form = document.getElementById("ask");
const turns = [];

function request() {
  const fields = new FormData(form);
  const body = { model: fields.get("model"), messages: messages(fields), stream: true };
  for (const name of ["temperature", "top_p", "max_tokens", "seed"]) {
    if (fields.get(name) !== "") body[name] = Number(fields.get(name));
  }
  return body;
}

function messages(fields) {
  const system = fields.get("system").trim();
  const first = system ? [{ role: "system", content: system }] : [];
  const question = fields.get("question").trim();
  return [...first, ...turns, ...(question ? [{ role: "user", content: question }] : [])];
}

function quoted(text) {
  return "'" + text.replaceAll("'", "'\\''") + "'";
}

function showCode() {
  const body = request();
  const url = form.dataset.baseUrl;
  const text = JSON.stringify(body, null, 1);
  document.getElementById("as-curl").textContent =
    `curl -N ${url}/chat/completions \\\n  -H "Authorization: Bearer $FLOTILLA_KEY" ` +
    `-H 'Content-Type: application/json' \\\n  -d ${quoted(text)}`;
  const { model, messages: said, stream, ...rest } = body;
  const options = Object.entries(rest).map(([name, value]) => `    ${name}=${value},\n`).join("");
  document.getElementById("as-python").textContent =
    "import os\nfrom openai import OpenAI\n\n" +
    `client = OpenAI(base_url=${JSON.stringify(url)}, api_key=os.environ["FLOTILLA_KEY"])\n` +
    `stream = client.chat.completions.create(\n    model=${JSON.stringify(model)},\n` +
    `    messages=${JSON.stringify(said)},\n${options}    stream=True,\n)\n` +
    'for chunk in stream:\n    if chunk.choices:\n        print(chunk.choices[0].delta.content or "", end="")\n';
}

function addTurn(role, text) {
  const turn = document.createElement("div");
  turn.className = `turn ${role}`;
  turn.textContent = text;
  document.getElementById("chat").append(turn);
  return turn;
}

function timings(began, first, tokens, headers) {
  const now = performance.now();
  const parts = [`first token after ${first ? Math.round(first - began) : "-"} ms`];
  parts.push(`whole answer after ${Math.round(now - began)} ms`);
  if (first && tokens > 1) parts.push(`${((tokens - 1) / ((now - first) / 1000)).toFixed(1)} tokens/s`);
  parts.push(`request ${headers.get("x-request-id") ?? "-"}`);
  if (headers.get("x-flotilla-fallback")) parts.push(`fallback: ${headers.get("x-flotilla-fallback")}`);
  document.getElementById("timings").textContent = parts.join("; ");
}

async function* events(reply) {
  const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) if (block.startsWith("data: ")) yield block.slice(6);
  }
}

async function answer(reply, turn, began) {
  let first = 0;
  let tokens = 0;
  for await (const data of events(reply)) {
    if (data === "[DONE]") break;
    const event = JSON.parse(data);
    if (event.error) throw new Error(event.error.message);
    const piece = event.choices[0]?.delta?.content;
    if (!piece) continue;
    first ||= performance.now();
    tokens += 1;
    turn.textContent += piece;
    timings(began, first, tokens, reply.headers);
  }
  timings(began, first, tokens, reply.headers);
}

async function ask() {
  const body = request();
  const question = new FormData(form).get("question").trim();
  if (!question) return;
  turns.push({ role: "user", content: question });
  addTurn("user", question);
  form.elements.question.value = "";
  const turn = addTurn("assistant", "");
  const began = performance.now();
  try {
    const reply = await fetch("/playground", {
      method: "POST",
      headers: {
        "content-type": "application/json",
        "x-csrf-token": form.dataset.token,
        "x-api-key": form.elements.key.value.trim(),
      },
      body: JSON.stringify(body),
    });
    if (!reply.ok) throw new Error(refusal(reply.status, await reply.text()));
    await answer(reply, turn, began);
    turns.push({ role: "assistant", content: turn.textContent });
  } catch (error) {
    turn.classList.add("failed");
    turn.textContent += ` ${error.message}`;
    turns.pop();
  }
}

function refusal(status, text) {
  try {
    return `${status}: ${JSON.parse(text).error.message}`;
  } catch {
    return `${status}: ${text}`;
  }
}

form.addEventListener("input", showCode);
form.addEventListener("submit", (event) => {
  event.preventDefault();
  form.elements.send.disabled = true;
  ask().finally(() => { form.elements.send.disabled = false; showCode(); });
});
document.getElementById("forget").addEventListener("click", () => {
  turns.length = 0;
  document.getElementById("chat").replaceChildren();
  showCode();
});
showCode();
