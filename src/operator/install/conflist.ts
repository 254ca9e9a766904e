import { Decoder, parseJson } from "../../base/decode.ts";
import { isCniName } from "../../cni/environment.ts";
import { isCniVersion } from "../../cni/version.ts";

/** Plugins that the configuration of another names, and what they are when it does not. */
const delegates: Readonly<Record<string, { readonly delegate: string; readonly ipam: string }>> = {
  flannel: { delegate: "bridge", ipam: "host-local" },
};

/**
 * The plugins that a configuration list needs, those that others delegate to included. Throws an Error that says why no
 * runtime would take the text, or why none of its pods would start.
 */
export function readPluginTypes(text: string): readonly string[] {
  const list = new Decoder(parseJson(text));
  const name = list.field("name").string() ?? "";
  if (name === "") throw new Error('it has no "name"');
  if (!isCniName(name)) throw new Error(`its name ${JSON.stringify(name)} has characters that no runtime takes`);
  const version = list.field("cniVersion").string() ?? "";
  if (version !== "" && !isCniVersion(version))
    throw new Error(`its cniVersion "${version}" is none that plugins know`);
  const plugins = list.field("plugins").list();
  if (plugins.length === 0) throw new Error('it has no "plugins"');
  const types = plugins.flatMap((plugin) => typesOf(plugin));
  return [...new Set(types)];
}

function typesOf(plugin: Decoder): readonly string[] {
  const type = readType(plugin) ?? plugin.field("type").fail("the name of a plugin");
  const known = Object.hasOwn(delegates, type) ? delegates[type] : undefined;
  const ipam = readType(plugin.field("ipam"));
  if (known === undefined) return ipam === undefined ? [type] : [type, ipam];
  const delegate = readType(plugin.field("delegate")) ?? known.delegate;
  return [type, delegate, ipam ?? known.ipam];
}

/** Undefined when the object or its type is absent. Throws for what can be no file in the plugins' directory. */
function readType(plugin: Decoder): string | undefined {
  const field = plugin.field("type");
  const type = field.string() ?? "";
  if (type === "") return undefined;
  return /^[\w.-]+$/.test(type) && type !== "." && type !== ".." ? type : field.fail("the name of a plugin");
}
