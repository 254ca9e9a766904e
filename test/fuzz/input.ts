import { isJsonObject, type Json, type JsonObject } from "../../src/base/decode.ts";
import type { Environment } from "../../src/cni/environment.ts";
import { cniVersions } from "../../src/cni/version.ts";
import { variables } from "./dictionary.ts";
import { mutateJson, mutateText } from "./mutate.ts";
import { Random } from "./random.ts";
import { seeds, subnetEnv, verbs } from "./seeds.ts";

/** One input. In its texts DIR is the run's directory. */
export interface FuzzInput {
  readonly plugin: string;
  readonly environment: Environment;
  readonly stdin: string;
  /** What is put into DIR/subnet.env before. */
  readonly subnetEnv: string;
  /** What is put into the file that flannel's ADD keeps for the other verbs; undefined leaves what is there. */
  readonly state: string | undefined;
}

/** How an input reaches the plugin. */
export interface FuzzTarget {
  /** CNI_NETNS unless it is mutated: a pod's, or for most inputs none, where each would cost the kernel much time. */
  readonly netns: string;
  readonly pod: string;
  /** How often, of 1, it is the pod's. */
  readonly podShare: number;
  readonly path: string;
}

const changeable = ["CNI_COMMAND", "CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_ARGS", "CNI_NETNS_OVERRIDE"];

const usualArgs = [
  "IgnoreUnknown=1;K8S_POD_NAME=p",
  "IgnoreUnknown=1;IP=10.1.2.40",
  "IgnoreUnknown=1;MAC=02:00:00:00:00:09",
];

/** The input of this number; the same for the same seed. */
export function makeInput(seed: number, number: number, target: FuzzTarget): FuzzInput {
  const random = new Random(Math.imul(seed, 0x9e3779b1) ^ Math.imul(number + 1, 0x85ebca6b));
  const config = random.pick(seeds);
  const plugin = typeof config["type"] === "string" ? config["type"] : "";
  const isPod = random.chance(target.podShare);
  // Most mutations are refused before the kernel is asked, so that those with a pod are spared half the time.
  const text = JSON.stringify(random.chance(isPod ? 0.5 : 0.95) ? mutateConfig(random, config) : config);
  const stdin = random.chance(isPod ? 0.03 : 0.12) ? mutateText(random, text) : text;
  // Where there is a pod, flannel waits ten seconds for a file that is not there.
  const waits = plugin === "flannel" && !stdin.includes('"subnetFile":"DIR/subnet.env"');
  const environment = makeEnvironment(random, target, isPod && !waits);
  return {
    plugin,
    environment,
    stdin,
    subnetEnv: random.chance(0.3) ? mutateText(random, subnetEnv) : subnetEnv,
    state: random.chance(0.1)
      ? JSON.stringify(mutateJson(random, { ...config, "tartan.interface": "eth0" }))
      : undefined,
  };
}

/** Mostly what is the plugin's own: behind a wrong version or name nothing else is looked at. */
function mutateConfig(random: Random, config: JsonObject): Json {
  if (random.chance(0.15)) return mutateJson(random, config);
  const { cniVersion = null, name = null, type = null, ...own } = config;
  const mutated = mutateJson(random, own);
  const version = random.chance(0.5) ? cniVersion : random.pick(cniVersions);
  return isJsonObject(mutated) ? { cniVersion: version, name, type, ...mutated } : mutated;
}

function makeEnvironment(random: Random, { netns, pod, path }: FuzzTarget, isPod: boolean): Environment {
  const usual: Environment = {
    CNI_COMMAND: random.pick(verbs),
    // A pod's ADD would not get far under an id to which host-local alone has given an address before.
    CNI_CONTAINERID: random.pick(isPod ? ["c1", "c4", "c5", "c6"] : ["c1", "c2", "c3"]),
    CNI_NETNS: isPod ? pod : netns,
    CNI_IFNAME: "eth0",
    CNI_PATH: path,
    ...(random.chance(0.3) ? { CNI_ARGS: random.pick(usualArgs) } : {}),
  };
  if (!random.chance(0.2)) return usual;
  return { ...usual, [random.pick(changeable)]: random.pick(variables) };
}
