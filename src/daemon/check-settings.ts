import { findIp } from "../addr/ip.ts";
import { parseNetworkConfig } from "../lease/network-config.ts";
import { findText } from "../sys/file.ts";
import { FlagError, readFlagEnvironment } from "./flag-syntax.ts";
import { parseInvocation } from "./flags.ts";
import { readSettings } from "./settings.ts";

/** The word by which flanneld, called by an installer, only looks at what it would be started with. */
export const checkSettingsCommand = "check-settings";

/** As the kernel takes names of interfaces (net/core/dev.c, dev_valid_name). */
const interfaceName = /^(?!\.\.?$)[^/:\s]{1,15}$/;

/**
 * Looks at the environment as a start does, and at a network configuration, `path`, that is to be written. Throws a
 * FlagError or an Error that names what no start could go on with, or would pass over; what may come later, as an
 * interface, is not asked for.
 */
export function checkSettings(path: string | undefined, env: Readonly<Record<string, string | undefined>>): void {
  const [unused] = readFlagEnvironment(env).notes;
  if (unused !== undefined) throw new FlagError(unused);
  const invocation = parseInvocation([], env);
  if (invocation.kind === "run") {
    const wrong = invocation.options.interfaces.find((name) => findIp(name) === undefined && !interfaceName.test(name));
    if (wrong !== undefined) {
      throw new FlagError(`Cannot use --iface with value "${wrong}": wanted an address or the name of an interface`);
    }
  }
  const text = path === undefined ? undefined : findText(path);
  if (text === undefined) return;
  try {
    readSettings(parseNetworkConfig(text));
  } catch (error) {
    throw new Error("Cannot use this network configuration", { cause: error });
  }
}
