/** The platform accepts the arrays that tensors and files are read as: Blob, fetch and WebCrypto refuse arrays over shared memory. */
import { tensor } from "switchyard-moe";
import { readSafetensors, writeSafetensors } from "switchyard-moe/nn";

const x = tensor([1, 2, 3]);
const bytes = await writeSafetensors(new Map([["x", x]]));
export const blob = new Blob([bytes, await x.data()]);
export const response = new Response(bytes);
export const digest = await crypto.subtle.digest("SHA-256", bytes);
export const read = readSafetensors(bytes);

/** As many gradients as tensors were asked for: none of them may be undefined. */
const [first, second] = x.square().sum().gradients([x, x]);
export const sum = first.add(second);
