// The official TypeScript SDK as a client: tour.mjs URL MODE, with a plan on stdin.
//
// MODE is `legacy`, or a version of the modern era. The plan says what is there to be seen: see
// `tests/src/tour.rs`. Prints what was seen as one JSON object.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

// The packages are installed elsewhere, and a module is looked for beside the file that wants it.
const installed = createRequire(join(process.env.PEERS, 'package.json'));
const load = (name) => import(pathToFileURL(installed.resolve(name)).href);
const { Client, StreamableHTTPClientTransport } = await load('@modelcontextprotocol/client');
// WebSocket was part of the SDK up to version 1; its transport fits the client of version 2.
const { WebSocketClientTransport } = await load('@modelcontextprotocol/sdk/client/websocket.js');

const [url, mode] = process.argv.slice(2);
const plan = JSON.parse(readFileSync(0, 'utf8'));
const capabilities = { sampling: {}, elicitation: { form: {} }, roots: {} };
const versionNegotiation = { mode: mode === 'legacy' ? 'legacy' : { pin: mode } };
const client = new Client({ name: 'tour', version: '1.0.0' }, { capabilities, versionNegotiation });

client.setRequestHandler('sampling/createMessage', async () => ({
  role: 'assistant',
  content: { type: 'text', text: 'forty-two' },
  model: 'test-model',
}));
client.setRequestHandler('elicitation/create', async ({ params }) => ({
  action: 'accept',
  content: Object.fromEntries(
    Object.entries(params.requestedSchema.properties).map(([name, field]) => [name, fill(field)]),
  ),
}));
client.setRequestHandler('roots/list', async () => ({
  roots: [{ uri: 'file:///tmp/root', name: 'root' }],
}));
let updated;
const update = new Promise((resolve) => (updated = resolve));
client.setNotificationHandler('notifications/resources/updated', ({ params }) => updated(params.uri));

function fill(field) {
  const choices = field.enum ?? field.oneOf?.map((one) => one.const);
  if (choices) return choices[0];
  if (field.default !== undefined) return field.default;
  const items = field.items?.enum ?? field.items?.anyOf?.map((one) => one.const);
  return { integer: 7, number: 7.5, boolean: true, array: items?.slice(0, 1) }[field.type] ?? 'Alice';
}

const texts = (content) => content.filter((c) => c.type === 'text').map((c) => c.text);
const call = async (step, options) => texts((await client.callTool(step, options)).content).join('\n');
async function all(list, member) {
  const found = [];
  let cursor;
  do {
    const page = await list.call(client, { cursor });
    found.push(...page[member]);
    cursor = page.nextCursor;
  } while (cursor);
  return found;
}

const Transport = url.startsWith('ws') ? WebSocketClientTransport : StreamableHTTPClientTransport;
await client.connect(new Transport(new URL(url)));
const seen = {
  version: client.getNegotiatedProtocolVersion?.() ?? mode,
  tools: (await all(client.listTools, 'tools')).map((tool) => tool.name),
  prompts: (await all(client.listPrompts, 'prompts')).map((prompt) => prompt.name),
  resources: (await all(client.listResources, 'resources')).map((resource) => resource.uri),
  templates: (await all(client.listResourceTemplates, 'resourceTemplates')).map((t) => t.uriTemplate),
};
seen.call = await call(plan.call);
const prompt = await client.getPrompt(plan.prompt);
seen.prompt = texts(prompt.messages.map((message) => message.content)).join('\n');
seen.read = (await client.readResource({ uri: plan.read })).contents[0].text;
seen.sampling = await call(plan.sampling);
seen.elicitation = await call(plan.elicitation);
seen.roots = await call(plan.roots);
seen.progress = [];
await call(plan.progress, { onprogress: ({ progress }) => seen.progress.push(progress) });
seen.completion = (await client.complete(plan.completion)).completion.values;

const abort = new AbortController();
const cancelled = client.callTool(plan.cancel.call, { signal: abort.signal }).then(
  () => 'answered',
  () => 'cancelled',
);
await settled(plan.cancel.begun);
abort.abort();
seen.cancelled = await cancelled;
if (plan.cancel.ended) seen.ended = await settled(plan.cancel.ended);

if (mode === 'legacy') await client.subscribeResource({ uri: plan.subscribe.uri });
else await client.listen({ resourceSubscriptions: [plan.subscribe.uri] });
await call(plan.subscribe.cause);
seen.updated = await update;
await client.close();
console.log(JSON.stringify(seen));
process.exit(0);

// Calls a tool until its text holds what is expected: another call's effect takes its time.
async function settled(step) {
  if (!step) return new Promise((resolve) => setTimeout(resolve, 300));
  for (;;) {
    const text = await call(step.call);
    if (text.includes(step.expect)) return text;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
