import {
  type ApiAccess,
  type Credentials,
  findClusterServer,
  hasServiceAccount,
  parseServer,
  ServiceAccount,
} from "./credentials.ts";
import { Kubeconfig, type KubeconfigPart } from "./kubeconfig.ts";
import type { Endpoint } from "./transport.ts";

/** What the flags and the surroundings say about the API server. */
export interface CredentialsRequest {
  /** --kube-api-url; empty for none. */
  readonly apiUrl: string;
  /** --kubeconfig-file; empty for none. */
  readonly kubeconfigFile: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Reads a kubeconfig, the default one when the path is undefined: `readKubeconfig` in a process of its own. */
  readonly readKubeconfig: (path: string | undefined, part: KubeconfigPart) => Promise<string>;
  readonly report: (line: string) => void;
}

/**
 * Chooses as client-go does: a kubeconfig that is given, with the URL in place of its server; a URL alone; the pod's own
 * service account; the default kubeconfig. Unlike there, a URL alone goes with the service account where there is one: so
 * a pod can reach an API server past kube-proxy. Throws an Error for a URL that is none.
 */
export function chooseCredentials(request: CredentialsRequest): Credentials {
  const { apiUrl, kubeconfigFile, env, readKubeconfig, report } = request;
  if (apiUrl !== "") parseServer(apiUrl);
  if (kubeconfigFile !== "") {
    return new Kubeconfig(kubeconfigFile, apiUrl, { read: (part) => readKubeconfig(kubeconfigFile, part), report });
  }
  if (apiUrl !== "") return hasServiceAccount() ? new ServiceAccount(apiUrl) : new Nobody(apiUrl);
  const server = findClusterServer(env);
  if (server !== undefined && hasServiceAccount()) return new ServiceAccount(server);
  return new Kubeconfig(undefined, "", { read: (part) => readKubeconfig(undefined, part), report });
}

/** A server that is asked without saying who asks. */
class Nobody implements Credentials {
  readonly name = "no credentials";
  readonly #server: string;

  constructor(server: string) {
    this.#server = server;
  }

  access(): Promise<ApiAccess> {
    return Promise.try(() => {
      const { host, port, https, basePath } = parseServer(this.#server);
      const tls = { ca: undefined, cert: undefined, key: undefined, serverName: undefined, verify: true };
      return { endpoint: { host, port, tls: https ? tls : undefined }, basePath, authorization: undefined };
    });
  }

  refused(): void {
    // There is nothing else to offer.
  }

  async server(): Promise<Endpoint> {
    return (await this.access()).endpoint;
  }
}
