/** To the nearest number of 8 significant bits, ties to even. */
export function roundBfloat16(x: number): number {
  const bits = new Uint32Array(Float32Array.of(x).buffer)[0];
  const rounded = (bits + 0x7fff + ((bits >>> 16) & 1)) & 0xffff0000;
  return new Float32Array(Uint32Array.of(rounded).buffer)[0];
}
