/** Mixture-of-Experts: routers, experts, losses, and the layer. */
export { capacityOf } from "./capacity.ts";
export type { CapacityFactor } from "./capacity.ts";
export { Experts, FeedForwardExperts, ModuleExperts } from "./experts.ts";
export type { FeedForwardExpertsOptions, RowModule } from "./experts.ts";
export { importanceLoss, loadBalance, squaredVariation, zLoss } from "./losses.ts";
export { MoE } from "./moeLayer.ts";
export type { MoEOptions } from "./moeLayer.ts";
export { Projection } from "./projection.ts";
export type { ProjectionOptions } from "./projection.ts";
export { Router } from "./router.ts";
export type { Group, RouteRequest, RouterTraits, Scope } from "./router.ts";
export { queue, slotOfChoice, slotRouting, softRouting, sortedRouting } from "./routing.ts";
export type { Books, Queue, RowLayout, Routing } from "./routing.ts";
export { SwitchRouter } from "./switchRouter.ts";
export type { Exploration, SwitchOptions } from "./switchRouter.ts";
export type { LossOptions, Priority, SeatingOptions } from "./tokenChoice.ts";
