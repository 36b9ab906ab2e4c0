/** The life of a tensor: what it holds on its device, who frees it, and when. */
import { check } from "./arguments.ts";
import type { Kind } from "./arguments.ts";
import { context } from "./context.ts";
import type { Scope } from "./scope.ts";
import type { Storage } from "./storage.ts";
import { collector, releaseAll } from "./storage.ts";

const aScope: Kind = { wanted: "a scope, or null", accepts: () => false };

/** Holds device storage until its scope closes, `dispose` is called, or, outside of scopes, the garbage collector finds it unreachable. */
export abstract class Holder {
  /** The scope that will free it; null where the garbage collector will, or where it was freed. */
  owner: Scope | null = null;
  /** The storages that it releases when it is freed, its own first; null once it was freed. */
  #holdings: Storage[] | null;
  /** Whether the garbage collector was asked to release the storages. */
  #collected = false;

  constructor(storage: Storage) {
    this.#holdings = [storage.retain()];
    this.adoptBy(context().scope);
  }

  /** How errors speak of it. */
  abstract get label(): string;

  /** The device buffer and the count of its readers. Throws when it was freed. */
  get storage(): Storage {
    if (!this.#holdings)
      throw new ReferenceError(
        `${this.label} was freed: its scope has closed, or backward({ release: true }) has passed it; return it from the scope to keep it`,
      );
    return this.#holdings[0];
  }

  /** Whether it was freed: it cannot be read. */
  get disposed(): boolean {
    return this.#holdings === null;
  }

  /** Takes it out of its scope: the garbage collector frees it. */
  persist(): this {
    this.adoptBy(null);
    return this;
  }

  /** Moves it to a scope, or to the garbage collector. Throws where `scope` is neither. */
  adoptBy(scope: Scope | null): void {
    if (scope !== null && !(typeof scope?.add === "function" && typeof scope.close === "function"))
      check("Tensor.adoptBy", "scope", scope, aScope);
    this.owner = scope;
    if (scope) scope.add(this);
    else if (!this.#collected && this.#holdings) {
      this.#collected = true;
      this.#holdings[0].takeBallast();
      collector.register(this, this.#holdings, this);
    }
  }

  /** Adds storages that are freed with this tensor. */
  holdAlso(storages: readonly Storage[]): void {
    this.#holdings?.push(...storages);
  }

  /** Frees it now. Users need not: scopes and the garbage collector do. */
  dispose(): void {
    if (!this.#holdings) return;
    if (this.#collected) collector.unregister(this);
    releaseAll(this.#holdings);
    this.#holdings = null;
    this.owner = null;
  }

  /** Takes `storage` in the place of its own. */
  protected exchange(storage: Storage): void {
    const old = this.storage;
    storage.retain();
    if (this.#collected) storage.takeBallast();
    this.#holdings?.splice(0, 1, storage);
    old.release();
  }
}
