import type { ApiAccess, Credentials } from "../../src/sources/kube/credentials.ts";
import type { Endpoint } from "../../src/sources/kube/transport.ts";

/** Credentials that are always the same. */
export function fixedCredentials(
  endpoint: Endpoint,
  { basePath = "", authorization }: { readonly basePath?: string; readonly authorization?: string } = {},
): Credentials {
  const access: ApiAccess = { endpoint, basePath, authorization };
  return {
    name: "the test",
    access: () => Promise.resolve(access),
    refused: () => undefined,
    server: () => Promise.resolve(endpoint),
  };
}
