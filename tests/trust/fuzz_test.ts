import { fuzzSuite } from "../harness/fuzz_suite.ts";
import { serve, tcpserver } from "../harness/way_in.ts";

for (const way of [tcpserver, serve]) fuzzSuite(way);
