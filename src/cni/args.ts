import { CniError, cniCode } from "./error.ts";

/** CNI_ARGS, `K=V;K2=V2`, as it came: it is read when a plugin asks, because plugins without arguments take any text. */
export class CniArgs {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  /**
   * The value of the one argument that the plugin knows, to the letter. Throws a CniError for a pair that is none and,
   * unless IgnoreUnknown is true, for any other argument (cni, pkg/types: LoadArgs).
   */
  get(key: string): string | undefined {
    if (this.text === "") return undefined;
    let value: string | undefined;
    let ignoreUnknown = false;
    const unknown: string[] = [];
    for (const pair of this.text.split(";")) {
      const [name, content, ...more] = pair.split("=");
      if (content === undefined || more.length > 0) throw argsError(`invalid pair "${pair}"`);
      if (name === key) value = content;
      else if (name === "IgnoreUnknown") ignoreUnknown = parseBoolean(content, pair);
      else unknown.push(`"${pair}"`);
    }
    if (unknown.length > 0 && !ignoreUnknown) throw argsError(`unknown args [${unknown.join(" ")}]`);
    return value;
  }

  /** `NAMESPACE/NAME` of the pod, which the runtimes of Kubernetes tell; for people only, so that nothing is an error. */
  get podName(): string | undefined {
    let namespace = "";
    let name = "";
    for (const pair of this.text.split(";")) {
      if (pair.startsWith("K8S_POD_NAMESPACE=")) namespace = pair.slice(pair.indexOf("=") + 1);
      if (pair.startsWith("K8S_POD_NAME=")) name = pair.slice(pair.indexOf("=") + 1);
    }
    // Such names are plain ASCII; nothing else is worth to be told, and a space would begin another word.
    return name !== "" && /^[!-~]*$/.test(namespace + name) ? `${namespace}/${name}` : undefined;
  }
}

/** The error for a value that the plugin cannot use. */
export function argError(key: string, value: string, problem: string): CniError {
  return argsError(`error parsing value of pair "${key}=${value}": ${problem}`);
}

function parseBoolean(text: string, pair: string): boolean {
  const lower = text.toLowerCase();
  if (lower === "1" || lower === "true") return true;
  if (lower === "0" || lower === "false") return false;
  throw argsError(`error parsing value of pair "${pair}": boolean unmarshal error: invalid input ${lower}`);
}

function argsError(problem: string): CniError {
  return new CniError(cniCode.invalidEnvironment, `ARGS: ${problem}`);
}
