/** Reads the files of a checkpoint from an address, by HTTP ranges. */
import { callable, check, checkOptions, having, optional, positive, whole as wholeNumber } from "../autograd/arguments.ts";
import type { Source } from "./source.ts";
import { messageOf, whole } from "./source.ts";

/** How a checkpoint is fetched from an address. */
export interface AddressOptions {
  /** Sent with every request: `{ authorization: "Bearer …" }`. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Of a server that ignores ranges, files of up to this many bytes are read whole and kept. Default 64 MiB. */
  readonly wholeLimit?: number;
  /** How long one request may take, in milliseconds. Default 120,000. */
  readonly timeout?: number;
  /** Used in place of the global `fetch`. */
  readonly fetch?: typeof fetch;
}

interface Known {
  readonly size: number;
  /** ETag or date, where the server says one. */
  readonly version: string | null;
  /** All of the file, from a server that ignores ranges. */
  readonly bytes?: Uint8Array;
}

const isAddress = (value: unknown): boolean => typeof value === "string" && /^https?:\/\//i.test(value);

/**
 * The files below an address such as `https://huggingface.co/google/switch-base-8/resolve/main`. Requests that fail on the way, or that
 * the server answers with 429 or 5xx, are tried three times. Throws where the server answers with an error, where it ignores ranges and
 * the file is longer than `wholeLimit`, and where a file's size, ETag or date changes while it is read.
 */
export function addressSource(address: string, options: AddressOptions = {}): Source {
  checkOptions<AddressOptions>("addressSource", options, {
    headers: optional(having("an object of headers")),
    wholeLimit: optional(wholeNumber(0)),
    timeout: optional(positive),
    fetch: optional(callable),
  });
  check("addressSource", "address", address, { wanted: "one that starts with http:// or https://", accepts: isAddress });
  const base = address.replace(/\/+$/, "");
  const known = new Map<string, Promise<Known | undefined>>();
  const look = (name: string): Promise<Known | undefined> => {
    let file = known.get(name);
    if (!file) known.set(name, (file = probe(`${base}/${encodeURIComponent(name)}`, name, options)));
    return file;
  };
  return {
    where: address,
    list: async () => undefined,
    sizeOf: async (name) => (await look(name))?.size,
    read: async (name, begin, end) => {
      const file = await look(name);
      if (!file) throw new RangeError(`${name}: there is no such file below ${address}`);
      if (begin === end) return new Uint8Array();
      const bytes =
        file.bytes?.subarray(begin, end) ?? (await range(`${base}/${encodeURIComponent(name)}`, name, begin, end, file, options));
      return whole(name, begin, end, bytes);
    },
    close: async () => known.clear(),
  };
}

/** Size and version of a file, from a request for its first byte; undefined where there is no such file. */
async function probe(url: string, name: string, options: AddressOptions): Promise<Known | undefined> {
  const found = await request(url, name, options, { range: "bytes=0-0" }, async (response) => {
    if (response.status === 404 || response.status === 410) return void (await response.body?.cancel());
    if (response.status === 200) return wholeFile(response, name, options);
    await response.body?.cancel();
    if (response.status === 416) return { size: 0, version: versionOf(response), bytes: new Uint8Array() };
    if (response.status !== 206) throw new RangeError(`${name}: ${url} answers ${response.status} ${response.statusText}`.trim());
    return { size: totalOf(response), version: versionOf(response) };
  });
  return found && { ...found, size: found.size ?? (await announced(url, name, options)) };
}

function totalOf(response: Response): number | undefined {
  const total = /\/(\d+)$/.exec(response.headers.get("content-range") ?? "")?.[1];
  return total === undefined ? undefined : Number(total);
}

/** The length of a file by a HEAD request, for pages that may not read the header of the range. */
async function announced(url: string, name: string, options: AddressOptions): Promise<number> {
  const headers = await request(url, name, options, {}, async (response) => response.headers, "HEAD");
  const length = headers.get("content-encoding") === null ? headers.get("content-length") : null;
  if (length === null) throw new RangeError(`${name}: ${url} does not say how long it is`);
  return Number(length);
}

/** All of a file from a server that ignores ranges. Throws where it is longer than `wholeLimit`. */
async function wholeFile(response: Response, name: string, { wholeLimit = 64 * 2 ** 20 }: AddressOptions): Promise<Known> {
  const parts: Uint8Array[] = [];
  let size = 0;
  const reader = response.body?.getReader();
  for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) {
    const bytes: Uint8Array = part.value;
    size += bytes.length;
    if (size > wholeLimit) {
      await reader?.cancel();
      throw new RangeError(
        `${name}: ${response.url} ignores ranges, and the file is longer than the ${wholeLimit} bytes that are read whole; ` +
          "use a server with ranges, or the option wholeLimit",
      );
    }
    parts.push(bytes);
  }
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return { size, version: versionOf(response), bytes };
}

function range(url: string, name: string, begin: number, end: number, file: Known, options: AddressOptions): Promise<Uint8Array> {
  return request(url, name, options, { range: `bytes=${begin}-${end - 1}` }, async (response) => {
    if (response.status === 206 && versionOf(response) === file.version && (totalOf(response) ?? file.size) === file.size)
      return new Uint8Array(await response.arrayBuffer());
    await response.body?.cancel();
    if (response.status === 206 || response.status === 416 || response.status === 404)
      throw new RangeError(`${name}: changed while it was read`);
    throw new RangeError(`${name}: ${url} answers ${response.status} to a request for bytes ${begin} to ${end}; want 206`);
  });
}

function versionOf({ headers }: Response): string | null {
  return headers.get("etag") ?? headers.get("last-modified");
}

/** `fetch` says only "fetch failed"; what happened is in the cause of its error. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause !== undefined ? messageOf(error.cause) : "";
  return cause ? `${messageOf(error)}: ${cause}` : messageOf(error);
}

const ATTEMPTS = 3;

/** What `consume` returns for the response. Failed requests are tried again; a RangeError of `consume` is final. */
async function request<T>(
  url: string,
  name: string,
  { headers = {}, timeout = 120_000, fetch: get = fetch }: AddressOptions,
  extra: Readonly<Record<string, string>>,
  consume: (response: Response) => Promise<T>,
  method = "GET",
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      const response = await get(url, { method, headers: { ...headers, ...extra }, signal: AbortSignal.timeout(timeout) });
      if (attempt === ATTEMPTS || (response.status !== 429 && response.status < 500)) return await consume(response);
      await response.body?.cancel();
    } catch (error) {
      if (error instanceof RangeError) throw error;
      if (attempt === ATTEMPTS) throw new RangeError(`${name}: ${url} cannot be read: ${reasonOf(error)}`, { cause: error });
    }
    await new Promise((resolve) => setTimeout(resolve, 250 * attempt));
  }
}
