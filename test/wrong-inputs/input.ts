import type { JsonObject } from "../../src/base/decode.ts";
import type { Environment } from "../../src/cni/environment.ts";

/** An input that a plugin refuses before it has touched anything. */
export interface WrongInput {
  readonly plugin: string;
  /** What differs from usualEnvironment. */
  readonly environment?: Environment;
  /** In it DIR is a directory of the test's own. Text is handed on as it is. */
  readonly stdin: JsonObject | string;
  /** What is in DIR/subnet.env; no such file when left out. */
  readonly subnetEnv?: string | undefined;
  /** `code msg`, or `code msg | details`. */
  readonly error: string;
}

/** An ADD, for a container whose namespace is not there. */
export const usualEnvironment: Environment = {
  CNI_COMMAND: "ADD",
  CNI_CONTAINERID: "c1",
  CNI_NETNS: "/nonexistent",
  CNI_IFNAME: "eth0",
  CNI_PATH: "/nonexistent",
};

/** The text on stdin, with the directory in place of DIR. */
export function stdinOf({ stdin }: WrongInput, directory: string): string {
  return (typeof stdin === "string" ? stdin : JSON.stringify(stdin)).replaceAll("DIR", directory);
}

/** What a failure says of an input. */
export function describeInput({ plugin, environment, stdin, subnetEnv }: WrongInput): string {
  return `${plugin} ${JSON.stringify({ ...environment, stdin, ...(subnetEnv === undefined ? {} : { subnetEnv }) })}`;
}
