/** Mixture-of-Experts: the layer, experts, routers, losses and metrics. */

// The layer and its experts
export { MoE } from "./moeLayer.ts";
export type { MoEOptions } from "./moeLayer.ts";
export { Experts, FeedForwardExperts, ModuleExperts } from "./experts.ts";
export type { FeedForwardExpertsOptions, RowModule } from "./experts.ts";
export { LinearExperts, SwitchAttention } from "./switchAttention.ts";
export type { LinearExpertsOptions, SwitchAttentionOptions } from "./switchAttention.ts";

// Routers: tokens choose
export { SwitchRouter } from "./switchRouter.ts";
export type { Exploration, SwitchOptions } from "./switchRouter.ts";
export { DenseRouter } from "./denseRouter.ts";
export type { DenseOptions } from "./denseRouter.ts";
export { NoisyTopKRouter, loadProbability } from "./noisyTopKRouter.ts";
export type { NoisyTopKOptions } from "./noisyTopKRouter.ts";
export { TopKRouter } from "./topKRouter.ts";
export type { TopKOptions } from "./topKRouter.ts";
export { HashRouter, balancedHash, randomHash } from "./hashRouter.ts";
export type { HashOptions } from "./hashRouter.ts";
export { BalancedRouter } from "./balancedRouter.ts";
export type { BalancedOptions } from "./balancedRouter.ts";

// Routers: experts choose, slots mix
export { ExpertChoiceRouter } from "./expertChoiceRouter.ts";
export type { ExpertChoiceOptions } from "./expertChoiceRouter.ts";
export { SoftRouter } from "./softRouter.ts";
export type { SoftOptions } from "./softRouter.ts";

// What routers are made of
export { Router } from "./router.ts";
export type { GroupedTokens, RouteRequest, RouterOptions, RouterTraits } from "./router.ts";
export type { BalanceScope, Group } from "./grouping.ts";
export { Projection } from "./projection.ts";
export type { ProjectionOptions } from "./projection.ts";
export { capacityOf } from "./capacity.ts";
export type { CapacityFactor } from "./capacity.ts";
export type { Choices, Priority, SeatingOptions } from "./seating.ts";
export { queue, slotOfChoice, slotRouting, sortedRouting } from "./routing.ts";
export type { Books, Queue, RowLayout, Routing } from "./routing.ts";
export { softRouting } from "./mixtures.ts";
export type { Mixing, Mixtures } from "./mixtures.ts";
export { cappedAssignment, sinkhorn } from "./assignment.ts";
export type { AssignmentOptions } from "./assignment.ts";

// Losses, and what happens between steps
export { importanceLoss, loadBalance, loadLoss, squaredVariation, zLoss } from "./losses.ts";
export type { BalanceInput, RouterLossOptions } from "./losses.ts";
export { afterStep } from "./steps.ts";

// What a routing did
export { droppedBy, entropy, expertsByClass, loadEntropy, maxViolation, measure, readBooks } from "./metrics.ts";
export type { HostBooks, RoutingMetrics } from "./metrics.ts";
export { formatTrace, trace } from "./trace.ts";
export type { TraceableModel, TracedChoice, TracedToken } from "./trace.ts";

// From dense to sparse and back
export { copyShared, upcycle } from "./upcycling.ts";
