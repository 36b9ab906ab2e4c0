/** A case of many ranks, drawn: what each rank holds and reads. E experts, T tokens of a sequence. */
import type { LayoutCase } from "../../src/testing/index.ts";
import { T } from "../../src/testing/layouts/sizes.ts";
import type { MuseumStrings } from "./museumStrings.ts";

/** A box for each rank, with its experts and the tokens of its shards; padding is dashed. */
export function layoutPicture(of: LayoutCase, strings: MuseumStrings): string {
  const ranks = Array.from({ length: of.ranks }, (_, rank) => rankHtml(of, rank, strings));
  const { router, factor, balance, sharedState } = of;
  const settings = { router, factor, balance, sharedState, seed: of.seed };
  return `<div class="ranks">${ranks.join("")}</div><p class="quiet"><code>${Object.entries(settings).map(([name, value]) => `${name} ${value}`).join(", ")}</code></p>`; // prettier-ignore
}

function rankHtml(of: LayoutCase, rank: number, strings: MuseumStrings): string {
  const first = (rank % of.expertsOver) * of.expertsEach;
  const experts = Array.from({ length: of.expertsEach }, (_, e) => `<span class="seat x${(first + e) % 8}">${strings.expert} ${first + e}</span>`); // prettier-ignore
  const each = of.shards.length / of.ranks;
  const shards = Array.from({ length: each }, (_, part) => shardHtml(of, rank * each + part, strings));
  return `<div class="rank"><strong>${strings.rank} ${rank}</strong><div>${experts.join(" ")}</div>${shards.join("")}</div>`;
}

function shardHtml({ shards, padding }: LayoutCase, shard: number, strings: MuseumStrings): string {
  const sequence = Array.from({ length: T }, (_, t) => `<span class="token${t >= T - padding[shard] ? " padding" : ""}"></span>`).join("");
  const told = padding[shard] > 0 ? ` (${strings.padding} ${padding[shard]})` : "";
  const rows = Array.from({ length: shards[shard] }, () => `<span class="sequence">${sequence}</span>`);
  return `<div>${strings.shard} ${shard}${told}: ${rows.length > 0 ? rows.join("") : strings.noTokens}</div>`;
}
