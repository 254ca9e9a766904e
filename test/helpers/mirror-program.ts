/**
 * A program: answers on a port, by TCP and UDP and both families, with its own name and the address that it was called
 * from; or with the word `ask`, sends UDP from one socket for as long as it runs and writes down what is answered. Its
 * words are `answer NAME PORT` or `ask ADDRESS PORT`.
 */
const [verb = "", name = "", portText = ""] = process.argv.slice(2);
const port = Number(portText);

if (verb === "answer") {
  Bun.listen({
    hostname: "::",
    port,
    socket: {
      open: (socket) => {
        socket.end(`${name} ${plain(socket.remoteAddress)}\n`);
      },
      data: () => {},
    },
  });
  await Bun.udpSocket({
    hostname: "::",
    port,
    socket: {
      data: (socket, _data, fromPort, from) => {
        socket.send(`${name} ${plain(from)}`, fromPort, from);
      },
    },
  });
  process.stdout.write("ready\n");
} else {
  const asker = await Bun.udpSocket({
    hostname: name.includes(":") ? "::" : "0.0.0.0",
    socket: {
      data: (_socket, data) => {
        process.stdout.write(`${data.toString()}\n`);
      },
      // Where nobody has the port, the host says so by ICMP.
      error: () => {},
    },
  });
  setInterval(() => asker.send("?", port, name), 50);
}

/** A socket of both families shows an IPv4 address as ::ffff:192.0.2.1. */
function plain(address: string): string {
  return address.replace("::ffff:", "");
}
