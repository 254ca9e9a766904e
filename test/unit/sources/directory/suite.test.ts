import { createDirectoryStore } from "../../../helpers/directory-store.ts";
import { testLeaseSource } from "../../../helpers/lease-source-suite.ts";

testLeaseSource("directory", createDirectoryStore);
