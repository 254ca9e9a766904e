/** A program: passes what comes to a Unix socket on to a port of 127.0.0.1 in its network namespace. */
import { Relay } from "./relay.ts";

const [unix = "", port = ""] = process.argv.slice(2);
const relay = new Relay({ unix }, { hostname: "127.0.0.1", port: Number(port) });
process.stdout.write("ready\n");
process.on("SIGTERM", () => {
  relay.cut();
  process.exit(0);
});
