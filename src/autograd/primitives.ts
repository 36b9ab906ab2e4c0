/** Every primitive by name. The table of gradient checks is typed by this object: a forgotten one does not compile. */
import * as elementwise from "./elementwise.ts";
import * as movement from "./movement.ts";
import * as products from "./products.ts";
import * as reductions from "./reductions.ts";
import * as rows from "./rows.ts";

export const primitives = { ...elementwise, ...movement, ...products, ...reductions, ...rows };
