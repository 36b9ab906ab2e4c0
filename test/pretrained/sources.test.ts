/** Every source gives the same bytes, says what is missing, and notices a file that changes. Servers listen on this machine alone. */
import { appendFileSync, mkdirSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { IncomingMessage, RequestListener, Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect } from "chai";
import { addressSource, filesSource, folderSource, memorySource, openWeights } from "switchyard-moe/pretrained";
import type { Source } from "../../src/pretrained/source.ts";
import { sourceOf } from "../../src/pretrained/sourceOf.ts";
import { inFolder } from "./inFolder.ts";
import { refusal } from "./reading.ts";
import { ascii } from "./torchWriter.ts";

const text = async (source: Source, begin: number, end: number): Promise<string> =>
  new TextDecoder().decode(await source.read("a.txt", begin, end));

/** Runs with a server, and stops it. */
async function serving(answer: RequestListener, run: (address: string) => Promise<unknown>): Promise<void> {
  const server: Server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    await run(`http://127.0.0.1:${(server.address() as AddressInfo).port}/models`);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

const asked = ({ headers }: IncomingMessage): [number, number] | undefined => {
  const [, begin, end] = /^bytes=(\d+)-(\d+)$/.exec(headers.range ?? "") ?? [];
  return begin === undefined ? undefined : [Number(begin), Number(end) + 1];
};

/** A server with ranges: 404 but for a.txt. */
const ranged =
  (contents: () => string, headers: () => Record<string, string> = () => ({})): RequestListener =>
  (request, response) => {
    const range = asked(request);
    if (request.url !== "/models/a.txt") return void response.writeHead(404).end();
    const bytes = ascii(contents());
    if (!range || range[0] >= bytes.length) return void response.writeHead(range ? 416 : 200, headers()).end();
    const end = Math.min(range[1], bytes.length);
    response
      .writeHead(206, { "content-range": `bytes ${range[0]}-${end - 1}/${bytes.length}`, ...headers() })
      .end(bytes.subarray(range[0], end));
  };

/** Holds of every source of one file a.txt with "hello world". */
async function holds(source: Source, lists = true): Promise<void> {
  expect(await source.list()).to.deep.equal(lists ? ["a.txt"] : undefined);
  expect(await source.sizeOf("a.txt")).to.equal(11);
  expect(await source.sizeOf("b.txt")).to.equal(undefined);
  expect(await text(source, 0, 11)).to.equal("hello world");
  expect(await text(source, 4, 7)).to.equal("o w");
  expect(await text(source, 3, 3)).to.equal("");
  await source.close();
}

describe("a source", () => {
  it("in memory", () => holds(memorySource(new Map([["a.txt", ascii("hello world")]]))));

  it("of a page's Files", () => holds(filesSource([new File(["hello world"], "a.txt")])));

  it("of a folder, by its path, its address, and through links", () =>
    inFolder(async (path) => {
      mkdirSync(join(path, "blobs"));
      mkdirSync(join(path, "here"));
      writeFileSync(join(path, "blobs", "123"), "hello world");
      symlinkSync("../blobs/123", join(path, "here", "a.txt"));
      for (const given of [join(path, "here"), pathToFileURL(join(path, "here")), pathToFileURL(join(path, "here")).href])
        await holds(sourceOf("test", given));
    }));

  it("of an address with ranges", () => serving(ranged(() => "hello world"), async (address) => {
    await holds(addressSource(`${address}/`), false);
    await holds(sourceOf("test", new URL(address)), false);
  })); // prettier-ignore

  it("of an address that ignores ranges, where files are short", () =>
    serving(
      (request, response) => void response.writeHead(request.url === "/models/a.txt" ? 200 : 404).end("hello world"),
      async (address) => {
        await holds(addressSource(address), false);
        const source = addressSource(address, { wholeLimit: 10 });
        expect(await refusal(() => source.sizeOf("a.txt"))).to.match(/^a\.txt: http.* ignores ranges, .* longer than the 10 bytes/);
      },
    ));

  it("asks again where the way breaks or the server is busy, three times", () => {
    let requests = 0;
    const busy = (until: number): RequestListener => {
      const well = ranged(() => "hello world");
      return (request, response) => (++requests < until ? requests % 2 ? response.writeHead(503).end() : request.socket.destroy() : well(request, response)); // prettier-ignore
    };
    return serving(busy(3), async (address) => {
      expect(await addressSource(address).sizeOf("a.txt")).to.equal(11);
      expect(requests).to.equal(3);
    });
  });

  it("gives up with a reason", async () => {
    await serving((_, response) => void response.writeHead(500).end(), async (address) =>
      expect(await refusal(() => addressSource(address).sizeOf("a.txt"))).to.match(/^a\.txt: http.* answers 500/)); // prettier-ignore
    await serving((_, response) => void response.writeHead(401).end(), async (address) =>
      expect(await refusal(() => addressSource(address).sizeOf("a.txt"))).to.match(/^a\.txt: http.* answers 401 Unauthorized/)); // prettier-ignore
    await serving(() => {}, async (address) =>
      expect(await refusal(() => addressSource(address, { timeout: 50 }).sizeOf("a.txt"))).to.match(/^a\.txt: http.* cannot be read: .*timeout/)); // prettier-ignore
  });

  it("says what broke the way, which fetch keeps in the cause of its error", async () => {
    let address = "";
    await serving(() => {}, async (free) => void (address = free)); // prettier-ignore
    const error = await addressSource(address).sizeOf("a.txt").catch((reason: unknown) => reason); // prettier-ignore
    expect(String(error)).to.match(/a\.txt: http.* cannot be read: fetch failed: .*ECONNREFUSED/);
    expect((error as Error).cause).to.be.instanceOf(TypeError);
  });

  it("sends the headers it is given", () =>
    serving(
      (request, response) => void response.writeHead(request.headers.authorization === "Bearer x" ? 200 : 403).end("hello world"),
      async (address) => {
        expect(await addressSource(address, { headers: { authorization: "Bearer x" } }).sizeOf("a.txt")).to.equal(11);
        expect(await refusal(() => addressSource(address).sizeOf("a.txt"))).to.match(/answers 403/);
      },
    ));
});

describe("a file that changes while it is read is an error", () => {
  const changes: Record<string, (path: string) => void> = {
    longer: (path) => appendFileSync(path, "!"),
    shorter: (path) => writeFileSync(path, "hello"),
    "as long, but newer": (path) => utimesSync(path, 1, 2),
  };
  for (const [how, change] of Object.entries(changes))
    it(`on a disk: ${how}`, () =>
      inFolder(async (path) => {
        const file = join(path, "a.txt");
        writeFileSync(file, "hello world");
        const source = folderSource(path);
        expect(await text(source, 0, 5)).to.equal("hello");
        change(file);
        expect(await refusal(() => source.read("a.txt", 5, 11))).to.equal("a.txt: changed while it was read");
        await source.close();
      }));

  const answers: Record<string, [before: [string, string], after: [string, string]]> = {
    "in size": [["hello world", "1"], ["hello world!", "1"]],
    "in its ETag": [["hello world", "1"], ["hello WORLD", "2"]],
    "to less than is asked for": [["hello world", "1"], ["hel", "1"]],
  }; // prettier-ignore
  for (const [how, [before, after]] of Object.entries(answers))
    it(`on a server: ${how}`, () => {
      let now = before;
      return serving(ranged(() => now[0], () => ({ etag: now[1] })), async (address) => {
        const source = addressSource(address);
        expect(await source.sizeOf("a.txt")).to.equal(11);
        now = after;
        expect(await refusal(() => source.read("a.txt", 5, 11))).to.equal("a.txt: changed while it was read");
      }); // prettier-ignore
    });

  it("among a page's Files", async () => {
    const gone = { name: "a.txt", size: 11, slice: () => ({ arrayBuffer: () => Promise.reject(new Error("NotReadableError")) }) };
    expect(await refusal(() => filesSource([gone]).read("a.txt", 0, 3))).to.match(
      /^a\.txt: cannot be read, or changed after it was chosen/,
    );
    const short = new File(["hello"], "a.txt");
    expect(await refusal(() => filesSource([short]).read("a.txt", 0, 11))).to.match(/^a\.txt: bytes 0 to 11 were asked for, 5 came/);
  });
});

describe("a careless caller of sources", () => {
  it("hears of a folder that is none", () =>
    inFolder(async (path) => {
      expect(await refusal(() => openWeights(join(path, "no")))).to.match(/no: there is no such folder/);
      writeFileSync(join(path, "file"), "");
      expect(await refusal(() => openWeights(join(path, "file")))).to.match(/file: is a file; want the folder that holds config\.json/);
      expect(await refusal(() => openWeights(path))).to.match(/there are no weights in .*: want model\.safetensors or .*; it holds file$/);
    }));

  const wrong: Record<string, [run: () => unknown, says: string]> = {
    "a number": [() => sourceOf("loadPretrained", 3 as never), "loadPretrained: source 3: want a folder's path, an address, the Files of a page, or a Source"],
    nothing: [() => sourceOf("loadPretrained", undefined as never), "loadPretrained: source undefined: want a folder's path, an address, the Files of a page, or a Source"],
    "strings among files": [() => filesSource(["a.txt"] as never), 'filesSource: "a.txt" among the files: want a File'],
    "two files of one name": [() => filesSource([new File([], "a"), new File([], "a")]), 'filesSource: two files are called "a"'],
    "a path for an address": [() => addressSource("/models"), 'addressSource: address "/models": want one that starts with http:// or https://'],
    "an option misspelt": [() => addressSource("http://x", { header: {} } as never), "addressSource: there is no option header; did you mean headers?"],
  }; // prettier-ignore
  for (const [what, [run, says]] of Object.entries(wrong)) it(`hears of ${what}`, () => expect(run).to.throw(says));
});
