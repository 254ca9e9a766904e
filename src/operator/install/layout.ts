/** What the installer puts where, and how its own is told from what is not. */

/** The executable's name beside the plugins; every link leads to it. */
export const executableName = "tartan";

/**
 * A file of its own, never a link: upstream's installer overwrites it by `cp -f` (kube-flannel.yml at v0.28.9), which
 * writes through symbolic and hard links and would turn every name into upstream's plugin.
 */
export const ownFileName = "flannel";

/** The other plugins' names: links to the executable, where nobody else has them. */
export const linkNames = ["bridge", "host-local", "portmap", "loopback"] as const;

/** Every name that the installer may put into the plugins' directory, the executable's first. */
export const programNames: readonly string[] = [executableName, ...linkNames, ownFileName];

/** The name of the configuration, upstream's. */
export const conflistName = "10-flannel.conflist";

/** Where upstream's pods find what is below (kube-flannel.yml at v0.28.9). */
export const defaultPlaces = {
  binDirectory: "/opt/cni/bin",
  netDirectory: "/etc/cni/net.d",
  conflist: "/etc/kube-flannel/cni-conf.json",
} as const;

/** Runtimes pass over names like these: neither is a plugin's nor a configuration's. */
export function stagedName(name: string): string {
  return `.${name}.tartan-new`;
}

/** Where a file of somebody else stays while ours has its name. */
export function savedName(name: string): string {
  return `.${name}.tartan-saved`;
}

/** Where the text stays that we have written, to be told from what others write later. */
export function recordName(name: string): string {
  return `.${name}.tartan-own`;
}
