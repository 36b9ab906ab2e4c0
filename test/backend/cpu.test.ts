import { cpu } from "../../src/backend/index.ts";
import { conformance } from "./conformance.ts";

conformance("cpu", cpu);
