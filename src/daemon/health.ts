/** What the health server asks the daemon. */
export interface Readiness {
  /** What is missing, one line each; none when every peer is programmed. What was asked for before is looked at first. */
  missing(): Promise<readonly string[]>;
}

/** So long a question for readiness waits for a look that is due; then it says what is known. */
const patienceMs = 2000;

/**
 * Serves /healthz, 200 as long as the process lives, and /readyz, 200 only while every peer is programmed, else 503 with
 * what is missing. Disposing stops it. Throws an Error that names address and port when it cannot listen there.
 */
export function serveHealth(address: { readonly ip: string; readonly port: number }, readiness: Readiness): Disposable {
  const { ip, port } = address;
  try {
    const server = Bun.serve({
      hostname: ip,
      port,
      routes: {
        "/healthz": () => new Response("flanneld is running\n"),
        "/readyz": () => answerReadiness(readiness),
      },
      fetch: () => new Response("not found\n", { status: 404 }),
    });
    return {
      [Symbol.dispose](): void {
        void server.stop(true);
      },
    };
  } catch (error) {
    const at = ip.includes(":") ? `[${ip}]:${port}` : `${ip}:${port}`;
    const reason = isTaken(error) ? ": the port is taken" : "";
    throw new Error(`Cannot serve health on ${at}${reason}`, { cause: error });
  }
}

function isTaken(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "EADDRINUSE";
}

async function answerReadiness(readiness: Readiness): Promise<Response> {
  const missing = await Promise.race([readiness.missing(), lateAnswer()]);
  if (missing.length === 0) return new Response("flanneld is ready\n");
  const lines = missing.map((line) => `${line}\n`).join("");
  return new Response(`flanneld is not ready yet\n${lines}`, { status: 503 });
}

async function lateAnswer(): Promise<readonly string[]> {
  await Bun.sleep(patienceMs);
  return ["the state of the kernel is being looked at"];
}
