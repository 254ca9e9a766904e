import { allocate } from "../base/bytes.ts";
import { SyscallError } from "./errno.ts";
import { addressOf, lastErrno, rareLibc } from "./libc.ts";

/**
 * Puts this executable, started anew, in place of this process: the same process id, the arguments and the environment
 * given, the program's name first among the arguments. Returns only by throwing a SyscallError. Like: exec
 */
export function executeAnew(words: readonly string[], environment: Readonly<Record<string, string>>): never {
  const argv = new CStrings(words);
  const env = new CStrings(Object.entries(environment).map(([name, value]) => `${name}=${value}`));
  rareLibc().execve("/proc/self/exe", argv.addresses, env.addresses);
  throw new SyscallError("execute", lastErrno(), "/proc/self/exe");
}

/** An array of C strings that ends with a null pointer. The texts stay in memory as long as the array does. */
class CStrings {
  readonly addresses: Uint8Array;
  readonly #texts: readonly Uint8Array[];

  constructor(texts: readonly string[]) {
    this.#texts = texts.map((text) => {
      const bytes = new TextEncoder().encode(text);
      const zeroed = allocate(bytes.length + 1);
      zeroed.set(bytes);
      return zeroed;
    });
    const array = new BigUint64Array(new ArrayBuffer((texts.length + 1) * 8));
    for (const [index, text] of this.#texts.entries()) array[index] = BigInt(addressOf(text));
    this.addresses = new Uint8Array(array.buffer);
  }
}
