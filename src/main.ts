/**
 * The executable's entry: picks the program by the base name it was called by, as busybox does. `process.argv0` is that
 * name through symbolic links, hard links and copies; `process.argv[0]` is not. Each program's code is loaded when it is
 * called; VERSION, by which a runtime finds out what a plugin speaks, needs none of it.
 */
import { versionAnswer } from "./cni/version.ts";

const plugins = ["flannel", "bridge", "host-local", "loopback", "portmap"];
const daemon = "flanneld";
const installer = "install-cni";

function run(name: string, args: readonly string[]): void {
  if (plugins.includes(name)) {
    if (process.env["CNI_COMMAND"] === "VERSION") console.log(versionAnswer);
    else runLater(name, () => runPlugin(name));
    return;
  }
  // A plugin ends before compiled code could pay for itself, so that build.ts raises the thresholds 1,000-fold for all
  // programs; those that go on take the usual ones back.
  Bun.unsafe.setJITPolicy(1);
  runLater(name, () => runLong(name, args));
}

function runLater(name: string, work: () => Promise<void>): void {
  work().catch((error: unknown) => reportUnusable(name, error));
}

async function runPlugin(name: string): Promise<void> {
  const { runPlugin: runHere } = await import("./plugins/main.ts");
  runHere(name);
}

async function runLong(name: string, args: readonly string[]): Promise<void> {
  if (name === daemon) {
    const { runDaemon } = await import("./daemon/main.ts");
    await runDaemon(args);
  } else {
    const { runCommand } = await import("./operator/main.ts");
    await runCommand(name === installer ? [installer, ...args] : args);
  }
}

/**
 * Every program fails where bun:ffi cannot work. This says so without it: to a container runtime as a CNI
 * error (code 999, internal), to a person as one line.
 */
function reportUnusable(name: string, error: unknown): void {
  const reason = error instanceof Error ? error.message : String(error);
  const text = reason.includes("requires the JIT")
    ? "Cannot start: memory that is writable and executable is forbidden here, and tartan needs it" +
      " (look for MemoryDenyWriteExecute=, SELinux execmem, or an address space limit of 2 GiB or less)"
    : `Cannot start: ${reason}`;
  if (plugins.includes(name)) console.log(JSON.stringify({ cniVersion: "1.1.0", code: 999, msg: text }));
  else console.error(text);
  process.exitCode = 1;
}

const args = process.argv.slice(2);
const called = process.argv0.slice(process.argv0.lastIndexOf("/") + 1);
const [first = "", ...rest] = args;
const named = plugins.includes(called) || called === daemon;
const nested = !named && (plugins.includes(first) || first === daemon);
const program = nested ? first : called;
try {
  run(program, nested ? rest : args);
} catch (error) {
  reportUnusable(program, error);
}
