import { fuzzSuite } from "./harness/fuzz_suite.ts";
import { tcpserver } from "./harness/way_in.ts";

fuzzSuite(tcpserver);
