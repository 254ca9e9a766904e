import { expect, test } from "bun:test";

import { parseAnnotationPrefix } from "../../../../src/sources/kube/annotations.ts";

/** Upstream's own table: pkg/subnet/kube/annotations_test.go has twelve such prefixes. */
test.each([
  ["flannel.alpha.coreos.com", "flannel.alpha.coreos.com/"],
  ["flannel.alpha.coreos.com/", "flannel.alpha.coreos.com/"],
  ["flannel.alpha.coreos.com/prefix", "flannel.alpha.coreos.com/prefix-"],
  ["flannel.alpha.coreos.com/prefix-", "flannel.alpha.coreos.com/prefix-"],
  ["org.com", "org.com/"],
  ["org.com/fl_an-0", "org.com/fl_an-0-"],
])("parseAnnotationPrefix() takes %s", (text, prefix) => {
  expect(parseAnnotationPrefix(text)).toBe(prefix);
});

test.each([
  ["flannel.alpha.coreos.com//", "subnet/kube: prefix can contain at most single slash"],
  ["flannel.alpha.coreos.com/prefix/", "subnet/kube: prefix can contain at most single slash"],
  ["org", "subnet/kube: prefix must be in a format: fqdn/[0-9a-z-_]*"],
  ["org.", "subnet/kube: prefix must be in a format: fqdn/[0-9a-z-_]*"],
  [".org", "subnet/kube: prefix must be in a format: fqdn/[0-9a-z-_]*"],
  ["", "subnet/kube: prefix must be in a format: fqdn/[0-9a-z-_]*"],
  ["Org.com", "subnet/kube: prefix must be in a format: fqdn/[0-9a-z-_]*"],
  ["org.com/Upper", "subnet/kube: prefix must be in a format: fqdn/[0-9a-z-_]*"],
])("parseAnnotationPrefix() refuses %s", (text, message) => {
  expect(() => parseAnnotationPrefix(text)).toThrow(new Error(message));
});
