/** The checksum of zip files: CRC-32 of ISO 3309, with the reversed polynomial 0xEDB88320. */

const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

/** The checksum of `bytes`, continued from that of the bytes before them. */
export function tableCrc32(bytes: Uint8Array, before = 0): number {
  let crc = ~before;
  for (let i = 0; i < bytes.length; i++) crc = table[(crc ^ bytes[i]) & 255] ^ (crc >>> 8);
  return ~crc >>> 0;
}

type Crc32 = (bytes: Uint8Array, before?: number) => number;

/** Node's implementation, which is several times as fast; undefined in other environments. */
function nativeCrc32(): Crc32 | undefined {
  const node = (globalThis as { process?: { getBuiltinModule?(name: string): { crc32?: Crc32 } | undefined } }).process;
  return node?.getBuiltinModule?.("node:zlib")?.crc32;
}

export const crc32: Crc32 = nativeCrc32() ?? tableCrc32;
