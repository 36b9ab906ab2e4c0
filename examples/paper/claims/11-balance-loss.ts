import type { VariedModel } from "../../train/variant.ts";
import { bits, column, dropped, language, maxVio, saved } from "../claim.ts";
import type { Claim } from "../claim.ts";
import { trained } from "../settings.ts";

const at = (alpha: number, variant: VariedModel["variant"] = {}) =>
  trained({ model: { router: "switch", alpha, ...(Object.keys(variant).length > 0 && { variant }) } });
const steep = { routerDeviation: 1 };

export const claim: Claim = {
  number: 11,
  title: "The balance loss: alpha from 0 to 0.1, and a set-up that collapses without it",
  source: "Fedus et al. 2021, arXiv:2101.03961, section 2.2, equations 4 to 6",
  published: ["No table: of alphas from 0.1 to 0.00001, 0.01 balanced the load quickly without interfering with training."],
  setting:
    "The small model at three alphas; and with first weights of the router drawn from N(0, 1) instead of deviation 0.06, without the " +
    "loss and with 0.01.",
  limits:
    "A router with small first weights does not collapse at this size even without the loss; steep first weights are there to show a " +
    "collapse.",
  seeds: 5,
  arms: [
    { name: "alpha 0", settings: at(0) },
    { name: "alpha 0.01", settings: at(0.01) },
    { name: "alpha 0.1", settings: at(0.1) },
    { name: "steep, alpha 0", settings: at(0, steep) },
    { name: "steep, alpha 0.01", settings: at(0.01, steep) },
  ],
  columns: [bits, maxVio, dropped, column("dropped in 20 steps, %", "droppedEarly", 1, 100), language],
  comparisons: [
    {
      name: "alpha 0.01 lowers MaxVio, against none",
      unit: "MaxVio",
      published: { direction: 1, text: "balances the load quickly" },
      expected: "same direction",
      why: "It is what the loss is.",
      digits: 2,
      of: saved("maxVio", "alpha 0", "alpha 0.01"),
    },
    {
      name: "alpha 0.01 saves over none",
      unit: "bits per byte",
      published: { direction: 1, text: "does not interfere with training" },
      expected: "same direction",
      why: "Without it an eighth of the bytes finds no slot.",
      of: saved("bits", "alpha 0", "alpha 0.01"),
    },
    {
      name: "alpha 0.1 saves over 0.01",
      unit: "bits per byte",
      published: { direction: -1, text: "large alphas overwhelm the cross-entropy" },
      expected: "not resolvable at this size",
      why: "An even load is easy here: eight scripts are seen equally often.",
      of: saved("bits", "alpha 0.01", "alpha 0.1"),
    },
    {
      name: "alpha 0.1 takes specialisation from 0.01",
      unit: "bits of I(expert; language)",
      published: { direction: 1, text: "not measured; balance works against specialisation (arXiv:2501.11873)" },
      expected: "not resolvable at this size",
      why: "Over the batch, an even load leaves each script its own experts.",
      digits: 2,
      of: saved("infoLanguage", "alpha 0.01", "alpha 0.1"),
    },
    {
      name: "steep first weights: alpha 0.01 lowers MaxVio, against none",
      unit: "MaxVio",
      published: { direction: 1, text: "without the loss experts collapse" },
      expected: "same direction",
      why: "Experts that lose at the start get no gradient and no bytes.",
      digits: 2,
      of: saved("maxVio", "steep, alpha 0", "steep, alpha 0.01"),
    },
    {
      name: "without the loss, steep first weights raise MaxVio",
      unit: "MaxVio",
      published: { direction: 1, text: "not measured" },
      expected: "same direction",
      why: "1.05 and 1.82 against 0.3 to 0.7 in an earlier trial of a larger model.",
      digits: 2,
      of: saved("maxVio", "steep, alpha 0", "alpha 0"),
    },
  ],
};
