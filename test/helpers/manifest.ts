import { readFile } from "node:fs/promises";
import { join } from "node:path";

import { Decoder, parseJson } from "../../src/base/decode.ts";
import { repositoryRoot } from "./executable.ts";

/** The manifest that users apply. */
export const manifestPath: string = join(repositoryRoot, "deploy", "kube-flannel.yml");

/** README's command that leaves the ConfigMap out of a manifest, of the file given; without one, of our own as it stands. */
export async function readMoveCommand(file?: string): Promise<string> {
  const readme = await readFile(join(repositoryRoot, "README.md"), "utf8");
  const [, program, own] = /^(awk '[^']*') (\S+) \| kubectl apply -f -$/m.exec(readme) ?? [];
  if (program === undefined || own === undefined) throw new Error("Cannot find the command for the move in README.md");
  return `${program} ${file ?? own}`;
}

/** A directory that a container has from outside. */
interface ManifestMount {
  /** Where the container sees it. */
  readonly path: string;
  readonly readOnly: boolean;
  /** The node's directory; undefined for the ConfigMap. */
  readonly hostPath: string | undefined;
}

/** One container of the DaemonSet's pods. */
export interface ManifestContainer {
  readonly name: string;
  readonly image: string;
  readonly command: readonly string[];
  readonly addedCapabilities: readonly string[];
  readonly droppedCapabilities: readonly string[];
  readonly readOnlyRoot: boolean;
  readonly mounts: readonly ManifestMount[];
}

/** The objects of a manifest, as the API server gets them. */
export function parseManifest(text: string): readonly Decoder[] {
  const documents = new Decoder(parseJson(JSON.stringify(Bun.YAML.parse(text)))).list();
  return documents.filter((document) => !document.absent);
}

/** The object of this kind. */
export function objectOf(objects: readonly Decoder[], kind: string): Decoder {
  const found = objects.find((object) => object.field("kind").string() === kind);
  if (found === undefined) throw new Error(`Cannot find a ${kind}: the manifest has none`);
  return found;
}

/** What the ConfigMap has under a name. */
export async function readConfigMap(name: string): Promise<string> {
  const objects = parseManifest(await readFile(manifestPath, "utf8"));
  return textOf(objectOf(objects, "ConfigMap").field("data").field(name));
}

/** A container or init container of our manifest by its name. */
export async function readContainer(name: string): Promise<ManifestContainer> {
  const objects = parseManifest(await readFile(manifestPath, "utf8"));
  const pod = objectOf(objects, "DaemonSet").field("spec").field("template").field("spec");
  const containers = [...pod.field("initContainers").list(), ...pod.field("containers").list()];
  const container = containers.find((candidate) => candidate.field("name").string() === name);
  if (container === undefined) throw new Error(`Cannot find container "${name}": the manifest has none`);
  const security = container.field("securityContext");
  const volumes = new Map(
    pod
      .field("volumes")
      .list()
      .map((volume) => [textOf(volume.field("name")), volume]),
  );
  return {
    name,
    image: textOf(container.field("image")),
    command: [...texts(container.field("command")), ...texts(container.field("args"))],
    addedCapabilities: texts(security.field("capabilities").field("add")),
    droppedCapabilities: texts(security.field("capabilities").field("drop")),
    readOnlyRoot: security.field("readOnlyRootFilesystem").boolean() ?? false,
    mounts: container
      .field("volumeMounts")
      .list()
      .map((mount) => ({
        path: textOf(mount.field("mountPath")),
        readOnly: mount.field("readOnly").boolean() ?? false,
        hostPath: volumes
          .get(textOf(mount.field("name")))
          ?.field("hostPath")
          .field("path")
          .string(),
      })),
  };
}

/** The strings of a list. */
export function texts(list: Decoder): readonly string[] {
  return list.list().map(textOf);
}

/** A string that must be there. */
function textOf(value: Decoder): string {
  return value.string() ?? value.fail("a string");
}
