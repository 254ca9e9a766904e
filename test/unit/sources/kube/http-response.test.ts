import { expect, test } from "bun:test";

import { HttpError, type ResponseHead, ResponseReader } from "../../../../src/sources/kube/http-response.ts";

interface Read {
  readonly head: ResponseHead | undefined;
  readonly body: string;
  readonly done: boolean;
}

function read(text: string, size: number): Read {
  let head: ResponseHead | undefined;
  let body = "";
  const reader = new ResponseReader({
    head: (seen): void => {
      head = seen;
    },
    body: (bytes): void => {
      body += new TextDecoder("latin1").decode(bytes);
    },
  });
  const bytes = new TextEncoder().encode(text);
  for (let offset = 0; offset < bytes.length; offset += size) reader.push(bytes.slice(offset, offset + size));
  return { head, body, done: reader.done };
}

const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: b\r\n\r\n";

test.each<readonly [name: string, text: string, body: string, done: boolean]>([
  ["a length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello", true],
  ["a length, what follows it", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhello", "he", true],
  ["no body", "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "", true],
  ["204", "HTTP/1.1 204 No Content\r\n\r\n", "", true],
  ["100 first", `HTTP/1.1 100 Continue\r\n\r\n${chunked}1\r\na\r\n0\r\n\r\n`, "a", true],
  ["chunks", `${chunked}5\r\nhello\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n`, "hello0123456789", true],
  ["chunks and a trailer", `${chunked}1\r\nx\r\n0\r\nX-B: c\r\n\r\n`, "x", true],
  ["chunks that go on", `${chunked}5\r\nhello\r\n3\r\nwo`, "hellowo", false],
  ["no length", "HTTP/1.1 200 OK\r\n\r\nuntil the end", "until the end", false],
])("ResponseReader reads an answer with %s, in pieces of any size", (_, text, body, done) => {
  for (const size of [1, 2, 3, 7, 1000]) {
    const result = read(text, size);
    expect([result.body, result.done]).toEqual([body, done]);
  }
});

test("ResponseReader tells status and headers before the body", () => {
  const { head } = read(`${chunked}0\r\n\r\n`, 4);
  expect(head?.status).toBe(200);
  expect(head?.headers.get("x-a")).toBe("b");
});

test.each([
  ["another protocol", "SSH-2.0-OpenSSH\r\n\r\n"],
  ["HTTP/2", "HTTP/2 200\r\n\r\n"],
  ["a transfer coding that is not asked for", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n"],
  ["a length that is none", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"],
  ["a chunk without length", `${chunked}\r\n`],
  ["a chunk longer than announced", `${chunked}2\r\nabc\r\n`],
  ["a head without end", `HTTP/1.1 200 OK\r\nX: ${"a".repeat(70_000)}`],
  ["a line without end", `${chunked}1;${"a".repeat(5000)}`],
])("ResponseReader refuses %s", (_, text) => {
  expect(() => read(text, 1000)).toThrow(HttpError);
});

test("ResponseReader tells an answer that is cut from one that is complete", () => {
  const none = { head: (): void => undefined, body: (): void => undefined };
  const cut = new ResponseReader(none);
  cut.push(new TextEncoder().encode(`${chunked}5\r\nhel`));
  expect(() => cut.end()).toThrow("it ended within the answer");
  expect(() => new ResponseReader(none).end()).toThrow("it ended before it answered");
  const whole = new ResponseReader(none);
  whole.push(new TextEncoder().encode("HTTP/1.1 200 OK\r\n\r\nabc"));
  whole.end();
  expect(whole.done).toBe(true);
});

test("no bytes make ResponseReader hang or throw anything but an HttpError", () => {
  const base = `${chunked}5\r\nhello\r\n0\r\n\r\n`;
  for (let round = 0; round < 5000; round++) {
    const bytes = new TextEncoder().encode(base);
    for (let index = 0; index < 4; index++) bytes[Math.floor(Math.random() * bytes.length)] = Math.random() * 256;
    try {
      read(new TextDecoder("latin1").decode(bytes), 1 + Math.floor(Math.random() * 40));
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
    }
  }
});
