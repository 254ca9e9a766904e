/**
 * A program: asks a server on 127.0.0.1 as the daemon does and writes what comes of it, so that a test can give it the
 * environment from its first moment. Its words are the port and the file of the authority.
 */
import { errorText } from "../../src/base/error.ts";
import { exchange } from "../../src/sources/kube/transport.ts";

const [port, caPath = ""] = process.argv.slice(2);
const tls = { ca: await Bun.file(caPath).text(), cert: undefined, key: undefined, serverName: undefined, verify: true };
const limits = { connectMs: 5000, answerMs: 5000, idleMs: 5000 };
const receiver = { head: (): void => undefined, body: (): void => undefined };
try {
  await exchange(
    { host: "127.0.0.1", port: Number(port), tls },
    { method: "GET", path: "/", headers: {}, body: undefined },
    { receiver, limits, signal: new AbortController().signal },
  );
  process.stdout.write("answered\n");
} catch (error) {
  process.stdout.write(`${errorText(error)}\n`);
}
