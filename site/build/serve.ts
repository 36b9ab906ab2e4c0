/** A server for the built site on the loopback, with the headers that let pages share memory between threads. */
import { createReadStream, existsSync, statSync } from "node:fs";
import { createServer } from "node:http";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join, normalize } from "node:path";

const types: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".json": "application/json; charset=utf-8",
  ".svg": "image/svg+xml",
  ".woff2": "font/woff2",
  ".png": "image/png",
};

/** Files whose names change with what is in them: a browser need not ask for them again. */
const hashed = /^\/(assets|app\/chunks)\/[^?]*[-.][\w-]{8,}\.\w+$/;

/** Serves `folder` at a free port, or at `port`. `isolated: false` leaves the headers out, as plain hosts do. */
export async function serveFolder(
  folder: string,
  { port = 0, isolated = true } = {},
): Promise<{ readonly address: string; readonly server: Server }> {
  const headers = isolated ? { "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp" } : {};
  const server = createServer((request, response) => {
    const file = fileOf(folder, request.url ?? "/");
    if (!file) {
      response.writeHead(404, { ...headers, "content-type": "text/plain; charset=utf-8" }).end("There is no such page.");
      return;
    }
    const kept: Record<string, string> = hashed.test(request.url ?? "") ? { "cache-control": "max-age=31536000, immutable" } : {};
    response.writeHead(200, { ...headers, ...kept, "content-type": types[extname(file)] ?? "application/octet-stream" });
    createReadStream(file).pipe(response);
  });
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  return { address: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, server };
}

function fileOf(folder: string, url: string): string | undefined {
  const path = normalize(decodeURIComponent(url.split(/[?#]/)[0] ?? "/"));
  const candidates = [path, `${path}.html`, join(path, "index.html")].map((name) => join(folder, name));
  return candidates.find((file) => file.startsWith(folder) && existsSync(file) && statSync(file).isFile());
}
