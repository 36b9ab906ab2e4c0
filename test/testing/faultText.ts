/** What a law of layouts says of a case, short: what differs, in its words, and the numbers to ten digits; the case is told elsewhere. */
export function faultText(fault: unknown): string {
  const said = fault instanceof Error ? fault.message : String(fault);
  return said.split("\n")[0].replace(/-?\d+\.\d{4,}(e[+-]?\d+)?/g, (number) => String(Number(Number(number).toPrecision(10))));
}
