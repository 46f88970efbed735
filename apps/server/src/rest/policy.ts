import { defaultRest, type ProjectId, type RestPolicy, type SandboxKind } from '@skerry/model';
import type { ServerConfig } from '@skerry/protocol';

/** What the operator set of rest and prices. */
export type RestSettings = Pick<ServerConfig, 'prices' | 'rest' | 'restOf'>;

/** A policy of which parts may be absent. */
export type PartOfPolicy = { readonly [K in keyof RestPolicy]?: RestPolicy[K] | undefined };

/**
 * How a new sandbox rests: as it says itself, else as is set for its template, its project, for all, else by the built-in rule. An ephemeral one
 * follows the built-in rule and its own words alone: it is its caller's, and ends with its work.
 */
export function restPolicyOf(
  { rest, restOf }: RestSettings,
  of: { readonly kind: SandboxKind; readonly projectId: ProjectId; readonly template: string },
  own: PartOfPolicy | undefined,
): RestPolicy {
  const layers =
    of.kind === 'ephemeral' ? [own] : [rest, restOf?.projects?.[of.projectId], restOf?.templates?.[of.template], own];
  return layers.reduce<RestPolicy>((policy, layer) => withRest(policy, layer), defaultRest[of.kind]);
}

/** A policy with what is given of another. */
export function withRest(policy: RestPolicy, part: PartOfPolicy | undefined): RestPolicy {
  return {
    afterMs: part?.afterMs === undefined ? policy.afterMs : part.afterMs,
    action: part?.action ?? policy.action,
    wakeOn: part?.wakeOn ?? policy.wakeOn,
    expireAfterMs: part?.expireAfterMs === undefined ? policy.expireAfterMs : part.expireAfterMs,
  };
}
