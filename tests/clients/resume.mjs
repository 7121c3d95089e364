// The official TypeScript SDK as a client whose connections are cut: resume.mjs URL.
//
// Reads one call a line, {"name": ..., "arguments": ...}, and prints its progress and what came of
// it, one line each.
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

// The packages are installed elsewhere, and a module is looked for beside the file that wants it.
const installed = createRequire(join(process.env.PEERS, 'package.json'));
const { Client, StreamableHTTPClientTransport } = await import(
  pathToFileURL(installed.resolve('@modelcontextprotocol/client')).href
);

const client = new Client({ name: 'resume', version: '1.0.0' });
await client.connect(new StreamableHTTPClientTransport(new URL(process.argv[2])));
console.log('connected');
for await (const line of createInterface({ input: process.stdin })) {
  const onprogress = ({ progress }) => console.log(`progress ${progress}`);
  try {
    const { content } = await client.callTool(JSON.parse(line), { onprogress });
    console.log(`answer ${content[0].text}`);
  } catch (error) {
    console.log(`error ${error.message}`);
  }
}
process.exit(0);
